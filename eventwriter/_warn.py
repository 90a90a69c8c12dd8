"""Warnings: at the line of the user's that brought them about, or from a thread that has none."""

from __future__ import annotations

import contextlib
import sys
import warnings

from eventwriter.errors import EventWriterWarning


def warn_caller(message: str) -> None:
    """Warn of the call that is being made, at the first line outside of this package."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, EventWriterWarning, stacklevel=level)


def warn_quietly(message: str) -> None:
    """Warn, and never raise: a background thread has nobody to raise to, and must go on.

    Where warnings are errors, or a hook or stderr fails, the message goes to stderr if it can.
    """
    try:
        warnings.warn(message, EventWriterWarning, stacklevel=3)
    except Exception:  # noqa: BLE001 - a filter, a hook of the user's, a stderr that is closed
        with contextlib.suppress(Exception):
            print(f"EventWriterWarning: {message}", file=sys.stderr)


def _is_ours(module: str) -> bool:
    return module == "eventwriter" or module.startswith("eventwriter.")
