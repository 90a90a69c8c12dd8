"""Everything that this package raises or warns of.

Exceptions:

    EventWriterError
    ├── ArgumentTypeError        (also TypeError)     an argument has a wrong type, dtype or shape
    ├── ArgumentValueError       (also ValueError)    an argument has a wrong value
    ├── WriterClosedError        (also RuntimeError)  a call came after close()
    ├── WriteError               (also OSError)       the disk refused, or records were lost
    ├── CorruptFileError         (also ValueError)    a record cannot be read
    │   └── TruncatedFileError                        a file ends inside a record
    ├── ViewerError                                   TensorBoard did not start, or ended
    └── MissingDependencyError   (also ImportError)   an extra is not installed

Warnings, after which training goes on:

    UserWarning
    └── EventWriterWarning

Each message has one form: `place: expected this, got that. Remedy.`
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventwriter.typing import PathLike


class EventWriterError(Exception):
    """Base of every exception that this package raises on purpose."""


class ArgumentTypeError(EventWriterError, TypeError):
    """An argument has a type, dtype or shape that its call does not accept. Nothing was written."""


class ArgumentValueError(EventWriterError, ValueError):
    """An argument has a value that its call does not accept. Nothing was written."""


class WriterClosedError(EventWriterError, RuntimeError):
    """The writer was closed before this call."""


class WriteError(EventWriterError, OSError):
    """Data could not be written, or was lost.

    As in any OSError, `errno` and `filename` are those of the operating system. `strerror` is the
    message.

    Attributes:
        cause: The operating system's error, if there was one.
        pending: Records that wait in memory. They are tried again.
        lost: Records that were dropped since the last error that reported any.
    """

    def __init__(
        self,
        message: str,
        *,
        path: PathLike,
        cause: OSError | None = None,
        pending: int = 0,
        lost: int = 0,
    ) -> None:
        super().__init__(cause.errno if cause else None, message, os.fspath(path))
        self.message = message
        self.cause = cause
        self.pending = pending
        self.lost = lost

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # A process pool pickles the error of a worker and sends it to the parent.
        options = {"path": self.filename, "cause": self.cause}
        options |= {"pending": self.pending, "lost": self.lost}
        return partial(WriteError, **options), (self.message,)


class CorruptFileError(EventWriterError, ValueError):
    """A record has a wrong checksum or content.

    Attributes:
        path: The file.
        record: Index of the record, from 0.
        offset: The byte at which the record starts.
    """

    def __init__(self, message: str, path: str, record: int, offset: int) -> None:
        super().__init__(f"{path}: record {record} at byte {offset}: {message}")
        self.message = message
        self.path = path
        self.record = record
        self.offset = offset

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.path, self.record, self.offset)


class TruncatedFileError(CorruptFileError):
    """A file ends inside a record: its writer was killed, or is still writing."""


class ViewerError(EventWriterError):
    """TensorBoard did not start, or ended by itself. The message holds what it printed."""


class MissingDependencyError(EventWriterError, ImportError):
    """A call needs a package that is not installed. The message names the extra that brings it."""


class EventWriterWarning(UserWarning):
    """Something is worth knowing, and is no reason to stop training."""
