"""How long tests wait for what must come. No test asserts that something is fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_SECS = 100.0
"""Far more than anything takes, on a machine so busy that threads pause for seconds.

pytest's own limit for a test, in pyproject.toml, is longer: the wait that fails can say for what.
"""

POLL_SECS = 0.01


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Call `condition` until it returns something true.

    Raises:
        AssertionError: `LONG_SECS` passed. It says what did not come.
    """
    deadline = time.monotonic() + LONG_SECS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {LONG_SECS:g} s"
        time.sleep(POLL_SECS)
