"""A callback that only records never ends training."""

from __future__ import annotations

import http.client
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter import callbacks
from eventwriter.callbacks import (
    ActivationLogger,
    Callback,
    CSVLogger,
    History,
    LambdaCallback,
    Loop,
    NumpyView,
    ProgressBar,
    Recorder,
    RemoteMonitor,
    TensorBoard,
)
from eventwriter.errors import EventWriterWarning, WriteError
from eventwriter.training.callback import HOOKS
from tests.helpers.runs import steps
from tests.helpers.trainings import train

if TYPE_CHECKING:
    from pathlib import Path

PREDICTIONS = [hook for hook in HOOKS if "predict" in hook]
DATA = (np.arange(12.0).reshape(4, 3), np.zeros(4))
STEERERS = {"Callback", "LambdaCallback"} | {
    "BackupAndRestore",
    "EarlyStopping",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
}
"""Callbacks that act on the training or save the model, and those that users write."""


class Net:
    """A model whose questions fail, each with a name of its own."""

    def __init__(self, *failing: str) -> None:
        self._failing = failing

    def _answer(self, question: str, answer: Any) -> Any:
        if question in self._failing:
            raise RuntimeError(f"no {question} today")
        return answer

    def weights(self) -> Any:
        return self._answer("weights", {"dense/kernel": np.ones((3, 2))})

    def gradients(self, batch: Any) -> Any:
        return self._answer("gradients", {"dense/kernel": np.ones((3, 2))})

    def activations(self, inputs: Any) -> Any:
        return self._answer("activations", {"dense": np.ones(4)})

    def embeddings(self) -> Any:
        return self._answer("embeddings", {"embed": np.ones((3, 2))})

    def graph(self, inputs: Any) -> Any:
        return self._answer("graph", None)

    def get_learning_rate(self) -> Any:
        return self._answer("get_learning_rate", 0.5)


def run(callback: Callback, net: Net, epochs: int = 3) -> Loop:
    with Loop(net, [callback], epochs, validation_data=DATA) as loop:
        for _ in loop:
            for _ in loop.batches([0]):
                loop.log(loss=1.0)
            for _ in loop.test_batches([0]):
                loop.log(loss=2.0)
            for hook in PREDICTIONS:  # Loop has no predictions of its own
                loop.callbacks.call(hook)
    return loop


def test_who_records() -> None:
    """Every callback of the package either records, or has a reason to end training."""
    recorders = {name for name in callbacks.__all__ if _is_a(name, Recorder)}
    others = {name for name in callbacks.__all__ if _is_a(name, Callback)} - recorders

    assert STEERERS == others
    assert {"ActivationLogger", "CSVLogger", "History", "ProgressBar", "TensorBoard"} < recorders


def _is_a(name: str, base: type) -> bool:
    value = getattr(callbacks, name)
    return isinstance(value, type) and issubclass(value, base)


@pytest.mark.parametrize("hook", [*HOOKS, "close"])
def test_hook_that_fails(hook: str) -> None:
    """One warning names callback, model and error; the hook is called again, and training ends."""
    calls = []

    def fail(*_: Any) -> None:
        calls.append(hook)
        raise RuntimeError("own words")

    recorder = type("Own", (Recorder,), {hook: fail})()
    if hook == "on_train_begin":  # here nothing has been trained yet
        with pytest.raises(RuntimeError, match="own words"):
            run(recorder, Net())
        return
    with pytest.warns(EventWriterWarning) as told:
        loop = run(recorder, Net(), 2)

    assert "finished" == loop.status
    (message,) = [str(each.message) for each in told]
    assert f"Own: a part of {hook} of tests.unit.training.test_recorder.Net" in message
    assert f"could not be recorded, because of RuntimeError: own words ({__file__}:" in message
    assert (1 if hook in {"on_train_end", "close"} else 2) == len(calls)


@pytest.mark.parametrize(
    "question", ["weights", "gradients", "activations", "embeddings", "graph", "get_learning_rate"]
)
def test_question_that_fails(tmp_path: Path, question: str) -> None:
    """An error of the view costs only its own records, and is told once."""
    log = TensorBoard(tmp_path, histogram_freq=1, embeddings_freq=1)
    with pytest.warns(EventWriterWarning, match=f"Net could .*RuntimeError: no {question}") as told:
        loop = run(log, Net(question))

    assert 1 == len(told)
    assert "finished" == loop.status
    found = steps(tmp_path)
    records = {
        "weights": "train:weights/dense/kernel",
        "gradients": "train:gradients/dense/kernel",
        "activations": "train:outputs/dense",
        "get_learning_rate": "train:epoch/learning_rate",
    }
    lost = records.pop(question, None)
    assert lost not in found
    for tag in (*records.values(), "train:epoch/loss", "validation:epoch/loss"):
        assert [0, 1, 2] == found[tag], tag
    assert (question != "embeddings") == (tmp_path / "train/projector_config.pbtxt").exists()


