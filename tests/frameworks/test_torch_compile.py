"""Logging inside of torch.compile: a compiled function logs the same as the plain function."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from eventwriter import EventFileReader
from tests.helpers.calls import MINIMAL
from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")  # torch says that it leaves the compiled graph
{imports}
from tests.helpers.calls import MINIMAL, call
compiled, plain = eventwriter.SummaryWriter(sys.argv[1]), eventwriter.SummaryWriter(sys.argv[2])

def train(writer, x):
    y = x * 2
    writer.add_scalar("traced/scalar", y.sum(), 1)
    writer.log({{"traced/log": y.mean(), "traced/float": 0.5}}, 1)
    writer.add_scalar_series("traced/series", y, [1, 2, 3, 4], [1.0, 1.0, 1.0, 1.0])
    writer.add_histogram("traced/histogram", y, 1)
    writer.add_image("traced/image", y.reshape(1, 2, 2) / 10, 1)
    writer.add_embedding(y.reshape(2, 2), ["a", "b"], tag="traced")
    for method in MINIMAL:
        call(writer, method)
    writer.flush()
    return y + 1

x = torch.arange(4.0)
expected = train(plain, x)
assert torch.equal(expected, torch.compile(train, backend="eager")(compiled, x))
assert torch.equal(expected, torch.compile(train, backend="eager")(compiled, x))
"""


@pytest.mark.parametrize("order", ["import torch, eventwriter", "import eventwriter, torch"])
def test_every_method_inside_a_compiled_function(tmp_path: Path, order: str) -> None:
    """Every method that logs, and `flush`, do in a compiled function what they do in a plain one.

    Catches: torch that traces our NumPy code, which ended the training, and lost in `flush` what
    had been logged.
    """
    directories = tmp_path / "compiled", tmp_path / "plain"
    command = [sys.executable, "-c", SCRIPT.format(imports=order), *map(str, directories)]
    child = subprocess.run(
        command, capture_output=True, text=True, timeout=2 * LONG_SECS, check=False
    )
    assert 0 == child.returncode, child.stderr[-3000:]
    compiled, plain = (
        [
            str(event).partition("\n")[2]  # the first line is the wall time
            for path in directory.glob("*tfevents*")
            for event in EventFileReader(path)
        ][1:]
        for directory in directories
    )

    assert len(plain) > len(MINIMAL)
    # The compiled function ran twice; what counts its own steps went on.
    assert plain == compiled[: len(plain)]
    assert 2 * len(plain) == len(compiled)
    assert '"traced:00000"' in (directories[0] / "projector_config.pbtxt").read_text()
