"""What a kind of record may ask of its writer.

A kind of record is one file of this folder. It holds the method that users call, as a plain
function whose first argument is a `Recording`, and the value that the method makes:

    def add_text(self: Recording, tag: str, text: str, global_step=None, walltime=None) -> None:
        call = Call(self, "add_text", tag, global_step, walltime)  # checks these arguments
        self._write(call, "texts", text_value(text, call.where))

`SummaryWriter` lists the methods of all kinds in its class body.

A method checks and converts everything first, without the lock. Then `_write` takes the lock of
this one writer, chooses the tag and the step, and appends the record. So a call that raises has
changed nothing, and a slow conversion delays no other thread.
"""

from __future__ import annotations

import struct
import time
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from eventwriter._file.framing import frame
from eventwriter._file.guard import Guard
from eventwriter._file.templates import varint
from eventwriter._values import arguments
from eventwriter._warn import warn_caller
from eventwriter.errors import WriterClosedError

if TYPE_CHECKING:
    from _thread import RLock
    from pathlib import Path

    from eventwriter._file.back_pressure import BackPressure
    from eventwriter._file.event_file import EventFile
    from eventwriter._file.pending import Packer
    from eventwriter._proto.event_pb2 import Event
    from eventwriter._proto.summary_pb2 import Summary
    from eventwriter.typing import Seconds, Step

State = TypeVar("State")


class SideFiles(Protocol):
    """Files beside the event file, such as embeddings. The writer flushes and closes them too."""

    def __init__(self, run_dir: Path, *, flush_secs: float, max_pending_bytes: int) -> None: ...

    def flush(self, *, sync: bool = False) -> None:
        """Return when everything logged before is on disk."""

    def close(self) -> None:
        """Flush and close."""

    def close_later(self) -> None:
        """Close in the background."""


Side = TypeVar("Side", bound=SideFiles)

_DOUBLE = struct.Struct("<d")


def event_of(value: Summary.Value, step: int, wall_time: float) -> bytes:
    """Return the bytes of an event that holds one value.

    An `Event` object would copy the value twice. These are protobuf's bytes:

        09 wall_time:8   10 step:varint   2a n   0a n value
        └ Event.1        └ Event.2        └ Event.5 summary
          (both are left out when zero)          └ Summary.1 value

    Args:
        value: The value, with its tag.
        step: Within int64.
        wall_time: Seconds since 1970.
    """
    content = value.SerializeToString(deterministic=True)
    size = varint(len(content))
    seconds = _DOUBLE.pack(wall_time)
    parts = (
        b"\x09" + seconds if any(seconds) else b"",
        b"\x10" + varint(step & 0xFFFF_FFFF_FFFF_FFFF) if step else b"",
        b"\x2a" + varint(1 + len(size) + len(content)),
        b"\x0a" + size,
        content,
    )
    return b"".join(parts)


class Call:
    """One call of a method that logs, with its checked arguments.

    Args:
        writer: The writer. A closed one raises before anything is converted.
        method: The method's name, for errors.
        tag: The tag.
        global_step: The step. None is the next one of the tag.
        walltime: Seconds since 1970. None is now.

    Attributes:
        where: The method and the tag, `add_text('note')`: each error of the call begins with it.
        tag: The tag, which is valid.
        step: The step as an int, or None.
        wall_time: The time as a float.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is wrong.
        WriterClosedError: The writer is closed.
    """

    __slots__ = ("step", "tag", "wall_time", "where")

    def __init__(
        self,
        writer: Recording,
        method: str,
        tag: str,
        global_step: Step | None = None,
        walltime: Seconds | None = None,
    ) -> None:
        self.tag = arguments.tag(tag, method)
        self.where = f"{method}({tag!r})"
        writer._check_open()
        # The usual cases take no call, since calls are much of what a small record costs.
        self.step = None if global_step is None else writer._check_step(global_step, self.where)
        self.wall_time = (
            time.time() if walltime is None else writer._check_wall_time(walltime, self.where)
        )


