"""A training that was interrupted goes on as if it had not been."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    LambdaCallback,
    Loop,
    ModelCheckpoint,
    ModelState,
    ReduceLROnPlateau,
)
from eventwriter.errors import ArgumentTypeError, EventWriterWarning
from eventwriter.training import saved_state
from eventwriter.training.saved_state import SavedState, read_state

if TYPE_CHECKING:
    from pathlib import Path

SEQUENCES = [
    [0.9, 0.2, 0.5, 0.6, 0.7, 0.1, 0.3, 0.4, 0.5],
    [0.2, 0.9, 0.9, 0.9, 0.9, 0.9],
    [0.5, 0.4, 0.45, 0.3, 0.35, 0.36, 0.37, 0.38],
]


class Interrupted(Exception):  # noqa: N818 - no error of anybody
    """Stands for whatever ends a process."""


class Run:
    """One process: its objects are new ones, and only the disk is shared.

    Attributes:
        rates: The learning rate of each epoch.
        model: The weights when training ended.
        stopping: The callback that stops.
    """

    def __init__(
        self, directory: Path, values: list[float], fail_at: int = -1, **options: Any
    ) -> None:
        self.model = {"epoch": np.zeros(())}
        self.stopping = EarlyStopping(patience=3, restore_best_weights=True)
        optimizer = {"learning_rate": 1.0}
        self.rates: dict[int, float] = {}
        callbacks = [
            BackupAndRestore(directory / "backup", **options),  # first in the list, called last
            ModelCheckpoint(directory / "{epoch}", save_best_only=True),
            ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1),
            self.stopping,
        ]
        try:
            with Loop(self.model, callbacks, len(values), optimizer=optimizer) as loop:
                for epoch in loop:
                    self.rates[epoch] = optimizer["learning_rate"]
                    for _ in loop.batches([0]):
                        self.model["epoch"][...] = epoch
                    if epoch == fail_at:
                        raise Interrupted
                    loop.log(val_loss=values[epoch])
        except Interrupted:
            pass

    def result(self, directory: Path) -> Any:
        saved = {
            path.name: float(np.load(path)["epoch"]) for path in sorted(directory.glob("*.npz"))
        }
        stopping = self.stopping
        return (
            saved,
            stopping.stopped_epoch,
            stopping.best,
            stopping.best_epoch,
            float(self.model["epoch"]),
        )


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("values", SEQUENCES)
def test_interruption_changes_nothing(tmp_path: Path, values: list[float], double: bool) -> None:
    """Wherever it comes: the same models saved, rates, stop, and best weights in the end."""
    whole = Run(tmp_path / "whole", values)
    expected = whole.result(tmp_path / "whole")
    for fail_at in range(1, max(whole.rates)):
        directory = tmp_path / str(fail_at)
        first = Run(directory, values, fail_at, double_checkpoint=double)
        # A second interruption comes in the epoch after the first one.
        second = Run(directory, values, fail_at + 1, double_checkpoint=double)
        third = Run(directory, values, double_checkpoint=double)

        assert expected == third.result(directory), fail_at
        assert whole.rates == first.rates | second.rates | third.rates, fail_at
        assert not (directory / "backup").exists()


def test_files(tmp_path: Path) -> None:
    """Only the states that a backup names are kept, and none needs pickle."""
    Run(tmp_path, SEQUENCES[0], 4)
    backup = tmp_path / "backup"
    metadata = json.loads((backup / "training_metadata.json").read_text())
    (best,) = metadata.pop("models")
    state = metadata.pop("state")

    assert {"epoch": 4, "batch": 0} == metadata
    assert {"latest.npz", "training_metadata.json", best, state} == {
        path.name for path in backup.iterdir()
    }
    with np.load(backup / best, allow_pickle=False) as file:
        assert 1 == file["epoch"]  # the best epoch
    with np.load(backup / state, allow_pickle=False) as file:
        assert "state" in file.files


@pytest.mark.parametrize("part", ["state", "models"])
def test_damaged_state(tmp_path: Path, part: str) -> None:
    """A state that cannot be read leaves the whole backup out: no part of it is taken."""
    Run(tmp_path, SEQUENCES[0], 4)
    metadata = json.loads((tmp_path / "backup/training_metadata.json").read_text())
    name = metadata[part] if part == "state" else metadata[part][0]
    (tmp_path / "backup" / name).write_bytes(b"torn")
    model = {"epoch": np.array(7.0)}
    with pytest.warns(EventWriterWarning, match="cannot be read"):
        epochs = list(Loop(model, [BackupAndRestore(tmp_path / "backup")], 2))

    assert [0, 1] == epochs
    assert 7 == model["epoch"]


def test_older_backup_has_its_own_state(tmp_path: Path) -> None:
    """Of two backups the older is taken with the states of its own time."""
    values = SEQUENCES[2]
    whole = Run(tmp_path / "whole", values)
    Run(tmp_path / "a", values, 5, double_checkpoint=True)
    (tmp_path / "a/backup/latest.npz").write_bytes(b"torn")
    with pytest.warns(EventWriterWarning, match=r"latest\.npz cannot be read"):
        second = Run(tmp_path / "a", values, double_checkpoint=True)

    assert 4 == min(second.rates)  # one epoch before
    assert whole.result(tmp_path / "whole") == second.result(tmp_path / "a")
    assert {epoch: whole.rates[epoch] for epoch in second.rates} == second.rates


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses a state leaves the earlier backup whole, and nothing beside it."""
    directory = tmp_path / "backup"
    Run(tmp_path, SEQUENCES[0], 3)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved_state, "save_npz", refuse)
    with pytest.raises(OSError, match="No space left"):
        Run(tmp_path, SEQUENCES[0])
    assert before == {path.name: path.read_bytes() for path in directory.iterdir()}


