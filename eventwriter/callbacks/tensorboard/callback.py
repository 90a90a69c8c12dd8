"""The callback that shows training in TensorBoard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from eventwriter._values.arguments import count, path
from eventwriter.callbacks.tensorboard.embeddings import EmbeddingLog, lasting
from eventwriter.callbacks.tensorboard.layers import LayerLog
from eventwriter.callbacks.tensorboard.runs import Runs
from eventwriter.callbacks.tensorboard.tag_styles import DEFAULT_TAG_STYLE, TAG_STYLES
from eventwriter.errors import ArgumentValueError
from eventwriter.training.frequency import batch_frequency
from eventwriter.training.recorder import Recorder
from eventwriter.training.sample import sample_of
from eventwriter.training.training import FAILURES

if TYPE_CHECKING:
    from eventwriter import SummaryWriter
    from eventwriter.callbacks.tensorboard.embeddings import Metadata
    from eventwriter.training.metrics import Logs
    from eventwriter.training.state import TrainingState
    from eventwriter.typing import PathLike

_SAMPLE_ROWS = 128
"""Rows of the validation data that the model is run on."""
_PREFIX = "val_"


class TensorBoard(Recorder):
    """Logs training for TensorBoard: the work of Keras's callback of this name, for any model.

    At the end of every epoch it writes the metrics and the learning rate. The metrics of validation
    go to a run of their own, so that one chart shows both curves. On request it also writes metrics
    of batches; histograms of the weights, gradients and activations of every layer; weights as
    pictures; and embeddings. It writes the graph of the model once.

    What cannot be recorded, for example because the model does not take the validation data, costs
    only this record: a warning says so, and training goes on. See `Recorder`.

    Steps are epochs and batches. If `log_dir` holds an earlier training, or this object logged one,
    the steps continue after its last one, so that no curve runs back. A training whose
    `initial_epoch` is an epoch that the run already holds is a restart at that step: TensorBoard
    hides what the run held from there on. If a loop sets steps of its own (`loop.step = ...`), they
    are the steps of everything, and nothing is hidden.

    `writer` gives out the writers of the two runs, for records of your own:

        import numpy as np
        from eventwriter.callbacks import Callback, Loop, TensorBoard

        log = TensorBoard("runs/digits")

        class Pictures(Callback):
            def on_epoch_end(self, epoch, logs):
                picture = np.full((8, 8), logs["loss"], np.float32)
                writer = log.writer("validation")
                writer.add_image("first digit", picture, log.epoch_step, dataformats="HW")

        with Loop(None, [log, Pictures()], epochs=2) as loop:
            for epoch in loop:
                loop.log(loss=1 / (1 + epoch))

    Args:
        log_dir: The directory of the runs.
        histogram_freq: The number of epochs from one histogram to the next. 0 means never.
        write_graph: Whether the graph of the model is written, once.
        write_images: Whether weights are also written as pictures, together with the histograms.
            The filters of a convolution are tiles of one picture.
        write_gradients: Whether there are histograms of gradients: of the latest ones, or, if no
            object holds any, of the gradients of the model's loss on a sample of the validation
            data.
        write_activations: Whether there are histograms of the outputs of the layers, for a sample
            of the validation data (at most 128 rows).
        update_freq: "epoch", "batch", or the number of batches from one record of batch metrics to
            the next. With "epoch" there are none. The learning rate is written with them.
        running_means: Whether the metrics of a batch are written as means since the beginning of
            the epoch, as Keras writes them. Otherwise they are the batch's own: a mean would show
            a peak of the loss late and small.
        embeddings_freq: The number of epochs from one record of the embeddings to the next. 0 means
            never.
        embeddings_metadata: Labels of the embedding's rows: whatever `add_embedding(metadata=)`
            takes, such as a list or a data frame; the path of a file with one label a line, which
            is relative to `log_dir` as in Keras; or a dict of these by the name of the layer.
        write_steps_per_second: Whether the number of batches per second is written at the end of
            every epoch.
        tag_style: "grouped" has the tags "epoch/loss" and "batch/loss", and "weights/...",
            "gradients/...", "outputs/..." and "pictures/...": TensorBoard then shows the curves
            first, and one group for each kind. "keras3" has the tags of Keras 3: "epoch_loss".
            "keras2" has those of Keras 2, which are all in one run.

    Raises:
        ArgumentTypeError: A frequency is no int, or `log_dir` is no path.
        ArgumentValueError: A frequency is negative, or `update_freq` or `tag_style` is unknown.
    """

    def __init__(
        self,
        log_dir: PathLike = "logs",
        *,
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_gradients: bool = True,
        write_activations: bool = True,
        update_freq: str | int = "epoch",
        running_means: bool = False,
        embeddings_freq: int = 0,
        embeddings_metadata: Metadata = None,
        write_steps_per_second: bool = False,
        tag_style: str = DEFAULT_TAG_STYLE,
    ) -> None:
        if tag_style not in TAG_STYLES:
            raise ArgumentValueError(
                f"TensorBoard: tag_style: expected one of {list(TAG_STYLES)}, got {tag_style!r}."
            )
        path(log_dir, "TensorBoard: log_dir")
        self.log_dir = log_dir
        self._histogram_freq = count(histogram_freq, "TensorBoard: histogram_freq")
        self._embeddings_freq = count(embeddings_freq, "TensorBoard: embeddings_freq")
        self._batch_freq = batch_frequency(
            update_freq, "TensorBoard: update_freq", "epoch", "batch"
        )
        self._running_means = running_means
        self._write_graph = write_graph
        self._shown = {
            "images": write_images,
            "gradients": write_gradients,
            "activations": write_activations,
        }
        self._embeddings_metadata = lasting(embeddings_metadata)
        self._write_steps_per_second = write_steps_per_second
        self._style = TAG_STYLES[tag_style]
        self._runs = Runs(log_dir, self._style)
        # The epoch that the user goes back to, to train from there on again, until the restart.
        self._restart: int | None = None
        self._layers: LayerLog | None = None
        self._embeddings: EmbeddingLog | None = None
        # The metrics of a validation that are not written yet, and their step.
        self._evaluation: tuple[dict[str, float], int] | None = None

    def writer(self, run: str) -> SummaryWriter:
        """Return the writer of a run, to add records of your own to it.

        Call this while training runs: in any hook of any callback, or within the `with` block of a
        `Loop`. Before and after a training there is no writer, because the callback closes its
        files when training ends. Do not close the writer yourself.

        Choose tags that do not begin with "epoch" or "batch", nor with the name of another of the
        callback's groups, such as "weights/". With `tag_style="keras2"`, log at `epoch_step`: the
        next training continues after the last step of every tag.

        Args:
            run: "train", "validation", or the name of a run of your own, a directory in `log_dir`.
                With `tag_style="keras2"`, "train" and "validation" are the same run.

        Raises:
            WriterClosedError: No training runs.
            OSError: The directory cannot be written.
        """
        self._begin_again()
        return self._runs.writer(run)

    def _begin_again(self) -> None:
        """Restart the runs, if the user goes back to an epoch.

        This is not done before the first record, because the loop may set steps of its own until
        then. The number of an epoch says nothing of those.
        """
        if self._restart is not None:
            if not self.training.has_own_steps:
                self._last_batch = self._runs.restart(self._restart)
            self._restart = None

    @property
    def epoch_step(self) -> int:
        """The step of the current epoch: its number, plus the epochs of earlier trainings.

        With steps of your own (`loop.step = ...`) it is the latest of them.

        Use it for records of your own, so that they have the same steps as the callback's.
        """
        if self.training.has_own_steps:
            return self._batch_step()
        epoch = self.training.epoch
        if self._epoch_offset is None:  # no epoch has begun
            return max(epoch, self._next_epoch)
        return epoch + self._epoch_offset

    def set_training(self, training: TrainingState) -> None:
        """Take the training, and give out writers from now on."""
        super().set_training(training)
        self._runs.open()
        train, validation = (self._runs.last_steps(run) for run in ("train", "validation"))
        self._has_graph = train.has_graph
        self._next_epoch = train.epoch + 1
        self._epoch_offset: int | None = None
        # The step of a batch is the number of batches trained so far: it counts from 1.
        self._last_batch = max(train.batch, validation.batch, 0)
        self._restart = None
        if 0 < training.initial_epoch < self._next_epoch:
            self._restart = self._next_epoch = training.initial_epoch
        self._first_batch = training.step
        self._own_offset: int | None = None
        self._evaluation = None
        self._last_step = max(*train[:2], *validation[:2])

    def idle_hooks(self) -> tuple[Any, ...]:
        """See `Callback.idle_hooks`."""
        return () if self._batch_freq else (TensorBoard.on_batch_end,)

    def on_train_begin(self, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Check that the arguments fit the model, and write the graph.

        Raises:
            ArgumentTypeError: The view of the model lacks something, or the validation data have
                another form.
            ArgumentValueError: Labels do not fit the embedding.
            OSError: The directory cannot be written.
        """
        sample = sample_of(self.validation_data, _SAMPLE_ROWS)
        self._layers = self._embeddings = None
        if self._histogram_freq:
            self._layers = LayerLog(self.training, sample, self._style, self.attempt, **self._shown)
            sample = self._layers.sample
        if self._embeddings_freq:
            self._embeddings = EmbeddingLog(
                self.view, self._embeddings_metadata, self.log_dir, self.attempt
            )
        self._runs.writer("train")  # raises now if the directory cannot be written
        if self._write_graph and not self._has_graph:
            self._add_graph(None if sample is None else sample.inputs)

    def _add_graph(self, inputs: Any) -> None:
        with self.attempt("the graph"):
            graph = self.view.graph(inputs)
            if graph is not None:
                self._runs.writer("train").add_graph(graph)

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Start to measure the time of the epoch."""
        if self._epoch_offset is None:
            self._epoch_offset = self.epoch_step - epoch
        self._epoch_began = time.perf_counter()
        self._steps_before = self.training.step

    def on_batch_end(self, batch: int, logs: Logs) -> None:  # noqa: ARG002 - the hook's signature
        """Write the metrics and the learning rate of the batch, if `update_freq` says so."""
        if self._batch_freq and self.training.is_due(self._batch_freq):
            if not self._running_means:
                logs = self.training.batch_logs
            rate_tag = self._style.batch_learning_rate
            metrics = self._with_rates(_numbers(logs), self._style.batch, rate_tag)
            self.writer("train").log(metrics, self._batch_step())

    def on_test_end(self, logs: Logs) -> None:
        """Write the metrics of validation, at the number of batches trained so far.

        In "grouped" they wait: the epoch may end with the same metrics.
        """
        if self._style.evaluation:
            self._write_evaluation()
            self._evaluation = _numbers(logs), self._batch_step()
            if self._style.repeats_evaluation:
                self._write_evaluation()

    def _write_evaluation(self) -> None:
        """Write the metrics of validation that wait, if there are any."""
        if self._evaluation is not None:
            (numbers, step), self._evaluation = self._evaluation, None
            form = self._style.evaluation
            metrics = {form.format(name): value for name, value in numbers.items()}
            self._runs.log("validation", metrics, step)

    def _drop_repeated_evaluation(self, logs: Logs) -> None:
        """Drop what waits if the epoch ends with the same metrics at the same step."""
        if self._evaluation is not None:
            numbers, step = self._evaluation
            same = all(logs.get(f"{_PREFIX}{name}") == value for name, value in numbers.items())
            if same and step == self._batch_step():
                self._evaluation = None

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Write the metrics of the epoch; and histograms and embeddings, if it is their turn."""
        step = self.epoch_step
        with self.attempt("metrics"):
            self._drop_repeated_evaluation(logs)
            self._write_evaluation()
            self._write_metrics(logs, step)
        if self._layers is not None and epoch % self._histogram_freq == 0:
            self._layers.write(self.writer("train"), step)
        if self._embeddings is not None and epoch % self._embeddings_freq == 0:
            self._embeddings.write(self.writer("train"), step)

    def _write_metrics(self, logs: Logs, step: int) -> None:
        self._begin_again()
        style = self._style
        numbers = _numbers(logs)
        validation = {
            style.validation_epoch.format(name.removeprefix(_PREFIX)): numbers.pop(name)
            for name in list(numbers)
            if name.startswith(_PREFIX)
        }
        train = self._with_rates(numbers, style.epoch, style.learning_rate)
        if self._write_steps_per_second:
            seconds = time.perf_counter() - self._epoch_began
            steps = self.training.step - self._steps_before
            train[style.epoch.format("steps_per_second")] = steps / seconds
        self.writer("train").log(train, step)
        if validation:
            self._runs.log("validation", validation, step)

    def close(self, status: str) -> None:
        """Write how training ended, and close the files.

        Raises:
            WriteError: The disk refused, and training itself ended well. The training that calls
                this method turns the error into a warning; see `Recorder`.
        """
        try:
            self._write_evaluation()
        finally:
            self._runs.close(status, quietly=status in FAILURES)

    def _with_rates(self, metrics: dict[str, float], form: str, rate_tag: str) -> dict[str, float]:
        """Return metrics of training, and the learning rates, by tag.

        The optimizer's learning rates take the place of a metric "learning_rate".
        """
        logged = metrics.pop("learning_rate", None)
        tags = {form.format(name): value for name, value in metrics.items()}
        with self.attempt("the learning rate"):
            rates = self.view.get_learning_rates()
            if rates is not None:
                return tags | {f"{rate_tag}_{name}": rate for name, rate in rates.items()}
            rate = self.view.get_learning_rate()
            if rate is not None:
                logged = rate
        return tags if logged is None else {**tags, rate_tag: logged}

    def _batch_step(self) -> int:
        self._begin_again()
        step = self.training.step
        if not self.training.has_own_steps:
            return step + max(self._last_batch - self._first_batch, 0)
        if self._own_offset is None:
            # Own steps are kept as they are, unless they begin again within an earlier training.
            self._own_offset = 0 if step > self._last_step else self._last_step
        return step + self._own_offset


def _numbers(logs: Logs) -> dict[str, float]:
    """Return the metrics that are numbers. Others, such as lists, are for other callbacks."""
    return {name: value for name, value in logs.items() if isinstance(value, (int, float))}
