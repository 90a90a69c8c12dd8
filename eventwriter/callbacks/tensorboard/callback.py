"""The callback that shows training in TensorBoard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from eventwriter._warn import warn_caller
from eventwriter.callbacks.tensorboard.layers import EmbeddingLog, LayerLog
from eventwriter.callbacks.tensorboard.runs import Runs
from eventwriter.callbacks.tensorboard.tag_styles import TAG_STYLES
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterError
from eventwriter.training.callback import Callback
from eventwriter.training.sample import sample_of

if TYPE_CHECKING:
    import os

    from eventwriter import SummaryWriter
    from eventwriter.training.metrics import Logs

_SAMPLE_ROWS = 128  # of the validation data, to look at the model with
_PREFIX = "val_"


class TensorBoard(Callback):
    """Logs training for TensorBoard: what Keras's callback of this name does, for any model.

    Metrics at every epoch's end, those of validation in a run of their own, so that both are curves
    of one card; the learning rate; and, as asked for, metrics of batches, histograms of every
    layer's weights, gradients and activations, weights as pictures, embeddings and the graph.

    Steps are epochs and batches. Where `log_dir` holds an earlier training, or this object logged
    one, they go on from there, so that a curve never runs back.

    Args:
        log_dir: The runs' directory.
        histogram_freq: Every how many epochs histograms are written; 0 is never.
        write_graph: Whether the model's graph is written, once.
        write_images: Whether weights are shown as pictures, with the histograms.
        write_gradients: Whether gradients are among the histograms: the latest that there were, or
            those of the model's loss on a sample of the validation data where nothing keeps any.
        write_activations: Whether the outputs of the layers are, for a sample of the validation
            data (128 rows at the most).
        update_freq: "epoch"; or "batch", or every how many batches their metrics are written too.
        embeddings_freq: Every how many epochs embeddings are written; 0 is never.
        embeddings_metadata: Labels of the embedding's rows: a list, the path of a file with one a
            line, or a dict of these by layer.
        write_steps_per_second: Whether batches a second are written, at every epoch's end.
        tag_style: "keras3", or "keras2" for the names that Keras 2 gave.

    Raises:
        ArgumentTypeError, ArgumentValueError: An argument is none of these.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_gradients: bool = True,
        write_activations: bool = True,
        update_freq: str | int = "epoch",
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        write_steps_per_second: bool = False,
        tag_style: str = "keras3",
    ) -> None:
        if tag_style not in TAG_STYLES:
            raise ArgumentValueError(
                f"TensorBoard: tag_style: expected one of {list(TAG_STYLES)}, got {tag_style!r}."
            )
        self.log_dir = log_dir
        self._histogram_freq = _frequency("histogram_freq", histogram_freq)
        self._embeddings_freq = _frequency("embeddings_freq", embeddings_freq)
        self._batch_freq = _batch_frequency(update_freq)
        self._write_graph = write_graph
        self._shown = {
            "images": write_images,
            "gradients": write_gradients,
            "activations": write_activations,
        }
        self._embeddings_metadata = embeddings_metadata
        self._write_steps_per_second = write_steps_per_second
        self._style = TAG_STYLES[tag_style]
        self._runs = Runs(log_dir)
        self._layers: LayerLog | None = None
        self._embeddings: EmbeddingLog | None = None

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Opens the run, writes the graph, and sees to it that what was asked for can be had.

        Raises:
            ArgumentTypeError, ArgumentValueError: The model's view lacks what is needed, the
                validation data have another form, or labels do not fit the embedding.
            OSError: The directory cannot be written.
        """
        sample = sample_of(self.validation_data, _SAMPLE_ROWS)
        self._layers = self._embeddings = None
        if self._histogram_freq:
            self._layers = LayerLog(self.training, sample, self._style, **self._shown)
        if self._embeddings_freq:
            self._embeddings = EmbeddingLog(self.view, self._embeddings_metadata)
        self._runs.close("left", quietly=True)  # of a training that nobody ended
        epoch, batch, has_graph = self._runs.last_steps(self._style.train)
        self._next_epoch = epoch + 1
        self._next_batch = max(batch, self._runs.last_steps(self._style.validation)[1]) + 1
        self._epoch_offset: int | None = None
        # Batches count from 1: their step is how many have been trained.
        self._batch_offset = max(self._next_batch - 1 - self.training.step, 0)
        self._train()  # a directory that cannot be written is told of now
        if self._write_graph and not has_graph:
            self._add_graph(None if sample is None else sample.inputs)

    def _add_graph(self, inputs: Any) -> None:
        try:
            graph = self.view.graph(inputs)
            if graph is not None:
                self._train().add_graph(graph)
        except EventWriterError as error:
            warn_caller(f"TensorBoard: the graph is not shown: {error}")

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Starts the clock."""
        if self._epoch_offset is None:
            self._epoch_offset = max(self._next_epoch - epoch, 0)
        self._epoch_began = time.perf_counter()
        self._steps_before = self.training.step

    def on_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Writes the batch's metrics where they are due."""
        if self._batch_freq and self.training.step % self._batch_freq == 0:
            metrics = {self._style.batch.format(name): value for name, value in _numbers(logs)}
            self._train().log(metrics, self._batch_step())

    def on_test_end(self, logs: Logs) -> None:
        """Writes the metrics of validation by the batches trained so far."""
        if self._style.evaluation:
            metrics = {self._style.evaluation.format(name): value for name, value in _numbers(logs)}
            self._runs.log(self._style.validation, metrics, self._batch_step())

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Writes the epoch's metrics, and what else is due."""
        step = epoch + (self._epoch_offset or 0)
        style = self._style
        train, validation = {}, {}
        for name, value in _numbers(logs):
            if name.startswith(_PREFIX):
                validation[style.validation_epoch.format(name[len(_PREFIX) :])] = value
            elif name != "learning_rate":
                train[style.epoch.format(name)] = value
        learning_rate = self.view.get_learning_rate()
        if learning_rate is not None:
            train[style.learning_rate] = learning_rate
        elif "learning_rate" in logs:
            train[style.learning_rate] = logs["learning_rate"]
        if self._write_steps_per_second:
            seconds = time.perf_counter() - self._epoch_began
            steps = self.training.step - self._steps_before
            train[style.epoch.format("steps_per_second")] = steps / seconds
        self._train().log(train, step)
        if validation:
            self._runs.log(style.validation, validation, step)
        if self._layers is not None and epoch % self._histogram_freq == 0:
            self._layers.write(self._train(), step)
        if self._embeddings is not None and epoch % self._embeddings_freq == 0:
            self._embeddings.write(self._train(), step)

    def close(self, status: str) -> None:
        """Notes how training ended, and closes what was opened.

        Raises:
            WriteError: The disk refused, and training itself ended well.
        """
        self._runs.close(status, quietly=status in {"failed", "interrupted"})

    def writer(self, run: str) -> SummaryWriter:
        """Return the writer of a run, to log images, texts and figures of your own beside it.

            log.writer("train").add_image("input", pixels, epoch)

        The writer is open until training ends. Use it in hooks, up to `on_train_end`.

        Args:
            run: "train", "validation", or the name of another run, which is then made. With
                `tag_style="keras2"` all metrics are in the run "".
        """
        return self._runs.writer(run)

    def _train(self) -> SummaryWriter:
        return self._runs.writer(self._style.train)

    def _batch_step(self) -> int:
        return self.training.step + self._batch_offset


def _numbers(logs: Logs) -> list[tuple[str, float]]:
    """The metrics that are numbers: others, such as lists, are for other callbacks."""
    return [(name, value) for name, value in logs.items() if isinstance(value, (int, float))]


def _frequency(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentTypeError(
            f"TensorBoard: {name}: expected a number of epochs, or 0 for never, got {value!r}."
        )
    if value < 0:
        raise ArgumentValueError(f"TensorBoard: {name}: expected 0 or more, got {value}.")
    return value


def _batch_frequency(update_freq: Any) -> int:
    """Every how many batches; 0 is never."""
    if update_freq in ("epoch", "batch"):
        return int(update_freq == "batch")
    is_count = isinstance(update_freq, int) and not isinstance(update_freq, bool)
    if is_count and update_freq > 0:
        return int(update_freq)
    raise ArgumentValueError(
        "TensorBoard: update_freq: expected 'epoch', 'batch', or a number of batches, got "
        f"{update_freq!r}."
    )
