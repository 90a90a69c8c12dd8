"""Callbacks for a training loop that has none of its own."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any, TypeVar

from eventwriter._warn import warn_quietly
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.metrics import Means
from eventwriter.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

Batch = TypeVar("Batch")


class Loop(Training):
    """Drives callbacks from a plain `for`, in any framework.

        with Loop(model, [TensorBoard("runs/a"), EarlyStopping()], epochs=20) as loop:
            for epoch in loop:
                for x, y in loop.batches(train):
                    loop.log(loss=..., size=len(x))
                loop.log(val_loss=...)
        loop.history

    The `with` knows how training ended: an early stop, `break`, an exception or Ctrl-C. Without
    it, `for epoch in loop` closes the callbacks at the end of the `for`, but cannot tell `break`
    from an exception, and after an exception closes only when the error's traceback is let go.

    Args:
        model: A torch.nn.Module, a Keras model, a Flax or Equinox module, a dict of numpy arrays,
            or an object with parts of `ModelView`.
        callbacks: Callbacks, and lists of them, called in this order.
        epochs: How many at the most; training ends before epoch `epochs`, counted from 0.
        optimizer: The framework's: for the learning rate, gradients and checkpoints.
        validation_data: (inputs, targets), arrays or tensors whose first axis counts examples, or
            an iterable of such batches that can be iterated again. Callbacks look at the model
            with a few of its rows.
        view: Instead of the one that would be found for `model`.
        initial_epoch: The first epoch's number, from 0.
        steps: Batches an epoch, for progress bars, where `batches` cannot ask its data's length.

    Attributes:
        status: How training ended, as in `Callback.close`; "running" before.

    Raises:
        ArgumentTypeError, ArgumentValueError: No view knows the model, or a number is wrong.
    """

    def __init__(
        self,
        model: Any,
        callbacks: Iterable[Any] = (),
        epochs: int = 1,
        *,
        optimizer: Any = None,
        validation_data: Any = None,
        view: Any = None,
        initial_epoch: int = 0,
        steps: int | None = None,
    ) -> None:
        for name, number in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if isinstance(number, bool) or not isinstance(number, int):
                raise ArgumentTypeError(f"Loop: {name}: expected an int, got {number!r}.")
            if number < 0:
                raise ArgumentValueError(f"Loop: {name}: expected 0 or more, got {number}.")
        super().__init__(
            model,
            callbacks,
            optimizer=optimizer,
            view=view,
            validation_data=validation_data,
            params={"epochs": epochs, "steps": steps},
            initial_epoch=initial_epoch,
        )
        self.epochs = epochs
        self.status = "running"
        self._begun = False
        self._in_epoch = False
        self._in_test = False
        self._in_batch: str | None = None
        self._means = {"": Means(), "val_": Means()}
        self._others: dict[str, Means] = {}

    def __enter__(self) -> Loop:
        self._begin()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self._finish("left" if self._in_epoch else self._ending())
            return
        status = "interrupted" if issubclass(exc_type, KeyboardInterrupt) else "failed"
        try:
            self._finish(status)
        except Exception as error:  # noqa: BLE001 - must not hide what ended training
            warn_quietly(f"closing a callback failed: {error!r}")

    def __iter__(self) -> Iterator[int]:
        """Yields the epochs from `initial_epoch`, until `epochs` or a callback's stop."""
        alone = not self._begun
        if alone:
            self._begin()
        elif self.status != "running":
            raise ArgumentValueError("Loop: it has ended; make a new one to train on.")
        status = "left"
        try:
            for epoch in range(self.initial_epoch, self.epochs):
                if self.stop_training:
                    break
                self._means = {"": Means(), "val_": Means()}
                self._others = {}
                self._in_epoch = True
                self.epoch_begin(epoch)
                yield epoch
                self._end_test()
                self._in_epoch = False
                self.epoch_end(epoch, self._epoch_logs())
            status = self._ending()
        finally:
            if alone:
                self._finish(status)

    def batches(self, data: Iterable[Batch]) -> Iterator[Batch]:
        """Yields the batches of `data` and tells the callbacks of each, until one stops training.

        A batch that is left by `break` has not ended: it is in the metrics, but not in `step`.

        Raises:
            ArgumentValueError: Outside of `for epoch in loop`.
        """
        self._check_in_epoch("batches")
        self._end_test()
        if self.params["steps"] is None and isinstance(data, Sized):
            self.params["steps"] = len(data)
        for number, batch in enumerate(data):
            self.batch_begin(number)
            self._in_batch = ""
            try:
                yield batch
            finally:
                self._in_batch = None
            self.batch_end(number, self._means[""].logs)
            if self.stop_training:
                return

    def test_batches(self, data: Iterable[Batch]) -> Iterator[Batch]:
        """Yields the batches of validation data; what is logged in one gets the prefix "val_".

        After a `break`, validation ends with the epoch, or when other batches begin.

        Raises:
            ArgumentValueError: Outside of `for epoch in loop`.
        """
        self._check_in_epoch("test_batches")
        self._end_test()
        self.test_begin()
        self._in_test = True
        means = self._means["val_"]
        for number, batch in enumerate(data):
            self.test_batch_begin(number)
            self._in_batch = "val_"
            try:
                yield batch
            finally:
                self._in_batch = None
            self.test_batch_end(number, means.logs)
        self._end_test()

    def log(
        self, metrics: Mapping[str, Any] | None = None, *, size: float = 1, **named: Any
    ) -> None:
        """Logs metrics: of a batch within `batches`, otherwise of the epoch.

        What is logged several times in an epoch is averaged. Values are summed where they are, and
        fetched from their device when a callback reads them.

        Args:
            metrics: Numbers, or arrays of any framework with one element, by name.
            size: How many examples they are means of: their weight in the epoch's mean.
            named: More metrics: `loop.log(loss=0.5)`.

        Raises:
            ArgumentTypeError: A metric is no number.
            ArgumentValueError: Outside of `for epoch in loop`.
        """
        self._check_in_epoch("log")
        prefix = self._in_batch
        for name, value in {**(metrics or {}), **named}.items():
            if prefix is None:
                means = self._others.setdefault(name, Means())
            else:
                means = self._means[prefix]
            try:
                means.add({name: value}, size)
            except (TypeError, ValueError) as error:
                raise ArgumentTypeError(
                    f"Loop.log: {name}: expected a number, got {type(value).__name__} ({error})."
                ) from error

    def _end_test(self) -> None:
        if self._in_test:
            self._in_test = False
            self.test_end(self._means["val_"].logs())

    def _epoch_logs(self) -> dict[str, Any]:
        logs = self._means[""].logs() | self._means["val_"].logs("val_")
        for means in self._others.values():
            logs |= means.logs()
        return logs

    def _begin(self) -> None:
        if self._begun:
            raise ArgumentValueError("Loop: it was begun already; make a new one to train again.")
        self._begun = True
        try:
            self.begin()
        except BaseException:
            self.status = "failed"
            raise

    def _ending(self) -> str:
        return "stopped" if self.stop_training else "finished"

    def _finish(self, status: str) -> None:
        if self.status == "running":
            self.status = status
            self.end(status)

    def _check_in_epoch(self, call: str) -> None:
        if not self._in_epoch:
            raise ArgumentValueError(f"Loop.{call}: call it within `for epoch in loop`.")
