"""Keras has one backend in a process, and here that is JAX: torch needs a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.patience import LONG_SECS

ROOT = Path(__file__).parents[3]


def test_on_torch() -> None:
    """All that `test_keras` holds on JAX holds on torch too."""
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/frameworks/integrations/test_keras.py"],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * LONG_SECS,
        check=False,
    )
    assert 0 == child.returncode, child.stdout + child.stderr
