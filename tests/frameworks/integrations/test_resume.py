"""A real training that was interrupted goes on as if it had not been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from eventwriter.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    Loop,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from tests.frameworks.integrations.adapters import ADAPTERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

X = torch.linspace(-1, 1, 32).reshape(8, 4)
Y = X.sum(1).sin()
EPOCHS = 8
BATCHES = 2


class Ended(Exception):  # noqa: N818 - no error of anybody
    """Stands for whatever ends a process."""


class Sampler:
    """An order of the data that goes on, as samplers of torchdata do."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)

    def rows(self) -> Any:
        return torch.randperm(len(X), generator=self._generator)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._generator.set_state(state["generator"])


class Run:
    """One process: its objects are new ones, and only the disk is shared.

    Attributes:
        rates: The learning rate of each epoch.
        result: The weights, the averaged weights, the scale of gradients, and the models saved.
    """

    def __init__(
        self, directory: Path, make: Callable[[Any], Any], fail_at: int = -1, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
        model.append(torch.nn.Linear(3, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = make(optimizer)
        average = torch.optim.swa_utils.AveragedModel(model)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
        sampler = Sampler()
        parts = {"scheduler": scheduler, "average": average, "scaler": scaler, "sampler": sampler}
        callbacks = [
            BackupAndRestore(directory / "backup", extra=parts),
            ModelCheckpoint(directory / "{epoch}", "loss", save_best_only=True),
            EarlyStopping("loss", patience=EPOCHS, restore_best_weights=True),
        ]
        self.rates: dict[int, float] = {}
        try:
            with Loop(model, callbacks, EPOCHS, optimizer=optimizer) as loop:
                for epoch in loop:
                    self.rates[epoch] = optimizer.param_groups[0]["lr"]
                    for rows in loop.batches(sampler.rows().reshape(BATCHES, -1)):
                        loss = ((model(X[rows])[:, 0] - Y[rows]) ** 2).mean()
                        optimizer.zero_grad()
                        scaler.scale(loss).backward()
                        scaler.step(optimizer)
                        scaler.update()
                        average.update_parameters(model)
                        loop.log(loss=loss)
                    if epoch == fail_at:
                        raise Ended
                    if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
                        scheduler.step(1.0)
                    else:
                        scheduler.step()
        except Ended:
            pass
        saved = sorted(path.name for path in directory.glob("*.pt"))
        tensors = [*model.state_dict().values(), *average.state_dict().values()]
        self.result = ([tensor.tolist() for tensor in tensors], scaler.get_scale(), saved)


SCHEDULERS = {
    "step": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "steps": lambda o: lr_scheduler.MultiStepLR(o, [1, 3, 3, 6], 0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=EPOCHS + 1),
    "function": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o,
        [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.ExponentialLR(o, 0.5)],
        milestones=[3],
    ),
    "chain": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.StepLR(o, 3, 0.5), lr_scheduler.ExponentialLR(o, 0.9)], optimizer=o
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("fail_at", [1, 5])
def test_torch(tmp_path: Path, name: str, fail_at: int) -> None:
    """Rates, weights, averages, scales and the saved models are those of a whole training."""
    make = SCHEDULERS[name]
    whole = Run(tmp_path / "whole", make)
    first = Run(tmp_path / "parts", make, fail_at)
    second = Run(tmp_path / "parts", make, seed=1)  # the weights of the backup count

    assert [fail_at, *range(fail_at + 1, EPOCHS)] == list(second.rates)
    assert whole.rates == first.rates | second.rates
    assert whole.result == second.result


class Ends(Callback):
    """Ends a training in its third epoch, if asked to; notes the first epoch of each."""

    def __init__(self, *, fail: bool) -> None:
        self.epochs: list[int] = []
        self._fail = fail

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        self.epochs.append(epoch)
        if self._fail and epoch == 2:
            raise Ended


# Keras's own, where it reads and saves weights.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("name", ["numpy", "torch", "keras", "sklearn"])
def test_states_of_callbacks(tmp_path: Path, name: str) -> None:
    """In every framework that can read a backup, callbacks go on from it."""
    adapter = ADAPTERS[name]
    states = []
    for fail in (True, False):
        ends = Ends(fail=fail)
        best = ModelCheckpoint(tmp_path / "{epoch}", adapter.metric, save_best_only=True)
        stop = EarlyStopping(adapter.metric, patience=9, restore_best_weights=True)
        callbacks: list[Any] = [ends, best, stop, ReduceLROnPlateau(adapter.metric)]
        backup = BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        if fail:
            with pytest.raises(Ended):
                adapter.train([backup, *callbacks], 4)
            states = [callback.get_state() for callback in callbacks[1:]]
        else:
            watch = Watch(callbacks[1:])
            adapter.train([backup, *callbacks, watch], 4)

    assert [2, 3] == ends.epochs
    for before, after in zip(states, watch.states, strict=True):
        weights = before.pop("best_weights", None), after.pop("best_weights", None)
        assert before == after
        assert (weights[0] is None) == (weights[1] is None)
        if weights[0] is not None:
            assert _numbers(weights[0].state) == _numbers(weights[1].state)


class Watch(Callback):
    """Notes the states of other callbacks when the first epoch begins."""

    def __init__(self, callbacks: list[Callback]) -> None:
        self._callbacks = callbacks
        self.states: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        if not self.states:
            self.states = [callback.get_state() for callback in self._callbacks]


def _numbers(state: Any) -> Any:
    """Return the weights that any view returned as numbers that can be compared.

    A state of scikit-learn also holds objects, which are other ones after a restart.
    """
    parts = state.values() if isinstance(state, dict) else state
    arrays = [np.asarray(part) for part in parts]
    return [array.tolist() for array in arrays if array.dtype != object]