def test_other_metric(tmp_path: Path) -> None:
    """The state of another metric says nothing: a warning says so, and counting begins anew."""
    stopping = EarlyStopping("loss")
    state = stopping.get_state() | {"best": 0.1}
    other = EarlyStopping("acc")
    with pytest.warns(EventWriterWarning, match=r"\['acc', 'max'\], got .*\['loss', 'min'\]"):
        other.set_state(state)

    assert other.best is None


def test_better_threshold_stays() -> None:
    """A threshold that is better than the best value of the backup stays."""
    for threshold, best in ((0.1, 0.1), (0.3, 0.2), (None, 0.2)):
        checkpoint = ModelCheckpoint("a", save_best_only=True, initial_value_threshold=threshold)
        checkpoint.set_state(checkpoint.get_state() | {"best": 0.2})
        assert best == checkpoint.best


class Counts(Callback):
    """A user's own callback, which counts the epochs of all its trainings."""

    def __init__(self) -> None:
        self.count = 0

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def set_state(self, state: Any) -> None:
        self.count = state["count"]

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.count += 1


class Part:
    """Something of the user's that has a state."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


def interrupted(tmp_path: Path, callbacks: list[Any], *, fail: bool, **extra: Any) -> None:
    backup = BackupAndRestore(tmp_path / "backup", extra=extra)
    try:
        with Loop({"a": np.zeros(1)}, [backup, *callbacks], 3) as loop:
            for epoch in loop:
                if fail and epoch == 2:
                    raise Interrupted
    except Interrupted:
        pass


def test_callbacks_of_users(tmp_path: Path) -> None:
    """They take part, each with its own state, and see the epoch that has just ended."""
    interrupted(tmp_path, [Counts(), Counts()], fail=True)
    first, second = Counts(), Counts()
    second.count = 100
    interrupted(tmp_path, [first, second], fail=False)

    assert (3, 3) == (first.count, second.count)


STATES: dict[str, Any] = {
    "plain": {"step": 3, "rate": 0.1, "name": "é\ud800", "none": None, "flag": True},
    "numbers that JSON lacks": [float("inf"), -float("inf"), 2**70],
    "keys": {1: "a", (1, "b"): [2], None: 3.5, "model": 0, "array": "x"},
    "kinds": ((1, 2), {3}, frozenset({4}), [[]], {}, b"\x00\xff"),
    "dicts": [Counter({3: 2}), OrderedDict(b=1, a=2)],
}


@pytest.mark.parametrize("name", STATES)
def test_extra(tmp_path: Path, name: str) -> None:
    """A state comes back as it was, with its types."""
    interrupted(tmp_path, [], fail=True, part=Part(STATES[name]))
    part = Part(None)
    interrupted(tmp_path, [], fail=False, part=part)

    assert repr(STATES[name]) == repr(part.state)


def test_arrays_in_a_state(tmp_path: Path) -> None:
    """Arrays and numbers of numpy come back with dtype and shape."""
    state = {
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "b": np.float32(0.5),
        "c": np.zeros(0),
    }
    interrupted(tmp_path, [], fail=True, part=Part(state))
    part = Part(None)
    interrupted(tmp_path, [], fail=False, part=part)

    assert state["a"].tolist() == part.state["a"].tolist()
    assert [np.int16, np.float32, np.float64] == [part.state[name].dtype for name in "abc"]
    assert isinstance(part.state["b"], np.float32)
    assert (0,) == part.state["c"].shape


def test_models_in_a_state(tmp_path: Path) -> None:
    """Weights are stored by their framework, and come back in their places."""
    saved = SavedState([ModelState("w0"), {"b": ModelState("w1")}], "test")
    saved.write(str(tmp_path / "a.npz"))
    models = [ModelState(f"read {model.state}") for model in saved.models]

    assert [models[0], {"b": models[1]}] == read_state(str(tmp_path / "a.npz"), models)


def test_other_parts(tmp_path: Path) -> None:
    """A part that the backup lacks, or that was not given, is told of by its name."""
    interrupted(tmp_path, [], fail=True, old=Part(1), both=Part(2))
    new, both = Part(3), Part(4)
    with pytest.warns(EventWriterWarning, match="extra: .*: new, old. These begin anew"):
        interrupted(tmp_path, [], fail=False, new=new, both=both)

    assert (3, 2) == (new.state, both.state)


def test_part_without_methods(tmp_path: Path) -> None:
    """It is refused at once, by its name."""
    with pytest.raises(ArgumentTypeError, match="extra: it: expected an object with state_dict"):
        BackupAndRestore(tmp_path, extra={"it": 3})


def test_state_that_cannot_be_saved(tmp_path: Path) -> None:
    """A function in a state is refused when training begins, and not after an epoch."""
    backup = BackupAndRestore(tmp_path, extra={"it": Part({"f": print})})
    loop = Loop({"a": np.zeros(1)}, [backup], 1)
    with pytest.raises(ArgumentTypeError, match="got builtin_function_or_method"):
        loop.begin()


def test_order() -> None:
    """The callback that saves the others is called after them; the others keep their order."""
    seen: list[str] = []

    class Last(Callback):
        comes_last = True

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            seen.append("last")

    others = [
        LambdaCallback(on_epoch_end=lambda *_, name=name: seen.append(name)) for name in ("a", "b")
    ]
    list(Loop(None, [Last(), *others], 1))

    assert ["a", "b", "last"] == seen
