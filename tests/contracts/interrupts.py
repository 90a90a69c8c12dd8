"""Interrupts at every place where they can come."""

from __future__ import annotations

import contextlib
import dis
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

# CPython runs a signal's handler after a call, when a function begins and when a loop goes back;
# never, say, between entering a `with` and its first statement.
_BEFORE_A_HANDLER = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE")


@contextlib.contextmanager
def at_place(number: int, interrupt: Callable[[], None], *modules: str) -> Iterator[list[str]]:
    """Call `interrupt` where a signal could come for the `number`-th time in these modules.

    Yields:
        A list: empty, or with the place where it was interrupted.
    """
    where: list[str] = []
    count = 0
    previous: dict[FrameType, str] = {}

    def trace(frame: FrameType, event: str, _argument: object) -> Callable | None:
        nonlocal count
        if not frame.f_globals.get("__name__", "").startswith(modules):
            return None
        frame.f_trace = trace  # Python 3.13 traces opcodes of frames that have one already
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode" and not where:
            before = previous.get(frame, "RESUME")
            previous[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(_BEFORE_A_HANDLER):
                count += 1
                if count > number:
                    code = frame.f_code
                    where.append(f"{code.co_filename}:{frame.f_lineno}, {code.co_name}")
                    interrupt()
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks this frame
    gc.disable()  # a finalizer would be interrupted, and where it runs is chance
    sys.settrace(trace)
    try:
        yield where
    finally:
        sys.settrace(before)
        gc.enable()
        previous.clear()
