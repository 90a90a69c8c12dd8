"""The libraries that are compared, and the face that all of them get here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np


class Writer(Protocol):
    """An open writer. What a library has no call for raises `question.NotMeasuredError`.

    Where a library's own method has the same arguments, it stands here itself, so that no
    call of ours is measured with it.
    """

    def scalar(self, tag: str, value: Any, step: int, /) -> Any:
        """Log one number."""

    def log(self, metrics: Mapping[str, float], step: int, /) -> Any:
        """Log the numbers of a step, in as few calls as the library allows."""

    def histogram(self, tag: str, values: Any, step: int, /) -> Any:
        """Log how values are distributed."""

    def image(self, tag: str, pixels: np.ndarray[Any, Any], step: int, /) -> Any:
        """Log a picture, uint8 `[3, height, width]`."""

    def embedding(self, matrix: np.ndarray[Any, Any], labels: Sequence[str] | None, /) -> Any:
        """Show points in the Projector."""

    def parse_graph(self, graph_def: bytes, /) -> Any:
        """Return a GraphDef as the message class that `graph` takes. Not measured."""

    def graph(self, graph_def: Any, /) -> Any:
        """Log a graph."""

    def flush(self) -> Any:
        """Write what is pending."""

    def close(self) -> Any:
        """Write what is pending and end."""


@dataclass(frozen=True)
class Library:
    """A library that writes event files.

    Attributes:
        distribution: What pip calls it.
        module: Where its class `Writer` is.
        imports: The statement that users begin with.
        scalar_secs: About what a scalar costs, from which the number of calls is chosen: so
            slow libraries are called less often. The tables say how often.
    """

    distribution: str
    module: str
    imports: str
    scalar_secs: float

    def open(self, directory: Path) -> Writer:
        """Open a writer of a run. A library's settings are its defaults."""
        adapter = importlib.import_module(f"benchmarks.writers.{self.module}")
        return cast("Writer", adapter.Writer(str(directory)))

    def calls(self, secs: float) -> int:
        """Return how many calls take about so long, at least 10."""
        return max(10, int(secs / self.scalar_secs))


OURS = "eventwriter"
TORCH = "torch.utils.tensorboard"

LIBRARIES = {
    OURS: Library("eventwriter", "ours", "from eventwriter import SummaryWriter", 0.6e-6),
    TORCH: Library(
        "torch", "torch_summary", "from torch.utils.tensorboard import SummaryWriter", 75e-6
    ),
    "tensorboardX": Library(
        "tensorboardX", "tensorboard_x", "from tensorboardX import SummaryWriter", 75e-6
    ),
    "tensorboard EventFileWriter": Library(
        "tensorboard",
        "tensorboard_file",
        "from tensorboard.summary.writer.event_file_writer import EventFileWriter",
        60e-6,
    ),
    "tf.summary": Library("tensorflow", "tf_summary", "import tensorflow", 400e-6),
    "clu": Library("clu", "clu_metrics", "from clu import metric_writers", 400e-6),
}
