"""What the `Callbacks` and `TensorBoard` of all frameworks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from eventwriter._warn import warn_caller
from eventwriter.callbacks import BackupAndRestore, TensorBoard
from eventwriter.callbacks.tensorboard.tag_styles import DEFAULT_TAG_STYLE
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.callback_list import CallbackList
from eventwriter.training.training import Training

if TYPE_CHECKING:
    from typing_extensions import Self

    from eventwriter import SummaryWriter
    from eventwriter.callbacks.tensorboard.embeddings import Metadata
    from eventwriter.training.callback_list import NestedCallbacks
    from eventwriter.training.model_view import ModelView
    from eventwriter.typing import PathLike


class BaseCallbacks:
    """Base class of `Callbacks`: tells our callbacks about one training after another.

    A subclass also derives from the framework's own class of callbacks, whose hooks it implements.

    Most frameworks do not tell their callbacks about an exception. Use the object as a context
    manager around the training: then the callbacks are closed at once, with the right status.
    Without it they are closed when the next training begins. What was logged is written anyway.

    Args:
        callbacks: Callbacks of `eventwriter.callbacks`, and lists of callbacks.
        validation_data: (inputs, targets), for callbacks that look into the model; see `Loop`.
    """

    _left_open: ClassVar[str] = "failed"
    """The status of a training that the framework began but did not end.

    "" means that it ended well: the framework does not always tell its callbacks of the end.
    """

    _no_backup: ClassVar[str] = ""
    """Why a training of the framework cannot continue from a backup. "" means that it can."""

    def __init__(self, callbacks: NestedCallbacks, *, validation_data: Any = None) -> None:
        super().__init__()
        self._callbacks = list(callbacks)
        if self._no_backup and any(
            isinstance(callback, BackupAndRestore) for callback in CallbackList(self._callbacks)
        ):
            raise ArgumentTypeError(
                "Callbacks: expected callbacks that this framework can obey, got BackupAndRestore. "
                f"{self._no_backup}."
            )
        self._validation_data = validation_data
        self._training: Training | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if self._training is not None:
            ended = exc_type is not None
            self._end(self._training.outcome(exc_type) if ended else self._left_open)

    def _begin(
        self,
        view: ModelView,
        params: dict[str, Any],
        initial_epoch: int = 0,
        validation_data: Any = None,
    ) -> Training:
        """Begin a training. One that is still open was ended by an exception: close it first.

        Args:
            view: The view of the model.
            params: Facts for the callbacks.
            initial_epoch: The number of the first epoch, from 0.
            validation_data: The framework's own, for a user who gave none to this object.
        """
        given = self._validation_data
        self._end("failed")
        training = Training(
            view.model,
            self._callbacks,
            view=view,
            validation_data=validation_data if given is None else given,
            params=params,
            initial_epoch=initial_epoch,
        )
        training.begin()
        self._training = training
        return training

    def _end(self, status: str = "") -> None:
        """End the training that is open, if there is one. "" means that it ended well."""
        training, self._training = self._training, None
        if training is not None:
            training.end(status or training.outcome())


class BaseTensorBoard(BaseCallbacks):
    """Base class of `TensorBoard`: one signature in all frameworks.

    Args:
        log_dir: The directory of the runs.
        histogram_freq: The number of epochs from one histogram to the next. 0 means never.
        write_graph: Whether the graph of the model is written, once.
        write_images: Whether weights are also shown as images.
        write_gradients: Whether histograms include gradients. None means yes, of a model that has
            gradients.
        write_activations: Whether histograms include the outputs of the layers. None means yes, of
            a model that has layers.
        update_freq: "epoch", "batch", or the number of batches from one record of batch metrics to
            the next.
        running_means: Whether the metrics of a batch are written as means since the beginning of
            the epoch, as Keras writes them. Otherwise they are the batch's own.
        embeddings_freq: The number of epochs from one record of the embeddings to the next. 0 means
            never.
        embeddings_metadata: Labels of the rows of the embeddings: whatever
            `add_embedding(metadata=)` takes, such as a list or a data frame; the path of a file
            with one label a line, which is relative to `log_dir`; or a dict of these by the name of
            the layer.
        write_steps_per_second: Whether batches per second are written, at the end of every epoch.
        tag_style: "grouped" ("epoch/loss", "weights/..."), "keras3" for the tags of Keras 3
            ("epoch_loss"), or "keras2" for those of Keras 2.
        profile_batch: Accepted because Keras's own callback has it. Any value but 0 warns that
            nothing is profiled.
        validation_data: (inputs, targets), for activations and gradients.

    Raises:
        ArgumentTypeError, ArgumentValueError: As in `eventwriter.callbacks.TensorBoard`, which
            describes the arguments at length.
    """

    def __init__(
        self,
        log_dir: PathLike = "logs",
        *,
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_gradients: bool | None = None,
        write_activations: bool | None = None,
        update_freq: str | int = "epoch",
        running_means: bool = False,
        embeddings_freq: int = 0,
        embeddings_metadata: Metadata = None,
        write_steps_per_second: bool = False,
        tag_style: str = DEFAULT_TAG_STYLE,
        profile_batch: object = 0,
        validation_data: Any = None,
    ) -> None:
        if profile_batch:
            warn_caller("TensorBoard: profile_batch has no effect: nothing is profiled.")
        self._log = TensorBoard(
            log_dir,
            histogram_freq=histogram_freq,
            write_graph=write_graph,
            write_images=write_images,
            write_gradients=write_gradients is None or write_gradients,
            write_activations=write_activations is None or write_activations,
            update_freq=update_freq,
            running_means=running_means,
            embeddings_freq=embeddings_freq,
            embeddings_metadata=embeddings_metadata,
            write_steps_per_second=write_steps_per_second,
            tag_style=tag_style,
        )
        super().__init__([self._log], validation_data=validation_data)

    def writer(self, run: str) -> SummaryWriter:
        """Return the writer of a run: see `eventwriter.callbacks.TensorBoard.writer`."""
        return self._log.writer(run)

    @property
    def epoch_step(self) -> int:
        """The step of the current epoch: see `eventwriter.callbacks.TensorBoard.epoch_step`."""
        return self._log.epoch_step
