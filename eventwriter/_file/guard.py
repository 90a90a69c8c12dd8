"""A lock that cannot hang the end of the interpreter."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _thread import RLock


_is_finalizing = sys.is_finalizing


class Guard:
    """Gives out a re-entrant lock: `with guard.lock:`.

    The lock is re-entrant because a signal handler or a finalizer may log while its own thread is
    inside the block.

    When the interpreter ends, it stops its daemon threads where they are. A thread that was inside
    the block then holds the lock for ever, and a `__del__` that logs or closes would wait for ever.
    So at that time a lock that another thread holds is replaced: no other thread runs any more.
    The code in the block can be cut off at any line, and must still work when it is entered again.
    Interrupts demand that anyway.

    This is not a context manager of its own: an interrupt could come within its `__enter__`, after
    the lock was taken. The lock itself is written in C.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock: RLock = threading.RLock()

    @property
    def lock(self) -> RLock:
        """The lock. Read this property at each use, because the lock may have been replaced."""
        if _is_finalizing():
            if self._lock.acquire(blocking=False):
                self._lock.release()
            else:
                self._lock = threading.RLock()
        return self._lock