class Recording:
    """A run that records are appended to: its tags, its steps, and the lock that guards them.

    Args:
        log_dir: The run's directory, for messages.
        file_options: `max_queue`, `flush_secs`, `filename_suffix` and `max_pending_bytes` of the
            event file.
    """

    def __init__(self, log_dir: str, file_options: dict[str, Any]) -> None:
        self._log_dir = log_dir
        self._file_options = file_options
        # Guards tags, steps, and the choice of the file. It is this writer's own, so that one
        # writer never waits for another.
        self._guard = Guard()
        self._next_steps: dict[str, int] = {}
        self._kinds: dict[str, str] = {}
        self._warned: set[tuple[str, str]] = set()
        self._states: dict[type, Any] = {}
        self._side_files: dict[type, SideFiles] = {}
        # True where the directory holds an earlier run, until a call without a step was warned of.
        self._continues = False
        self._closed = False
        # Parts of the current file, for the hot paths of `add_scalar` and `log`.
        self._rows = bytearray()
        self._tag_ids: dict[str, int] = {}
        self._packers: dict[tuple[str, ...], Packer] = {}
        self._back_pressure: BackPressure

    @property
    def _lock(self) -> RLock:
        """This writer's own lock: no writer waits for another."""
        return self._guard.lock

    def _current_file(self) -> EventFile:
        """Return the file to append to. In a child process it is made here.

        Raises:
            WriterClosedError: The writer is closed.
        """
        raise NotImplementedError

    def _check_open(self) -> None:
        if self._closed:
            raise WriterClosedError(f"{self._log_dir}: the writer was closed. Open a new one.")

    def _write(self, call: Call, kind: str, value: Summary.Value) -> None:
        """Append one value.

        Args:
            call: The call that made it.
            kind: The plural name of its kind, such as "histograms".
            value: The value. Its tag is set here.
        """
        with self._lock:
            value.tag = self._claim(call.tag, kind, call.where)
            step = self._take_step((value.tag,), call.step, call.where)
            payload = event_of(value, step, call.wall_time)
            self._current_file().put(frame(payload))

    def _put(self, event: Event) -> None:
        """Append an event."""
        self._current_file().put(frame(event.SerializeToString(deterministic=True)))

    def _check_step(self, global_step: Step | None, where: str) -> int | None:
        if global_step is None or (type(global_step) is int and global_step in arguments.INT64):
            return global_step  # the usual cases, for which no message is made
        return arguments.step(global_step, f"{where}: global_step")

    def _check_wall_time(self, walltime: Seconds | None, where: str) -> float:
        if walltime is None:
            return time.time()
        return arguments.wall_time(walltime, f"{where}: walltime")

    def _claim(self, tag: str, kind: str, where: str) -> str:
        """Return the tag to write: another one where this tag holds records of another kind.

        TensorBoard shows a tag as one kind only. Of two kinds its default reader shows neither.
        The lock is held.
        """
        if self._kinds.setdefault(tag, kind) == kind:
            return tag
        other = f"{tag}/{kind}"
        if self._kinds.setdefault(other, kind) != kind:
            return self._claim(other, kind, where)
        self._warn_once(
            "claimed",
            tag,
            f"{where}: {tag!r} holds {self._kinds[tag]} already, and TensorBoard shows one kind "
            f"for a tag. Its {kind} are written as {other!r}.",
        )
        return other

    def _take_step(self, tags: tuple[str, ...], step: int | None, where: str) -> int:
        """Return the step to write. None becomes the next step that is new for all the tags.

        The lock is held.
        """
        if step is not None:
            return step
        if self._continues:
            self._continues = False
            warn_caller(
                f"{where}: no global_step was given, so steps count from 0, but "
                f"{self._current_file().path.parent} holds events of an earlier run, and the new "
                "points may replace its points. Pass global_step."
            )
        following = self._next_steps
        step = following.get(tags[0], 0)
        for tag in tags[1:]:
            step = max(step, following.get(tag, 0))
        for tag in tags:
            following[tag] = step + 1
        return step

    def _warn_once(self, topic: str, tag: str, message: str) -> None:
        """Warn of a topic, the first time that it concerns a tag."""
        if (topic, tag) not in self._warned:
            self._warned.add((topic, tag))
            warn_caller(message)

    def _warn_once_of(self, tag: str, topic: str, message: str) -> None:
        """Warn of a tag's topic, the first time."""
        self._warn_once(topic, tag, f"{message} This tag brings no more such warnings.")

    def _state(self, make: type[State]) -> State:
        """Return the state that a kind keeps in this writer; it is made at first use."""
        found = self._states.get(make)
        if found is None:
            found = self._states.setdefault(make, make())
        return cast("State", found)

    def _beside(self, make: type[Side]) -> Side:
        """Return the files that a kind writes beside the event file; they are made at first use.

        The lock is held.
        """
        file = self._current_file()
        found = self._side_files.get(make)
        if found is None:
            found = self._side_files[make] = make(
                file.path.parent,
                flush_secs=file.flush_secs,
                max_pending_bytes=self._file_options["max_pending_bytes"],
            )
            # A writer that the program has dropped is closed. At the interpreter's exit the
            # background thread does it.
            weakref.finalize(self, found.close_later).atexit = False
        return cast("Side", found)
