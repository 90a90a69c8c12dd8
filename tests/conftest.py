"""Settings for all tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A deadline for each example, and the check of how fast examples are made, would measure the
# machine. pytest-timeout bounds the whole test. The examples are the same in each run, so that the
# same code passes or fails. Others are tried with `--hypothesis-profile=explore`.
settings.register_profile(
    "eventwriter",
    deadline=None,
    print_blob=True,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("eventwriter"), derandomize=False, max_examples=1000
)
settings.load_profile("eventwriter")

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that. Tests
# that press it need what a terminal gives.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def shared_state() -> dict[str, Any]:
    """Return what belongs to the whole process, and what a test might leave changed."""
    status = Path("/proc/self/status")
    masks = status.read_text().partition("Umask:")[2].split() if status.exists() else []
    return {
        "working directory": Path.cwd(),
        "umask": masks[:1],
        "switch interval": sys.getswitchinterval(),
        "garbage collection": gc.isenabled(),
        "trace function": sys.gettrace(),
        "handler of SIGINT": signal.getsignal(signal.SIGINT),
        "handler of SIGTERM": signal.getsignal(signal.SIGTERM),
        "hooks for errors": (sys.excepthook, threading.excepthook),
        "os.pwrite": os.pwrite,
    }


@pytest.fixture(autouse=True)
def _nothing_is_left_changed() -> Iterator[None]:
    """Fail the test that changes what later tests share, and not one of these."""
    before = shared_state()
    yield
    assert before == shared_state()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The directory of a run that holds an event file, as it does once a writer is open."""
    path = tmp_path / "train"
    path.mkdir()
    (path / "events.out.tfevents.0000000001.host.0000001.000000").touch()
    return path
