"""Which way a metric is better, and what is better."""

from __future__ import annotations

import math

import pytest

from eventwriter.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.training.monitor import Monitor
from tests.helpers.trainings import column, train


@pytest.mark.parametrize(
    ("metric", "less"),
    [
        ("loss", True),
        ("val_loss", True),
        ("val_mean_squared_error", True),
        ("val_rmse", True),
        ("logloss", True),
        ("accuracy_loss", True),
        ("acc", False),
        ("val_accuracy", False),
        ("valAUC", False),
        ("val_f1", False),
        ("top5_acc", False),
        ("loss/accuracy", False),
    ],
)
def test_direction_is_told_by_the_name(metric: str, less: bool) -> None:
    """`mode="auto"` knows the field's usual metrics by the last known word of their names."""
    assert less == Monitor("A", metric).less_is_better


def test_direction_that_cannot_be_told() -> None:
    """A name that says nothing is an error that says what to pass, when it is first needed."""
    monitor = Monitor("EarlyStopping", "val_thing")

    with pytest.raises(ArgumentValueError, match=r"EarlyStopping.*'val_thing'.*mode='max'"):
        monitor.improved(1.0, None)


def test_given_mode_wins() -> None:
    """`mode` decides whatever the name says."""
    assert not Monitor("A", "loss", "max").less_is_better
    assert Monitor("A", "thing", "min").less_is_better


@pytest.mark.parametrize("callback", [EarlyStopping, ReduceLROnPlateau])
def test_unknown_mode(callback: type) -> None:
    """An unknown mode warns, and the name decides."""
    with pytest.warns(EventWriterWarning, match="'up'"):
        made = callback("val_loss", mode="up")
    assert made._monitor.less_is_better


def test_unknown_mode_of_checkpoint() -> None:
    """As above."""
    with pytest.warns(EventWriterWarning, match="'up'"):
        ModelCheckpoint("a", "val_loss", mode="up")


@pytest.mark.parametrize(
    ("value", "reference", "improved"),
    [
        (1.0, None, True),
        (math.nan, None, False),
        (math.nan, 1.0, False),
        (1.0, math.nan, True),
        (1.0, 1.0, False),
        (0.9, 1.0, False),
        (0.89, 1.0, True),
        (math.inf, None, True),
        (-math.inf, 0.0, True),
    ],
)
def test_improvement(value: float, reference: float | None, improved: bool) -> None:
    """Better is strictly better by more than `min_delta`, whose sign is ignored; NaN never is."""
    assert improved == Monitor("A", "loss", "min", -0.1).improved(value, reference)


def test_missing_metric() -> None:
    """It is warned of at every epoch's end, with what is available; training goes on."""
    with pytest.warns(EventWriterWarning, match=r"'val_loss' is not available.*loss, acc") as told:
        loop = train([EarlyStopping()], [{"loss": 1.0, "acc": 0.5}] * 2)

    assert 2 == len(told)
    assert "finished" == loop.status


def test_monitor_that_is_no_name() -> None:
    """`monitor` must be a str."""
    with pytest.raises(ArgumentTypeError, match="monitor"):
        EarlyStopping(3)  # type: ignore[arg-type]


def test_metric_that_is_no_number() -> None:
    """A list has no order: it is warned of."""
    monitor = Monitor("A", "loss")

    with pytest.warns(EventWriterWarning, match="no number"):
        assert monitor.value({"loss": [1, 2]}, "nothing happens") is None


def test_columns() -> None:
    """The tests' own helper makes an epoch of each value."""
    assert [{"a": 1}, {"a": 2}] == column("a", [1, 2])
