"""EventFileWriter: events that the caller has made, in one event file."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError, Message

from eventwriter._file.event_file import (
    DEFAULT_MAX_PENDING_BYTES,
    DEFAULT_MAX_QUEUE,
    EventFile,
)
from eventwriter._file.failing_disk import close_after
from eventwriter._file.framing import frame
from eventwriter._file.presence import Presence
from eventwriter._proto.event_pb2 import Event
from eventwriter._proto.summary_pb2 import Summary
from eventwriter._values import arguments
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from eventwriter.typing import PathLike, Seconds, Step

# TensorFlow's core/util/event.proto and core/framework/summary.proto, copied under other names.
# Python has a class of its own for each copy, so that messages are taken by their bytes.
_PACKAGES = ("eventwriter", "tensorboard", "tensorboardX", "tensorflow")


class EventFileWriter:
    """Appends events to one new event file.

    `SummaryWriter` makes the events itself. This class is for programs that have events already:
    this package's own, or those of TensorBoard, tensorboardX or TensorFlow.

    The file is created at once and exclusively, and begins with the file version. Its name is
    `events.out.tfevents.<seconds>.<host>.<pid>.<counter><suffix>`, padded with zeros, because
    TensorBoard reads the files of a run in the order of their names. The seconds are the later of
    now and one more than the newest there, so that a restart sorts last even when the clock went
    back. After `close`, and in a forked child, the writer takes no more events.

    Args:
        log_dir: Directory of the run. It is made where missing.
        max_queue: Pending events that wake the background thread before its time. 0 means the
            default.
        flush_secs: Seconds after which the background thread writes what is pending.
        filename_suffix: Appended to the file's name.
        max_pending_bytes: Memory that pending events may take, in bytes. Only a failing or very
            slow disk makes them take more. Events beyond it are dropped and counted; `flush` and
            `close` raise the count.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is of the wrong kind.
        OSError: The directory or the file cannot be made. It names the path.
    """

    def __init__(
        self,
        log_dir: PathLike,
        *,
        max_queue: int = DEFAULT_MAX_QUEUE,
        flush_secs: float = 5,
        filename_suffix: str = "",
        max_pending_bytes: int = DEFAULT_MAX_PENDING_BYTES,
    ) -> None:
        self._file = EventFile(
            log_dir,
            max_queue=max_queue,
            flush_secs=flush_secs,
            filename_suffix=filename_suffix,
            max_pending_bytes=max_pending_bytes,
        )
        file = self._file
        self._presence = Presence(file.path, lambda: not file.closed)
        # A writer that the program has dropped is closed. At the interpreter's exit the background
        # thread does it.
        weakref.finalize(self, self._file.close_later).atexit = False

    @property
    def path(self) -> Path:
        """The event file."""
        return self._file.path

    @property
    def closed(self) -> bool:
        """Whether the writer takes no more events."""
        return self._file.closed

    def add_event(
        self, event: Event | Message, step: Step | None = None, walltime: Seconds | None = None
    ) -> None:
        """Append an event, as it is now. What the caller changes afterwards is not written.

        Args:
            event: An `eventwriter.Event`, or an Event of TensorBoard, tensorboardX or
                TensorFlow. Or a Summary of any of them, which becomes an event of now.
            step: Written in place of the event's own step.
            walltime: Seconds since 1970, written in place of the event's own time.

        Raises:
            ArgumentTypeError: The event is no such message.
            ArgumentValueError: A time is not finite, or the step is beyond int64.
            WriterClosedError: The writer was closed, or this is a forked child.

        Warns:
            EventWriterWarning: Another live writer is in the directory. The warning comes once.
        """
        own = event if isinstance(event, Event) else _to_event(event)
        if step is not None or walltime is not None:
            changed = Event()
            changed.CopyFrom(own)
            if step is not None:
                changed.step = arguments.step(step, "add_event: step")
            if walltime is not None:
                changed.wall_time = arguments.wall_time(walltime, "add_event: walltime")
            own = changed
        arguments.wall_time(own.wall_time, "add_event: wall_time")
        if self._presence.suspects:
            self._presence.warn_of_others()
        self._file.put(frame(own.SerializeToString()))

    def flush(self, *, sync: bool = False) -> None:
        """Return when everything that was added before can be read from the file.

        Args:
            sync: Also have the operating system put it on the disk (fsync). A power cut then does
                not undo it.

        Raises:
            WriteError: The disk refused, or events were lost since the last such error.
        """
        self._file.flush(sync=sync)

    def close(self) -> None:
        """Flush and close the file. To close twice does no harm.

        Raises:
            WriteError: As in `flush`. What could not be written is tried again in the background,
                at the next `close`, and at the interpreter's exit.
        """
        self._file.close()

    def __enter__(self) -> EventFileWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        close_after(error, self.close)


def _to_event(message: object) -> Event:
    """Return an Event or a Summary of any package as an event of ours.

    Fields that our schema does not know stay in the event.

    Raises:
        ArgumentTypeError: The message is neither.
    """
    got = type_name(message)
    if isinstance(message, Message):
        got = message.DESCRIPTOR.full_name
        package, _, name = got.rpartition(".")
        if package in _PACKAGES and name in ("Event", "Summary"):
            return _parsed(message.SerializeToString(), name)
    raise ArgumentTypeError(
        "add_event: expected an Event or a Summary of eventwriter, TensorBoard, tensorboardX or "
        f"TensorFlow, got {got}. Make one with eventwriter.Event."
    )


def _parsed(content: bytes, name: str) -> Event:
    try:
        if name == "Event":
            return Event.FromString(content)
        return Event(wall_time=time.time(), summary=Summary.FromString(content))
    except DecodeError as error:
        raise ArgumentTypeError(
            f"add_event: expected a message whose bytes are those of TensorBoard's {name}, got "
            f"others: {error}. Make one with eventwriter.Event."
        ) from error
