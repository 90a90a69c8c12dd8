"""What happens to records while the disk refuses, hangs or is slow. One policy for all files.

- Training goes on: a call that logs never raises what only the disk shows.
- Nothing is given up: records that could not be written wait in memory, and every drain tries
  again.
- A warning tells of the first error. Later errors are silent until everything was written once.
- Memory is bounded. When `max_pending_bytes` wait, a caller waits for the disk, once and for
  `MAX_WAIT_SECS` at most. After that, new records are dropped and counted until there is room.
- `flush` and `close` raise `WriteError`: the reason, the number of records that wait, and the
  number that was lost since the last such error.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol, cast

from eventwriter._file import flusher
from eventwriter._file.guard import Guard
from eventwriter._warn import warn_from_thread
from eventwriter.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MAX_WAIT_SECS = 1.0
"""How long a caller waits for room when memory runs full."""


class Waiting(Protocol):
    """Records that wait to be written."""

    def pending_bytes(self) -> int:
        """Return the memory that waits, in bytes."""

    def pending_records(self) -> int:
        """Return the number of records that wait."""


class FailingDisk:
    """The policy for one file or directory, and what was found of its disk so far.

    Args:
        path: The file or directory, for messages.
        noun: What waits, in the plural and capitalised, for messages.
        max_pending_bytes: Memory that waiting records may take, in bytes.
        waiting: The records that wait.

    Attributes:
        path: The argument.
        error: The last error; None once everything was written.
        full: Whether memory was full when somebody last looked. New records must then ask
            `has_room`.
    """

    def __init__(self, path: Path, noun: str, max_pending_bytes: int, waiting: Waiting) -> None:
        self.error: Exception | None = None
        self.full = False
        self.path = path
        self._noun = noun
        self._max_pending_bytes = max_pending_bytes
        self._waiting = waiting
        self._count_guard = Guard()
        self._lost = 0
        self._lost_reason = ""

    def is_full(self) -> bool:
        """Return whether `max_pending_bytes` wait."""
        return self._waiting.pending_bytes() >= self._max_pending_bytes

    def wait_for_room(self) -> bool:
        """Return whether memory has room. When it has just run full, wait for the disk first.

        A disk that has refused is not waited for.
        """
        if not self.is_full():
            self.full = False
        elif not self.full:
            if self.error is None:
                flusher.wait(MAX_WAIT_SECS, self._waiting)
            self.full = self.is_full()
        return not self.full

    def has_room(self, records: int) -> bool:
        """Return whether memory has room for records. If not, count them as lost."""
        if self.wait_for_room():
            return True
        self.count_lost(f"more than max_pending_bytes={self._max_pending_bytes} waited", records)
        return False

    def count_lost(self, reason: str, records: int) -> None:
        """Count records that will not be written. `flush` raises the count and the last reason."""
        with self._count_guard.lock:
            self._lost += records
            self._lost_reason = reason

    def run(self, drain: Callable[[], None]) -> None:
        """Call `drain` for a caller who can handle an error.

        Raises:
            WriteError: `drain` raised, or records were lost since the last such error.
        """
        try:
            drain()
        except Exception as error:
            self.error = error
            raise self._write_error() from error
        if self._lost:
            raise self._write_error()

    def run_in_background(self, drain: Callable[[], None]) -> None:
        """Call `drain` where no caller can handle an error. Keep it, and warn of the first."""
        try:
            drain()
        except Exception as error:  # noqa: BLE001 - it must not end the thread or the training
            is_first, self.error = self.error is None, error
            if is_first:
                warn_from_thread(f"{self._describe()} Training goes on.")

    def _write_error(self) -> WriteError:
        """Return what `flush` raises, and reset the count of losses."""
        with self._count_guard.lock:
            message = self._describe()
            lost, self._lost = self._lost, 0
        error = self.error
        is_system = isinstance(error, OSError) and not isinstance(error, WriteError)
        cause = cast("OSError", error) if is_system else None
        pending = self._waiting.pending_records()
        path = self._error_path()
        return WriteError(message, path=path, cause=cause, pending=pending, lost=lost)

    def _describe(self) -> str:
        error = self.error
        text = f"{self._error_path()}:"
        if error is not None:
            reason = (error.strerror if isinstance(error, OSError) else None) or repr(error)
            text += (
                f" writing failed: {reason.removesuffix('.')}. {self._noun} that wait in memory "
                f"and are tried again: {self._waiting.pending_records()}."
            )
        if self._lost:
            text += f" {self._noun} lost: {self._lost} ({self._lost_reason})."
        return text

    def _error_path(self) -> str:
        """Return the path that the system's error names, or else the path of the file."""
        named = self.error.filename if isinstance(self.error, OSError) else None
        return str(named or self.path)


def call_all(actions: Iterable[Callable[[], None]]) -> None:
    """Call each of them, also after an error.

    Raises:
        WriteError: One of them raised it, or several did: then it has the messages and the counts
            of all, and the path and the cause of the first.
    """
    errors: list[WriteError] = []
    with contextlib.ExitStack() as everything:
        for action in reversed(list(actions)):  # A stack calls the last one first.
            everything.callback(_keep_error, action, errors)
    if not errors:
        return
    first = errors[0]
    if len(errors) == 1:
        raise first
    raise WriteError(
        " ".join(error.message for error in errors),
        path=first.filename,
        cause=next((error.cause for error in errors if error.cause is not None), None),
        pending=sum(error.pending for error in errors),
        lost=sum(error.lost for error in errors),
    ) from first


def _keep_error(action: Callable[[], None], errors: list[WriteError]) -> None:
    try:
        action()
    except WriteError as error:
        errors.append(error)


def close_after(error: BaseException | None, close: Callable[[], None]) -> None:
    """Close at the end of a `with` block.

    Args:
        error: The exception that left the block, or None.
        close: The method that closes.

    Raises:
        WriteError: As in `close`. When an exception left the block, the user needs to see that one:
            the WriteError becomes a warning.
    """
    try:
        close()
    except WriteError as failure:
        if error is None:
            raise
        warn_from_thread(str(failure))
