"""What the demo writes: two runs under one directory, each with its own `SummaryWriter`.

    LOGDIR/train        epoch/loss, epoch/accuracy, batch/loss; histograms under layers/;
                        the model's graph; the embedding
    LOGDIR/validation   epoch/loss, epoch/accuracy

The same tag in two runs is two curves in one card. TensorBoard's Time Series page opens the first
two groups of tags only, in the order of their names: here "batch" and "epoch", so that the curves
are seen first and the histograms, in "layers", by a click.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from eventwriter import SummaryWriter
from eventwriter.demo.graph import graph_of
from eventwriter.demo.model import Dropout
from eventwriter.errors import ArgumentValueError

if TYPE_CHECKING:
    import os
    from types import TracebackType

    from eventwriter.demo.data import Corpus
    from eventwriter.demo.model import TextClassifier
    from eventwriter.demo.training import Metrics


class TensorBoardLog:
    """Writes a training run for TensorBoard; a context manager, which closes its files.

    Raises:
        ArgumentValueError: `logdir` already holds a training run: two in one curve zigzag.
    """

    def __init__(
        self, logdir: str | os.PathLike[str], model: TextClassifier, corpus: Corpus
    ) -> None:
        runs = [Path(logdir, name) for name in ("train", "validation")]
        for run in runs:
            if next(run.glob("*tfevents*"), None):
                message = f"{run}: holds a training run already; choose another --logdir"
                raise ArgumentValueError(message)
        self._model = model
        self._corpus = corpus
        self._train, self._validation = (SummaryWriter(run) for run in runs)
        self._train.add_graph(graph_of(model, passage_words=corpus.train.words.shape[1]))

    def batch_end(self, step: int, loss: float) -> None:
        """See `Listener.batch_end`."""
        self._train.add_scalar("batch/loss", loss, step)

    def epoch_end(self, epoch: int, train: Metrics, validation: Metrics) -> None:
        """See `Listener.epoch_end`."""
        self._train.log({"epoch": asdict(train)}, epoch)
        self._validation.log({"epoch": asdict(validation)}, epoch)
        for layer in self._model.layers:
            for name, weight in layer.weights.items():
                self._train.add_histogram(f"layers/{layer.name}/weights/{name}", weight, epoch)
            for name, gradient in layer.gradients.items():
                self._train.add_histogram(f"layers/{layer.name}/gradients/{name}", gradient, epoch)
            # On validation passages a dropout layer passes its inputs on: nothing new to see.
            if not isinstance(layer, Dropout):
                self._train.add_histogram(f"layers/{layer.name}/activations", layer.output, epoch)

    def train_end(self, epoch: int) -> None:
        """Writes the embedding as it is after epoch `epoch`, each row with its word and count."""
        embed = self._model.embed
        self._train.add_embedding(
            embed.weights["embeddings"],
            metadata=[
                [word, str(count)]
                for word, count in zip(self._corpus.vocabulary, self._corpus.counts, strict=True)
            ],
            metadata_header=["word", "count"],
            global_step=epoch,
            tag=embed.name,
        )

    def __enter__(self) -> TensorBoardLog:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._train, self._validation:
            pass
