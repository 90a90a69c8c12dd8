"""When training stops, and which weights are left."""

from __future__ import annotations

from typing import Any

import pytest

from eventwriter.callbacks import EarlyStopping
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from tests.helpers.trainings import WeightsOnly, column, train

NAN = float("nan")


@pytest.mark.parametrize(
    ("options", "values", "last", "left"),
    [
        ({}, [1, 0.9, 0.9, 0.8], 2, 2),
        ({"patience": 1}, [1, 0.9, 0.9, 0.8], 2, 2),
        ({"patience": 2}, [1, 0.9, 0.95, 0.96, 0.1], 3, 3),
        ({"patience": 2, "baseline": 0.5}, [1, 0.9, 0.8, 0.7, 0.6], 4, 4),
        (
            {"patience": 3, "baseline": 0.5, "restore_best_weights": True},
            [1, 0.9, 0.4, 0.45, 0.44, 0.43, 0.1],
            5,
            2,
        ),
        (
            {"patience": 3, "baseline": 0.5, "restore_best_weights": True},
            [1, 0.9, 0.95, 0.1],
            2,
            1,
        ),
        ({"patience": 2, "min_delta": 0.1}, [1, 0.95, 0.89, 0.85, 0.8, 0.1], 4, 4),
        (
            {"patience": 1, "start_from_epoch": 2, "restore_best_weights": True},
            [0.1, 0.2, 0.5, 0.6, 0.1],
            3,
            2,
        ),
        ({"patience": 2}, [1, NAN, NAN, 0.1], 2, 2),
        ({"patience": 2}, [NAN, NAN, 1, 0.9], 1, 1),
        ({"patience": 2, "restore_best_weights": True}, [NAN, 1, NAN, NAN, 0.1], 3, 1),
        ({"restore_best_weights": True, "patience": 9}, [1, 0.5, 0.7], 2, 1),
        ({"mode": "max", "min_delta": 0.05, "patience": 1}, [0.3, 0.34, 0.9], 1, 1),
    ],
)
def test_rules(options: dict[str, Any], values: list[float], last: int, left: int) -> None:
    """Training ends after epoch `last`, and epoch `left`'s weights are those that remain."""
    loop = train([EarlyStopping(**options)], column("val_loss", values))

    assert last == loop.epoch
    assert left == loop.model["epoch"]
    assert ("stopped" if last < len(values) - 1 else "finished") == loop.status


def test_attributes() -> None:
    """It tells the best value, its epoch, and the epoch it stopped after."""
    callback = EarlyStopping(patience=1)
    train([callback], column("val_loss", [1, 0.5, 0.7]))

    assert (0.5, 1, 2) == (callback.best, callback.best_epoch, callback.stopped_epoch)


def test_again() -> None:
    """A second training starts without the state of the first."""
    callback = EarlyStopping(patience=1)
    train([callback], column("val_loss", [0.1, 0.5]))

    assert 1 == train([callback], column("val_loss", [2, 1])).epoch
    assert 1 == callback.best


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    """With `verbose`, what was done is printed."""
    callback = EarlyStopping(restore_best_weights=True, verbose=1)
    train([callback], column("val_loss", [1, 2]))

    printed = capsys.readouterr().out
    assert "Epoch 2: early stopping" in printed
    assert "best epoch: 1" in printed


def test_view_without_states() -> None:
    """Restoring needs states: a view without any raises an error when training begins."""
    with pytest.raises(ArgumentTypeError, match=r"restore_best_weights.*`get_state`.*WeightsOnly"):
        train([EarlyStopping(restore_best_weights=True)], [{}], view=WeightsOnly())


@pytest.mark.parametrize(
    ("options", "error"),
    [({"patience": -1}, ArgumentValueError), ({"patience": 1.5}, ArgumentTypeError)],
)
def test_arguments(options: dict[str, Any], error: type[Exception]) -> None:
    """A patience that is no count is refused at once."""
    with pytest.raises(error, match="patience"):
        EarlyStopping(**options)
