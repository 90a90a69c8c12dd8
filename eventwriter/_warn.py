"""Warnings that point at the user's line, and warnings from a background thread."""

from __future__ import annotations

import contextlib
import sys
import warnings

from eventwriter.errors import EventWriterWarning


def warn_caller(message: str) -> None:
    """Warn at the user's line: the innermost line of the current call outside of this package."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, EventWriterWarning, stacklevel=level)


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


def _is_ours(module: str) -> bool:
    # A class that derives from abc.ABC is made by a line in abc, which the user's line calls.
    return module in {"eventwriter", "abc"} or module.startswith("eventwriter.")
