"""Callbacks for a training loop that you write yourself."""

from __future__ import annotations

import itertools
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, TypeVar

from eventwriter._values.arguments import count
from eventwriter._values.type_name import type_name
from eventwriter._warn import warn_caller, warn_from_thread
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.metrics import Means
from eventwriter.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from eventwriter.training.callback_list import NestedCallbacks
    from eventwriter.typing import Scalar

Batch = TypeVar("Batch")


class Loop(Training):
    """Drives callbacks from a plain `for` loop, in any framework.

        with Loop(model, [TensorBoard("runs/a"), EarlyStopping()], epochs=20) as loop:
            for epoch in loop:
                for x, y in loop.batches(train):
                    loop.log(train_step(x, y), size=len(x))
                loop.log(evaluate(x_val, y_val))
        loop.history

    The `with` block knows how training ended: by an early stop, `break`, an exception or Ctrl-C.
    Without it, `for epoch in loop` closes the callbacks at the end of the `for`. But then the loop
    cannot tell `break` from an exception, and after an exception it closes the callbacks only when
    Python has freed the error's traceback.

    A loop without epochs, as in reinforcement learning, has rounds. `epochs=None` counts them
    without end. A callback ends the training, or you do by `loop.stop_training = True`. Set
    `loop.step` to show the metrics by your own steps:

        with Loop(policy, [TensorBoard("runs/walk")], epochs=None) as loop:
            for _ in loop:
                rollout = collect(policy)
                loop.step += rollout.steps
                loop.log(improve(policy, rollout), reward=rollout.reward)
                if rollout.reward > 200:
                    loop.stop_training = True

    Args:
        model: A torch.nn.Module, a Keras model, a Flax NNX module, dicts of numpy or JAX arrays
            that training changes in place, or an object with methods of `ModelView`. For Equinox,
            and for all else in JAX, pass `view=JaxView(get=...)`. Several models are a dict of them
            by name: {"g": generator, "d": discriminator}.
        callbacks: Callbacks, and lists of callbacks. They are called in this order.
        epochs: The number of the first epoch that is not trained, counted from 0. If training
            begins at epoch 0, this is how many epochs there are. None means that epochs follow each
            other until training is stopped.
        optimizer: The framework's optimizer: for the learning rate, gradients and checkpoints. Of
            several models, a dict of optimizers by the names of the models, or one for all.
        validation_data: (inputs, targets), arrays or tensors whose first axis counts examples; or
            an iterable of such batches that can be iterated again. A batch may be a dict of arrays:
            these are the inputs by name. Callbacks run the model on a few of its rows.
        view: A view to use instead of the one that would be found for `model`.
        initial_epoch: The number of the first epoch, from 0.
        steps: Batches per epoch, for progress bars. Needed only if the data that `batches` gets
            have no length.

    Attributes:
        status: How training ended, as in `Callback.close`; "running" before.
        should_step: Whether the optimizer should make a step in this batch; see `batches`.

    Raises:
        ArgumentTypeError: There is no view for the model, or a number is no int.
        ArgumentValueError: A number is negative.
    """

    def __init__(
        self,
        model: Any,
        callbacks: NestedCallbacks = (),
        epochs: int | None = 1,
        *,
        optimizer: Any = None,
        validation_data: Any = None,
        view: Any = None,
        initial_epoch: int = 0,
        steps: int | None = None,
    ) -> None:
        self.epochs = None if epochs is None else count(epochs, "Loop: epochs")
        super().__init__(
            model,
            callbacks,
            optimizer=optimizer,
            view=view,
            validation_data=validation_data,
            params={"epochs": self.epochs, "steps": steps},
            initial_epoch=count(initial_epoch, "Loop: initial_epoch"),
        )
        self.status = "running"
        self.should_step = True
        self._begun = False
        self._in_loop = False
        self._has_batches = False
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
            self._finish("left" if self._in_loop else self.outcome())
            return
        try:
            self._finish(self.outcome(exc_type))
        except Exception as error:  # noqa: BLE001 - it must not hide the error that ended training
            warn_from_thread(f"closing a callback failed: {error!r}")

    def __iter__(self) -> Iterator[int]:
        """Yield the epochs from `initial_epoch` to before `epochs`, or until a callback stops."""
        alone = not self._begun
        if alone:
            self._begin()
        elif self.status != "running":
            raise ArgumentValueError(
                "Loop: expected a loop that has not ended, got one that has. Make a new Loop."
            )
        status = "left"
        try:
            for epoch in itertools.count(self.initial_epoch):
                if self.stop_training or (self.epochs is not None and epoch >= self.epochs):
                    break
                self._means = {"": Means(), "val_": Means()}
                self._others = {}
                self._in_loop = True
                self.epoch_begin(epoch)
                yield epoch
                self._end_test()
                self._in_loop = False
                self._tell_of_unused_batches()
                self.epoch_end(epoch, self._epoch_logs())
            status = self.outcome()
        finally:
            if alone:
                self._finish(status)

    def batches(self, data: Iterable[Batch], *, accumulate: int = 1) -> Iterator[Batch]:
        """Yield the batches of `data` and call the hooks of each, until a callback stops training.

        A batch that is left by `break` has not ended: its metrics count, but `step` does not count
        it.

        A loop that adds up the gradients of several batches says so. Callbacks then hear of one
        batch for each step of the optimizer. The last one may be smaller:

            with Loop(model) as loop:
                for epoch in loop:
                    for x, y in loop.batches(train, accumulate=4):
                        loss = backward(x, y)  # adds to the gradients
                        if loop.should_step:
                            step()
                        loop.log(loss=loss, size=len(x))

        Args:
            data: The training batches, of any type.
            accumulate: How many of them make one batch for the callbacks. With more than one, a
                batch is taken from `data` one ahead, to know the last.

        Raises:
            ArgumentTypeError: `accumulate` is no int.
            ArgumentValueError: `accumulate` is below 1, or the call is outside of
                `for epoch in loop`.
        """
        accumulate = count(accumulate, "Loop.batches: accumulate", least=1)
        self._check_in_epoch("batches")
        self._end_test()
        self._has_batches = True
        if self.params["steps"] is None and isinstance(data, Sized):
            self.params["steps"] = -(-len(data) // accumulate)
        means = self._means[""]
        number = 0
        for is_first, batch, is_last in _grouped(data, accumulate):
            if is_first:
                self.batch_begin(number)
                means.begin_part()
            self._in_batch = ""
            self.should_step = is_last
            try:
                yield batch
            finally:
                self._in_batch = None
            if is_last:
                self.batch_end(number, means.logs, own=means.part_logs)
                number += 1
                if self.stop_training:
                    return

    def test_batches(self, data: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches of validation data. Metrics logged in them get the prefix "val_".

        An epoch may have several validations. Callbacks hear of the means of each when it ends, and
        of the means of all of them when the epoch ends.

        After a `break`, validation ends with the epoch, or when other batches begin.

        Args:
            data: The validation batches, of any type.

        Raises:
            ArgumentValueError: The call is outside of `for epoch in loop`.
        """
        self._check_in_epoch("test_batches")
        self._end_test()
        self.test_begin()
        self._in_test = True
        means = self._means["val_"]
        means.begin_part()
        for number, batch in enumerate(data):
            self.test_batch_begin(number)
            self._in_batch = "val_"
            try:
                yield batch
            finally:
                self._in_batch = None
            self.test_batch_end(number, means.part_logs)
        self._end_test()

    def log(
        self, metrics: Mapping[str, Scalar] | None = None, *, size: float = 1, **named: Scalar
    ) -> None:
        """Log metrics: of the batch if called within `batches`, otherwise of the epoch.

        Several values of one metric in an epoch are averaged. They are summed on their device, and
        fetched when a callback reads the mean.

        Args:
            metrics: Numbers, or arrays of any framework with one element, by name.
            size: The number of examples that the metrics are means of. It is their weight in the
                mean of the epoch.
            named: More metrics: `loop.log(loss=0.5)`.

        Raises:
            ArgumentTypeError: A metric is no number.
            ArgumentValueError: The call is outside of `for epoch in loop`.
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
                    f"Loop.log: {name}: expected a number, got {type_name(value)} ({error}). "
                    "Log one number for each metric."
                ) from error

    def _end_test(self) -> None:
        if self._in_test:
            self._in_test = False
            self.test_end(self._means["val_"].part_logs())

    def _epoch_logs(self) -> dict[str, Any]:
        logs = self._means[""].logs() | self._means["val_"].logs("val_")
        for means in self._others.values():
            logs |= means.logs()
        return logs

    def _tell_of_unused_batches(self) -> None:
        """Warn at the end of the first epoch if callbacks wait for batches in vain."""
        if self._has_batches:
            return
        self._has_batches = True
        names = self.callbacks.who_listens("on_train_batch_begin", "on_train_batch_end")
        if names:
            warn_caller(
                f"Loop: expected `for batch in loop.batches(data)` for {', '.join(names)}, got an "
                "epoch without it, so these callbacks heard of no batch. Take the batches from "
                "loop.batches, or leave these callbacks out."
            )

    def _begin(self) -> None:
        if self._begun:
            raise ArgumentValueError(
                "Loop: expected a loop that has not begun, got one that has. Make a new Loop."
            )
        self._begun = True
        try:
            self.begin()
        except BaseException:
            self.status = "failed"
            raise

    def _finish(self, status: str) -> None:
        if self.status == "running":
            self.status = status
            self.end(status)

    def _check_in_epoch(self, call: str) -> None:
        if not self._in_loop:
            raise ArgumentValueError(
                f"Loop.{call}: expected a call within `for epoch in loop`, got one outside of it. "
                "Move it into the loop."
            )


def _grouped(data: Iterable[Batch], size: int) -> Iterator[tuple[bool, Batch, bool]]:
    """Yield each batch, with whether it is the first and the last of `size` batches."""
    if size == 1:
        for batch in data:
            yield True, batch, True
        return
    batches = iter(data)
    upcoming = list(itertools.islice(batches, 1))
    place = 0
    while upcoming:
        batch = upcoming[0]
        upcoming = list(itertools.islice(batches, 1))
        is_last = place == size - 1 or not upcoming
        yield place == 0, batch, is_last
        place = 0 if is_last else place + 1
