"""Warnings that point at the user's line, and warnings from a background thread."""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import TYPE_CHECKING

from eventwriter.errors import EventWriterWarning

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import TypeAlias

    # A function that warns of a topic, such as "clipped". It may tell of each topic once.
    Warn: TypeAlias = Callable[[str, str], None]


def warn_caller(message: str) -> None:
    """Warn at the user's line: the innermost line of the current call outside of this package."""
    _, level = _caller()
    warnings.warn(message, EventWriterWarning, stacklevel=level)


def warn_each_time(_topic: str, message: str) -> None:
    """Warn at the user's line, of each topic each time."""
    warn_caller(message)


def caller_place() -> str:
    """Return the user's line, as `train.py:12`, where `warn_caller` would point."""
    frame, _ = _caller()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def warn_from_thread(message: str) -> None:
    """Warn, and never raise: nobody could catch the exception of a background thread.

    Where a warning fails (a filter makes warnings errors, a hook raises, stderr is closed), the
    message is printed to stderr if possible.
    """
    try:
        warnings.warn(message, EventWriterWarning, stacklevel=3)
    except Exception:  # noqa: BLE001 - see the docstring
        with contextlib.suppress(Exception):
            print(f"EventWriterWarning: {message}", file=sys.stderr)


def _caller() -> tuple[FrameType, int]:
    """Return the frame of the user's line, and its stack level for the function that asks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    return frame, level


def _is_ours(module: str) -> bool:
    # A class that derives from abc.ABC is made by a line in abc, which the user's line calls.
    return module in {"eventwriter", "abc"} or module.startswith("eventwriter.")
