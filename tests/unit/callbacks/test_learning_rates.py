"""What the learning rate is after each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eventwriter.callbacks import LambdaCallback, LearningRateScheduler, ReduceLROnPlateau
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from tests.helpers.trainings import column, train


def rates(callback: Any, losses: list[float], learning_rate: float = 1.0) -> list[float]:
    """The learning rate after each epoch."""
    found: list[float] = []

    def note(epoch: int, logs: Any) -> None:
        found.append(watch.view.get_learning_rate())

    watch = LambdaCallback(on_epoch_end=note)
    train([callback, watch], column("val_loss", losses), learning_rate=learning_rate)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"patience": 2}, [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001]),
        # cooldown=2 shields two epochs; then two more make the patience.
        (
            {"patience": 2, "factor": 0.5, "cooldown": 2, "min_lr": 0.3},
            [1, 1, 0.5, 0.5, 0.5, 0.5, 0.3],
        ),
        ({"patience": 1, "factor": 0.5, "cooldown": 1}, [1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 1, "min_lr": 0.05}, [1, 0.1, 0.05, 0.05]),
        ({"patience": 0, "min_lr": 0.05}, [1, 0.1, 0.05, 0.05]),
    ],
)
def test_plateau(options: dict[str, Any], expected: list[float]) -> None:
    """Of a metric that stays the same."""
    assert expected == pytest.approx(rates(ReduceLROnPlateau(**options), [1.0] * len(expected)))


def test_plateau_ends() -> None:
    """An improvement resets the patience; one by no more than `min_delta` does not."""
    callback = ReduceLROnPlateau(patience=2, min_delta=0.1)

    assert [1, 1, 1, 1, 0.1] == pytest.approx(rates(callback, [1, 1, 0.5, 0.45, 0.45]))


def test_nan_is_no_improvement() -> None:
    """A metric that is NaN from the first epoch on is a plateau."""
    nan = float("nan")

    assert [0.1, 0.01] == pytest.approx(rates(ReduceLROnPlateau(patience=1), [nan, nan]))


def test_learning_rate_is_logged() -> None:
    """Later callbacks and the history see the epoch's learning rate."""
    loop = train([ReduceLROnPlateau(patience=1)], column("val_loss", [1, 1, 1]))

    assert [1, 1, 0.1] == pytest.approx(loop.history["learning_rate"])


def test_missing_metric() -> None:
    """It is warned of, and the learning rate stays."""
    with pytest.warns(EventWriterWarning, match=r"'val_loss' is not available.*loss"):
        loop = train([ReduceLROnPlateau()], [{"loss": 1.0}])

    assert 1 == loop.view.get_learning_rate()


@pytest.mark.parametrize("factor", [1, 1.5, 0, -1])
def test_factor(factor: float) -> None:
    """A factor that does not reduce is refused at once."""
    with pytest.raises(ArgumentValueError, match="factor"):
        ReduceLROnPlateau(factor=factor)


def test_plateau_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """With `verbose`, the reduction is printed."""
    rates(ReduceLROnPlateau(patience=1, factor=0.5, verbose=1), [1, 1])

    assert "Epoch 2: reducing the learning rate to 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch: 0.5**epoch, [1, 0.5, 0.25]),
        (lambda epoch, lr: lr * 0.1, [0.1, 0.01, 0.001]),
        (lambda epoch, lr=None: 2, [2, 2, 2]),
        (lambda *both: both[1] + both[0], [1, 2, 4]),
        (lambda epoch: np.float32(0.5), [0.5, 0.5, 0.5]),
        (lambda epoch: np.array(0.5), [0.5, 0.5, 0.5]),
    ],
)
def test_schedule(schedule: Any, expected: list[float]) -> None:
    """A function of the epoch, or of the epoch and the rate; whole numbers are numbers too."""
    assert expected == pytest.approx(rates(LearningRateScheduler(schedule), [1.0] * 3))


def test_error_within_a_schedule() -> None:
    """A TypeError of the schedule's own is not taken for another signature."""

    def schedule(epoch: int, learning_rate: float) -> float:
        raise TypeError("own")

    with pytest.raises(TypeError, match="own"):
        rates(LearningRateScheduler(schedule), [1.0])


@pytest.mark.parametrize("returned", ["0.1", None, True, [0.1], 1j])
def test_schedule_that_returns_no_number(returned: Any) -> None:
    """It is an error that shows what was returned."""
    with pytest.raises(ArgumentTypeError, match=r"schedule\(0\).*expected a number"):
        rates(LearningRateScheduler(lambda epoch: returned), [1.0])


@pytest.mark.parametrize("returned", [float("nan"), float("inf")])
def test_schedule_that_returns_nan(returned: float) -> None:
    """NaN would end all training."""
    with pytest.raises(ArgumentValueError, match="finite"):
        rates(LearningRateScheduler(lambda epoch: returned), [1.0])


@pytest.mark.parametrize("schedule", [0.1, lambda: 0.1, lambda a, b, c: a])
def test_what_is_no_schedule(schedule: Any) -> None:
    """What cannot be called with one or two arguments is refused at once."""
    with pytest.raises(ArgumentTypeError, match="schedule"):
        LearningRateScheduler(schedule)


def test_no_learning_rate() -> None:
    """A model without an optimizer has none: told when training begins, with what to do."""
    from eventwriter.callbacks import Loop

    loop = Loop({}, [ReduceLROnPlateau()])

    with pytest.raises(ArgumentTypeError, match=r"ReduceLROnPlateau needs `get_learning_rate`"):
        loop.__enter__()
