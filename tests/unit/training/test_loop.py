"""The order of hooks, the means of metrics, and every way in which training ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eventwriter.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    History,
    Loop,
    ModelCheckpoint,
    TensorBoard,
    TerminateOnNaN,
)
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.training.metrics import Logs

# A training batch's hooks have two names. Those of Keras are in `test_callback.py`. A loop has no
# predictions, so it does not call their hooks.
OTHERS = ("on_train_batch", "on_predict")
HOOKS = [name for name in vars(Callback) if name.startswith("on_") and not name.startswith(OTHERS)]


class Recorder(Callback):
    """Notes every call."""

    def __init__(self, fail_at: str = "") -> None:
        self.calls: list[Any] = []
        self._fail_at = fail_at

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] == self._fail_at:
            raise OSError("no more")

    def close(self, status: str) -> None:
        self._note("close", status)


def noting(hook: str) -> Any:
    def note(self: Recorder, *arguments: Any) -> None:
        *place, logs = arguments
        self._note(hook, *place, dict(logs))

    return note


for name in HOOKS:
    setattr(Recorder, name, noting(name))


def test_order_of_hooks() -> None:
    """Hooks come in Keras's order, with its logs: means so far, and "val_" at the epoch's end."""
    recorder = Recorder()
    with Loop(None, [recorder]) as loop:
        for _ in loop:
            for loss in loop.batches([1.0, 3.0]):
                loop.log(loss=loss)
            for loss in loop.test_batches([5.0]):
                loop.log(loss=loss)

    assert [
        ("on_train_begin", {}),
        ("on_epoch_begin", 0, {}),
        ("on_batch_begin", 0, {}),
        ("on_batch_end", 0, {"loss": 1.0}),
        ("on_batch_begin", 1, {}),
        ("on_batch_end", 1, {"loss": 2.0}),
        ("on_test_begin", {}),
        ("on_test_batch_begin", 0, {}),
        ("on_test_batch_end", 0, {"loss": 5.0}),
        ("on_test_end", {"loss": 5.0}),
        ("on_epoch_end", 0, {"loss": 2.0, "val_loss": 5.0}),
        ("on_train_end", {"loss": 2.0, "val_loss": 5.0}),
        ("close", "finished"),
    ] == recorder.calls


def test_means_are_weighted() -> None:
    """An epoch's metric is the mean over its examples, each epoch's its own."""
    with Loop(None, epochs=2) as loop:
        for epoch in loop:
            for size in loop.batches([3, 1]):
                loop.log({"loss": size + epoch}, size=size)
            loop.log(val_loss=1, size=1)
            loop.log(val_loss=4, size=2)

    assert {"loss": [2.5, 3.5], "val_loss": [3, 3]} == loop.history


def test_stop() -> None:
    """A callback's stop ends the batches, then the epoch is ended as any, and then the `for`."""

    class Stop(Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            self.training.stop_training = batch == 1

    with Loop(None, [Stop()], 5) as loop:
        for _ in loop:
            for batch in loop.batches(range(9)):
                loop.log(batch=batch)

    assert {"batch": [0.5]} == loop.history
    assert "stopped" == loop.status


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("own"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
@pytest.mark.parametrize("place", ["epoch", "batch", "after"])
def test_exception(error: BaseException, status: str, place: str) -> None:
    """It passes through as it is; callbacks are closed once, and on_train_end is not called."""
    recorder = Recorder()
    with pytest.raises(type(error)) as caught, Loop(None, [recorder]) as loop:  # noqa: PT012
        for _ in loop:
            if place == "epoch":
                raise error
            for _ in loop.batches([1]):
                if place == "batch":
                    raise error
        raise error

    assert error is caught.value
    assert status == loop.status
    assert [("close", status)] == [call for call in recorder.calls if call[0] == "close"]
    assert "on_train_end" not in [call[0] for call in recorder.calls]


def test_break() -> None:
    """It is known from a whole training; the epoch that was left has no end."""
    recorder = Recorder()
    with Loop(None, [recorder], 3) as loop:
        for epoch in loop:
            list(loop.batches([0]))
            if epoch == 1:
                break

    assert "left" == loop.status
    assert [0] == [call[1] for call in recorder.calls if call[0] == "on_epoch_end"]
    assert ("close", "left") == recorder.calls[-1]


def test_break_from_batches() -> None:
    """What is logged afterwards is the epoch's, and validation ends all the same."""
    recorder = Recorder()
    with Loop(None, [recorder]) as loop:
        for _ in loop:
            for loss in loop.batches([1.0, 2.0]):
                loop.log(loss=loss)
                break
            for loss in loop.test_batches([3.0, 4.0]):
                loop.log(loss=loss)
                break
            loop.log(rate=5.0)

    assert {"loss": [1.0], "val_loss": [3.0], "rate": [5.0]} == loop.history
    assert ["on_test_batch_begin", "on_test_end", "on_epoch_end"] == [
        call[0] for call in recorder.calls[-5:-2]
    ]
    assert 0 == loop.step


def test_without_with() -> None:
    """A plain `for` begins and closes too."""
    recorder = Recorder()
    for _ in (loop := Loop(None, [recorder], 2)):
        list(loop.batches([0]))
        loop.log(loss=1)

    assert "finished" == loop.status
    assert ["on_train_begin", "close"] == [recorder.calls[0][0], recorder.calls[-1][0]]


def test_break_without_with() -> None:
    """After `break`, the loop closes when the program drops it."""
    recorder = Recorder()
    for _ in Loop(None, [recorder], 2):
        break

    assert ("close", "left") == recorder.calls[-1]


@pytest.mark.parametrize("hook", [*HOOKS, "close"])
def test_callback_that_raises(hook: str) -> None:
    """Its error passes through, and the other callbacks are closed, each once."""
    before, failing, after = Recorder(), Recorder(hook), Recorder()
    with (  # noqa: PT012
        pytest.raises(OSError, match="no more"),
        Loop(None, [before, failing, after]) as loop,
    ):
        for _ in loop:
            for _ in loop.batches([1]):
                pass
            for _ in loop.test_batches([1]):
                pass

    for recorder in (before, after):
        assert 1 == len([call for call in recorder.calls if call[0] == "close"])


def test_close_that_raises_after_an_error() -> None:
    """The training's own error is the one to see; the other is warned of."""
    with (  # noqa: PT012, PT031
        pytest.warns(EventWriterWarning, match="no more"),
        pytest.raises(ValueError, match="own"),
        Loop(None, [Recorder("close")]) as loop,
    ):
        for _ in loop:
            raise ValueError("own")


def test_hooks_without_listeners_cost_nothing() -> None:
    """If no callback overrides a hook, no logs are made for it."""

    def never() -> dict[str, float]:
        raise AssertionError("nobody listens")

    loop = Loop(None, [Callback()])
    loop.begin()
    loop.batch_end(0, never)
    loop.test_batch_end(0, never)

    assert not loop.callbacks.has_listeners("on_batch_end")
    assert loop.callbacks.has_listeners("on_epoch_end")  # History


class Number:
    """A number that counts how often it was fetched."""

    def __init__(self) -> None:
        self.fetched = 0

    def __float__(self) -> float:
        self.fetched += 1
        return 2.5


def test_values_are_fetched_when_read() -> None:
    """A metric is fetched by the first callback that reads it, once, and not before."""
    number = Number()
    logs = Logs({"loss": number, "names": ["a"]})
    assert 0 == number.fetched

    assert [2.5, 2.5] == [logs["loss"], logs["loss"]]
    assert 1 == number.fetched
    assert ["a"] == logs["names"]


def test_copies_of_logs() -> None:
    """A copy fetches nothing, and knows of integers even where they have been read before."""
    number = Number()
    logs = Logs({"loss": number, "seen": 3})
    assert 3.0 == logs["seen"]
    copy = Logs(logs)
    copy["seen"] = 4

    assert 0 == number.fetched
    assert ["3", "4", "3"] == [str(each.exact("seen")) for each in (logs, copy, Logs(logs))]


def test_integers_of_batches() -> None:
    """An integer stays one until it is averaged, in the batch and in the epoch."""
    seen = []

    class Notes(Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            seen.append((self.training.batch_logs.exact("seen"), logs.exact("seen")))

    with Loop(None, [Notes()]) as loop:
        for _ in loop:
            for number in loop.batches([2**60 + 1, 3]):
                loop.log(seen=number)

    assert "[(1152921504606846977, 1152921504606846977), (3, 5.764607523034235e+17)]" == str(seen)


def test_logs_are_shared() -> None:
    """What one callback adds to the logs, later ones see."""

    class Adds(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            logs["added"] = epoch

    with Loop(None, [Adds()]) as loop:
        for _ in loop:
            pass

    assert {"added": [0]} == loop.history


def test_callbacks_know_their_training() -> None:
    """All that a callback may ask is set before its first hook."""
    seen: list[Any] = []

    class Asks(Callback):
        def on_train_begin(self, logs: Any) -> None:
            seen.extend([self.training, self.model, self.validation_data, self.params["epochs"]])

    weights = {"a": np.zeros(2)}
    data = (np.zeros(3), np.zeros(3))
    with Loop(weights, [Asks()], 4, validation_data=data) as loop:
        pass

    assert [loop, weights, data, 4] == seen


def test_nested_lists_and_one_history() -> None:
    """Lists within lists are one; a History that is given is the one that is used."""
    history = History()
    loop = Loop(None, [[history], CallbackList([Recorder()])])

    assert 2 == len(list(loop.callbacks))
    assert history.history is loop.history


@pytest.mark.parametrize("what", [3, "EarlyStopping", Callback])
def test_what_is_no_callback(what: Any) -> None:
    """It is refused at once."""
    with pytest.raises(ArgumentTypeError, match="Callback"):
        Loop(None, [what])


@pytest.mark.parametrize("call", ["log", "batches", "test_batches"])
def test_calls_outside_of_an_epoch(call: str) -> None:
    """They say where they belong."""
    with Loop(None) as loop, pytest.raises(ArgumentValueError, match="for epoch in loop"):
        list(getattr(loop, call)([1] if call != "log" else {"a": 1}))


@pytest.mark.parametrize("value", ["low", "3", np.zeros(2), np.zeros(0), None, [1.0], object()])
def test_metric_that_is_no_number(value: Any) -> None:
    """It is refused, by its name, and the others are kept."""
    with Loop(None) as loop:
        for _ in loop:
            loop.log(acc=1)
            with pytest.raises(ArgumentTypeError, match="loss"):
                loop.log(loss=value)

    assert {"acc": [1]} == loop.history


def test_endless_epochs() -> None:
    """Without a number, epochs follow each other until a callback or the user stops training."""

    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.training.stop_training = epoch == 4

    loop = Loop(None, [Stop()], None, initial_epoch=2)
    assert [2, 3, 4] == list(loop)
    assert "stopped" == loop.status
    assert loop.params["epochs"] is None

    seen = []
    with Loop(None, epochs=None) as loop:
        for epoch in loop:
            seen.append(epoch)
            loop.stop_training = epoch == 2
    assert [0, 1, 2] == seen


class Steps(Callback):
    """Notes the step at the end of every batch, and whether a record every 10 steps is due."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_batch_end(self, batch: int, logs: Any) -> None:
        self.seen.append((self.training.step, self.training.is_due(10)))


def test_own_steps() -> None:
    """A step that is set within an epoch is the user's own: batches do not count it any more."""
    steps = Steps()
    with Loop(None, [steps], 2) as loop:
        for _ in loop:
            for size in loop.batches([6, 6, 0]):
                loop.step += size

    assert loop.has_own_steps
    assert [
        *((6, False), (12, True), (12, False)),
        *((18, False), (24, True), (24, False)),
    ] == steps.seen


def test_step_before_training() -> None:
    """A step that is set before the first epoch is where the batches go on to count."""
    steps = Steps()
    with Loop(None, [steps]) as loop:
        loop.step = 18
        for _ in loop:
            list(loop.batches(range(3)))

    assert not loop.has_own_steps
    assert [(19, False), (20, True), (21, False)] == steps.seen


@pytest.mark.parametrize(("step", "error"), [(-1, ArgumentValueError), (1.5, ArgumentTypeError)])
def test_wrong_steps(step: Any, error: type[Exception]) -> None:
    """What is no number of steps is refused."""
    with Loop(None) as loop, pytest.raises(error, match="step"):
        loop.step = step


def test_accumulation() -> None:
    """Several batches are one for the callbacks, which ends where the optimizer makes a step."""
    recorder, taken = Recorder(), []
    with Loop(None, [recorder]) as loop:
        for _ in loop:
            for loss in loop.batches([1.0, 3.0, 5.0, 7.0, 8.0], accumulate=2):
                loop.log(loss=loss)
                taken.append(loop.should_step)

    assert [False, True, False, True, True] == taken
    assert 3 == loop.step == loop.params["steps"]
    assert [
        *(("on_batch_begin", 0, {}), ("on_batch_end", 0, {"loss": 2.0})),
        *(("on_batch_begin", 1, {}), ("on_batch_end", 1, {"loss": 4.0})),
        *(("on_batch_begin", 2, {}), ("on_batch_end", 2, {"loss": 4.8})),
    ] == [call for call in recorder.calls if "batch" in call[0]]
    assert {"loss": 8.0} == dict(loop.batch_logs)


def test_one_batch_at_a_time() -> None:
    """Without accumulation no batch is taken ahead: the next one may depend on this one."""
    taken: list[int] = []

    def data() -> Any:
        for number in range(3):
            taken.append(number)
            yield number

    with Loop(None) as loop:
        for _ in loop:
            for number in loop.batches(data()):
                assert [*range(number + 1)] == taken
                assert loop.should_step


@pytest.mark.parametrize(("size", "error"), [(0, ArgumentValueError), (1.5, ArgumentTypeError)])
def test_wrong_accumulation(size: Any, error: type[Exception]) -> None:
    """What is no number of batches is refused."""
    with Loop(None) as loop:
        for _ in loop:
            with pytest.raises(error, match=r"Loop\.batches: accumulate"):
                list(loop.batches([1], accumulate=size))


def test_batches_that_nobody_uses() -> None:
    """One warning names the callbacks that wait for batches in vain, and no others."""
    callbacks = [Steps(), TerminateOnNaN(), TensorBoard("never")]
    expected = r"batches\(data\)` for Steps, TerminateOnNaN, got"
    loop = Loop(None, [*callbacks[:2], History()], 3)
    with pytest.warns(EventWriterWarning, match=expected) as told:
        list(loop)

    assert 1 == len(told)
    assert [] == Loop(None, callbacks[2:]).callbacks.who_listens("on_batch_end")


@pytest.mark.parametrize("make", [TensorBoard, ModelCheckpoint, BackupAndRestore])
def test_idle_hooks(make: Any) -> None:
    """Who does nothing at batches, because of its arguments, is not called; a subclass's own is."""
    name = {TensorBoard: "update_freq"}.get(make, "save_freq")
    own = type("Own", (make,), {"on_batch_end": lambda self, batch, logs: None})

    assert not CallbackList([make("a")]).has_listeners("on_train_batch_end")
    assert CallbackList([make("a", **{name: 2})]).has_listeners("on_train_batch_end")
    assert CallbackList([own("a")]).has_listeners("on_train_batch_end")


@pytest.mark.parametrize(("epochs", "error"), [(-1, ArgumentValueError), (1.5, ArgumentTypeError)])
def test_epochs(epochs: Any, error: type[Exception]) -> None:
    """A number of epochs that is none is refused at once."""
    with pytest.raises(error, match="epochs"):
        Loop(None, epochs=epochs)


def test_a_loop_trains_once() -> None:
    """A second training needs another loop: this one's end is known."""
    loop = Loop(None)
    for _ in loop:
        pass

    with pytest.raises(ArgumentValueError, match="new Loop"):
        list(loop)


def test_initial_epoch_and_history_object() -> None:
    """Epochs count from where they are told to; a history goes on where it is used again."""
    history = History()
    for start in (0, 2):
        with Loop(None, [history], start + 2, initial_epoch=start) as loop:
            for epoch in loop:
                loop.log(epoch=epoch)

    assert [2, 3] == history.epoch
    assert {"epoch": [0, 1, 2, 3]} == history.history
