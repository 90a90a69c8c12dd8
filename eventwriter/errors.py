"""What can go wrong, as one tree.

    EventWriterError
    ├── ArgumentTypeError        (also TypeError)     an argument's type, dtype or shape
    ├── ArgumentValueError       (also ValueError)    an argument's value
    ├── WriterClosedError        (also RuntimeError)  a call after close()
    ├── WriteError               (also OSError)       the disk refused, or records were lost
    ├── CorruptFileError         (also ValueError)    a record that cannot be read
    │   └── TruncatedFileError                        a file that ends inside a record
    └── MissingDependencyError   (also ImportError)   an extra that is not installed

    EventWriterWarning           (a UserWarning)      training goes on; something is worth knowing

Each message says where, what was found, what was expected, and what to do.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any


class EventWriterError(Exception):
    """Base of every exception that this package raises on purpose."""


class ArgumentTypeError(EventWriterError, TypeError):
    """An argument has a type, dtype or shape that its call cannot take. Nothing was written."""


class ArgumentValueError(EventWriterError, ValueError):
    """An argument has a value that its call cannot take. Nothing was written."""


class WriterClosedError(EventWriterError, RuntimeError):
    """The writer was closed before this call."""


class WriteError(EventWriterError, OSError):
    """Data could not be written, or was lost.

    `errno` and `filename` are the operating system's, as in any OSError; `strerror` is the message.

    Attributes:
        cause: The operating system's error, if that is what it was.
        pending: Records that wait in memory and are tried again.
        lost: Records that were dropped since the last error that reported any.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str],
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
        # A process pool sends a worker's error to its parent.
        options = {"path": self.filename, "cause": self.cause}
        options |= {"pending": self.pending, "lost": self.lost}
        return partial(WriteError, **options), (self.message,)


class CorruptFileError(EventWriterError, ValueError):
    """A record's checksum or content is wrong.

    Attributes:
        path: The file.
        record: Index of the record, from 0.
        offset: Byte at which the record starts.
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


class MissingDependencyError(EventWriterError, ImportError):
    """Something optional was asked for and its extra is not installed."""


class EventWriterWarning(UserWarning):
    """Something worth knowing that is no reason to disturb training."""
