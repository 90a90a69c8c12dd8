"""Imports within functions, which a fork must not cut in two.

Some modules are imported when they are first needed. While a thread imports a module, Python holds
a lock for it. A fork at that moment copies the locked lock, but not the thread: a child that needs
the module would wait for ever. So each import within a function is made under one lock of ours, and
a fork waits for that lock:

    from eventwriter._imports import importing

    with importing():
        from eventwriter.graphs import for_page

Such an import may be of a package that only an extra installs: see `missing_extra`.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventwriter.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORK_WAIT_SECS = 10.0
"""How long a fork waits for an import: far longer than any import takes, and not for ever."""

# Re-entrant: a module that is being imported may import another one this way, and may fork.
_lock = threading.RLock()
_held_for_fork = False


@contextmanager
def importing() -> Iterator[None]:
    """Make the imports in the block so that no fork comes between."""
    with _lock:
        yield


def missing_extra(place: str, package: str, extra: str) -> MissingDependencyError:
    """Return the error of a call that needs a package which is not installed.

    Args:
        place: The call.
        package: The name of the package.
        extra: The extra of eventwriter that installs it.
    """
    # Double quotes, because a Windows prompt knows no others.
    return MissingDependencyError(
        f"{place}: expected {package} to be installed for {sys.executable}. "
        f'Run: pip install "eventwriter[{extra}]"'
    )


def _before_fork() -> None:
    global _held_for_fork  # noqa: PLW0603 - from before the fork to after it
    _held_for_fork = _lock.acquire(timeout=FORK_WAIT_SECS)


def _after_fork_in_parent() -> None:
    if _held_for_fork:
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may hold the old one
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