@pytest.mark.parametrize("question", ["weights", "activations", "embeddings", "graph"])
def test_told_before_training(tmp_path: Path, question: str) -> None:
    """What can be known when training begins is told then."""
    log = TensorBoard(tmp_path, histogram_freq=1, embeddings_freq=1)
    loop = Loop(Net(question), [log], 1, validation_data=DATA)
    with pytest.warns(EventWriterWarning, match=f"no {question}"):
        loop.begin()
    loop.end("finished")


def test_error_that_passes(tmp_path: Path) -> None:
    """What failed once is tried again: only its own epoch lacks it."""
    net = Net()
    fail = LambdaCallback(
        on_epoch_begin=lambda epoch, _: setattr(net, "_failing", ("activations",) * (epoch == 1))
    )
    log = TensorBoard(tmp_path, histogram_freq=1)
    with pytest.warns(EventWriterWarning, match="no activations"):
        run([fail, log], net)  # type: ignore[arg-type]

    assert [0, 2] == steps(tmp_path)["train:outputs/dense"]


@pytest.mark.parametrize("kind", ["weight", "gradient", "output"])
def test_one_array_that_is_no_number(tmp_path: Path, kind: str) -> None:
    """It leaves the other arrays of its kind."""
    arrays = {"a": np.array(["text"]), "b": np.ones(3)}
    good = {"b": np.ones(3)}
    view = NumpyView(
        arrays if kind == "weight" else good,
        activations=lambda _: arrays if kind == "output" else good,
    )
    recorded = arrays if kind == "gradient" else good
    record = LambdaCallback(on_epoch_begin=lambda *_: record.training.record_gradients(recorded))
    log = TensorBoard(tmp_path, histogram_freq=1)
    with pytest.warns(EventWriterWarning, match="could not be recorded") as told:
        train([record, log], [{}] * 2, view=view, validation_data=DATA)

    assert 1 == len(told)
    found = steps(tmp_path)
    for tag in ("weights/b", "gradients/b", "outputs/b"):
        assert [0, 1] == found[f"train:{tag}"]


def test_each_training_is_told(tmp_path: Path) -> None:
    """A second training with the same callback warns again, because its model is another one."""
    log = TensorBoard(tmp_path, histogram_freq=1)
    for _ in range(2):
        with pytest.warns(EventWriterWarning, match="no activations") as told:
            run(log, Net("activations"))
        assert 1 == len(told)


def test_activation_logger(tmp_path: Path) -> None:
    """A model that does not take the example is told of when training begins, once."""
    with pytest.warns(EventWriterWarning, match=r"ActivationLogger: activations .* no activ") as (
        told
    ):
        loop = run(ActivationLogger(tmp_path), Net("activations"))

    assert 1 == len(told)
    assert "finished" == loop.status


class Unreadable:
    """A metric whose device is gone."""

    def __float__(self) -> float:
        raise RuntimeError("device is gone")


@pytest.mark.parametrize("kind", [CSVLogger, ProgressBar, RemoteMonitor, TensorBoard, History])
def test_metric_that_cannot_be_fetched(tmp_path: Path, kind: type[Recorder]) -> None:
    """It costs a record of every callback that reads it, and not the training."""
    arguments = [] if kind in {ProgressBar, RemoteMonitor, History} else [tmp_path / "log"]
    spoil = LambdaCallback(on_epoch_end=lambda _, logs: logs.update(broken=Unreadable()))
    with pytest.warns(EventWriterWarning, match="device is gone"):
        loop = train([spoil, kind(*arguments)], [{"loss": 1.0}] * 2)

    assert "finished" == loop.status


def test_server_that_speaks_no_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is no HTTP is no OSError, and ends nothing either."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise http.client.BadStatusLine("hello")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.warns(EventWriterWarning, match="BadStatusLine: hello") as told:
        loop = train([RemoteMonitor()], [{"a": 1.0}] * 3)

    assert 1 == len(told)
    assert "finished" == loop.status


def test_log_that_cannot_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost records are told, and the training that has ended keeps its result."""
    log = TensorBoard(tmp_path)

    def refuse() -> None:
        raise WriteError("records were lost", path="events")

    begin = LambdaCallback(
        on_epoch_begin=lambda *_: monkeypatch.setattr(log.writer("train"), "close", refuse)
    )
    with pytest.warns(EventWriterWarning, match="WriteError: records were lost"):
        loop = train([begin, log], [{"a": 1.0}])

    assert {"a": [1.0]} == loop.history
    monkeypatch.undo()


def test_errors_of_others_end_training() -> None:
    """A callback that steers, or that a user wrote, raises as before."""

    def fail(*_: Any) -> None:
        raise RuntimeError("own words")

    with pytest.raises(RuntimeError, match="own words"):
        train([LambdaCallback(on_epoch_end=fail)], [{}])
    with pytest.raises(RuntimeError, match="own words"):
        train([LambdaCallback(close=fail)], [{}])


def test_interrupt_ends_training() -> None:
    """Ctrl-C within a recorder is no error of it."""

    class Slow(Recorder):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([Slow()], [{}])
