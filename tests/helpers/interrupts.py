"""Interrupts at every place where they can come."""

from __future__ import annotations

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


# A place is given up after so many calls that did not come to it: the background thread may have
# done a call's work before it.
_TRIES = 20
_MOST_PLACES = 3000


def at_every_place(
    interrupt: Callable[[], None], *modules: str, least: int
) -> Iterator[tuple[int, Place]]:
    """Count attempts, each with the place where it is to be interrupted.

    Args:
        interrupt: What to call there.
        modules: Beginnings of the names of the modules to interrupt.
        least: How many places there are, at the least.
    """
    attempt = number = tries = 0
    while tries < _TRIES:
        place = Place(number, interrupt, *modules)
        yield attempt, place
        attempt += 1
        if place.where:
            number, tries = number + 1, 0
            assert number < _MOST_PLACES
        else:
            tries += 1
    assert number >= least


class Place:
    """Calls `interrupt` where a signal could come for the `number`-th time in these modules.

    Attributes:
        where: The place; empty where the block ended before it.
    """

    def __init__(self, number: int, interrupt: Callable[[], None], *modules: str) -> None:
        self.where = ""
        self._left = number
        self._interrupt = interrupt
        self._modules = modules
        self._previous: dict[FrameType, str] = {}

    def __enter__(self) -> None:
        self._before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 asks this frame
        gc.disable()  # a finalizer would be interrupted, and where it runs is chance
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)
        gc.enable()
        self._previous.clear()

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Callable | None:
        if not frame.f_globals.get("__name__", "").startswith(self._modules):
            return None
        frame.f_trace = self._trace  # Python 3.13 traces opcodes of frames that have one already
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode" and not self.where:
            before = self._previous.get(frame, "RESUME")
            self._previous[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(_BEFORE_A_HANDLER):
                self._left -= 1
                if self._left < 0:
                    code = frame.f_code
                    self.where = f"{code.co_filename}:{frame.f_lineno}, {code.co_name}"
                    self._interrupt()
        return self._trace
