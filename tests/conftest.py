"""Settings for all tests."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pathlib import Path

# A deadline for each example would measure the machine; pytest-timeout bounds the whole test.
settings.register_profile("eventwriter", deadline=None, print_blob=True)
settings.load_profile("eventwriter")

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that. Tests
# that press it need what a terminal gives.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The directory of a run that holds an event file, as it does once a writer is open."""
    path = tmp_path / "train"
    path.mkdir()
    (path / "events.out.tfevents.0000000001.host.0000001.000000").touch()
    return path
