"""The program `eventwriter` in a process of its own, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.helpers.children import environment
from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from pathlib import Path


def cli(
    *arguments: str, without: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end. Importing the module `without` fails there."""
    block = f"sys.modules[{without!r}] = None; " if without else ""
    script = f"import sys; {block}from eventwriter.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECS,
    )
