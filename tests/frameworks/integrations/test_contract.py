"""What every adapter holds, with its real framework."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from eventwriter import SummaryWriter
from eventwriter.callbacks import Callback, ModelCheckpoint, TensorBoard
from tests.frameworks.integrations.adapters import ADAPTERS
from tests.helpers.runs import steps
from tests.helpers.trainings import umask as set_umask

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parametrize("name", ADAPTERS)


class Watch(Callback):
    """Notes what it is told; does something at an epoch's end."""

    def __init__(self, at_epoch_end: Any = lambda _: None) -> None:
        self.seen: list[str] = []
        self._at_epoch_end = at_epoch_end

    def on_train_begin(self, logs: Any) -> None:
        self.seen.append("begin")

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seen.append(f"epoch {epoch}")
        self._at_epoch_end(self)

    def on_train_end(self, logs: Any) -> None:
        self.seen.append("end")

    def close(self, status: str) -> None:
        self.seen.append(status)


def test_tags_and_steps(name: str, tmp_path: Path) -> None:
    """Training and validation are one tag in two runs, and steps rise across trainings."""
    adapter = ADAPTERS[name]
    for _ in range(2):
        adapter.train([TensorBoard(tmp_path, write_graph=False, update_freq="batch")], 3)

    found = steps(tmp_path)
    assert list(range(6)) == found[f"train:epoch/{adapter.metric}"]
    assert list(range(6)) == found[f"validation:epoch/{adapter.metric}"]
    assert list(range(1, 7)) == found[f"train:batch/{adapter.metric}"]
    assert [0, 0] == found["train:finished"] == found["validation:finished"]


def test_histograms(name: str, tmp_path: Path) -> None:
    """Every framework's weights are shown, one record an epoch."""
    log = TensorBoard(tmp_path, histogram_freq=1, write_gradients=False, write_activations=False)
    ADAPTERS[name].train([log], 2)

    found = [steps for tag, steps in steps(tmp_path).items() if "weights/" in tag]
    assert found
    assert all([0, 1] == each for each in found)


def test_hooks(name: str) -> None:
    """A training begins once, ends once, and is closed once."""
    watch = Watch()
    ADAPTERS[name].train([watch], 2)

    assert ["begin", "epoch 0", "epoch 1", "end", "finished"] == watch.seen


def test_stop(name: str) -> None:
    """A callback stops training, in the framework's own way."""

    def stop(watch: Watch) -> None:
        watch.training.stop_training = True

    watch = Watch(stop)
    ADAPTERS[name].train([watch], 5)

    assert ["begin", "epoch 0", "end", "stopped"] == watch.seen


def test_exception(name: str, tmp_path: Path) -> None:
    """It passes through untouched; callbacks are closed, and what was logged is there."""
    error = RuntimeError("own")

    def fail(watch: Watch) -> None:
        if watch.training.epoch == 1:
            raise error

    watch = Watch(fail)
    with pytest.raises(RuntimeError) as caught:
        ADAPTERS[name].train([TensorBoard(tmp_path, write_graph=False), watch], 3)

    assert error is caught.value
    assert ["begin", "epoch 0", "epoch 1", "failed"] == watch.seen
    found = steps(tmp_path)
    assert [0, 1] == found[f"train:epoch/{ADAPTERS[name].metric}"]
    assert [0] == found["train:failed"]


def test_closes_what_it_opened(name: str, tmp_path: Path) -> None:
    """A writer of the user's own goes on, and those of the callback are closed."""
    opened: list[SummaryWriter] = []

    class Log(TensorBoard):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            super().on_epoch_end(epoch, logs)
            opened.append(self.writer("train"))

    with SummaryWriter(tmp_path / "own") as own:
        ADAPTERS[name].train([Log(tmp_path / "log", write_graph=False)], 1)
        own.add_scalar("a", 1.0, 0)

    assert all(writer._closed for writer in opened)
    assert opened
    assert [0] == steps(tmp_path)["own:a"]


# Keras's own, where it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
@pytest.mark.parametrize("weights_only", [False, True])
def test_mode_of_a_checkpoint(
    name: str, tmp_path: Path, umask: int, mode: int, weights_only: bool
) -> None:
    """A saved model has the mode that the umask asks for, and no other file is left beside it."""
    callback = ModelCheckpoint(tmp_path / "model", save_weights_only=weights_only)
    with set_umask(umask):
        ADAPTERS[name].train([callback], 1)

    (path,) = tmp_path.iterdir()
    assert oct(mode) == oct(stat.S_IMODE(path.stat().st_mode))
