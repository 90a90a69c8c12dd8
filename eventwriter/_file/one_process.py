"""A lock that keeps a file for one process: two of them would garble it.

The writers of one process may share a file, because a training that was left open by an error must
not keep the next one from its file. Where the system or the file system has no locks, any process
may write.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

_BUSY = frozenset({errno.EACCES, errno.EAGAIN})
# The files that this process has locked, with the descriptor that has the lock.
_ours: dict[str, int] = {}


def lock(descriptor: int, path: Path) -> bool:
    """Lock an open file until `unlock`.

    Returns:
        Whether this process may write the file. False: another process has locked it.
    """
    if fcntl is None:
        return True
    name = str(path.resolve())
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY or name in _ours
    _ours[name] = descriptor
    return True


def unlock(descriptor: int, path: Path) -> None:
    """Give the file up, before its descriptor is closed.

    To close it is not enough: a forked child may have the descriptor too.
    """
    name = str(path.resolve())
    if fcntl is not None and _ours.get(name) == descriptor:
        del _ours[name]
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_UN)


if hasattr(os, "register_at_fork"):
    # The locks are the parent's.
    os.register_at_fork(after_in_child=_ours.clear)
