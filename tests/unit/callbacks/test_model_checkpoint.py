"""Which models are saved, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import LambdaCallback, ModelCheckpoint
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from tests.helpers.trainings import WeightsOnly, column, train, train_on

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")


def saved(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.npz"))


def test_every_epoch(tmp_path: Path) -> None:
    """Each epoch's model is saved under its number from 1 and its metrics, with the suffix."""
    callback = ModelCheckpoint(tmp_path / "new" / "{epoch:02d}-{val_loss:.3f}")
    train([callback], column("val_loss", [0.5, 0.25]))

    assert ["new/01-0.500.npz", "new/02-0.250.npz"] == saved(tmp_path)
    with np.load(tmp_path / "new/02-0.250.npz", allow_pickle=False) as file:
        assert 1 == file["epoch"]


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [1, 0.9, 0.95, 0.8], [1, 2, 4]),
        ({"mode": "max"}, [1, 0.9, 2], [1, 3]),
        ({}, [NAN, 1, NAN, 0.5], [2, 4]),
        ({"initial_value_threshold": 0.7}, [0.8, 0.75, 0.6], [3]),
    ],
)
def test_best_only(
    tmp_path: Path, options: dict[str, Any], values: list[float], epochs: list[int]
) -> None:
    """Only a model better than all before is saved; NaN never is."""
    callback = ModelCheckpoint(tmp_path / "{epoch}", save_best_only=True, **options)
    train([callback], column("val_loss", values))

    assert [f"{epoch}.npz" for epoch in epochs] == saved(tmp_path)


def test_missing_metric(tmp_path: Path) -> None:
    """Where the metric is missing, a warning says so and nothing is saved."""
    with pytest.warns(EventWriterWarning, match=r"'val_loss' is not available.*nothing is saved"):
        train([ModelCheckpoint(tmp_path / "a", save_best_only=True)], [{"loss": 1.0}])

    assert [] == saved(tmp_path)


def test_every_few_batches(tmp_path: Path) -> None:
    """With a number, batches are counted across epochs, and epochs save nothing."""
    callback = ModelCheckpoint(tmp_path / "b-{epoch}-{batch}", save_freq=3)
    train([callback], [{"loss": 1.0}] * 2, batches=4)

    assert ["b-1-3.npz", "b-2-2.npz"] == saved(tmp_path)


def test_best_of_a_few_batches(tmp_path: Path) -> None:
    """The direction is known from the first batch on."""
    callback = ModelCheckpoint(tmp_path / "{batch}", "loss", save_best_only=True, save_freq=1)
    train_on([callback], [3.0, 2.0, 9.0])

    assert ["1.npz", "2.npz"] == saved(tmp_path)  # means: 3, 2.5, 4.7


def test_best_is_kept_across_trainings(tmp_path: Path) -> None:
    """The same object goes on from its best."""
    callback = ModelCheckpoint(tmp_path / "{val_loss}", save_best_only=True)
    train([callback], column("val_loss", [1.0]))
    train([callback], column("val_loss", [2.0, 0.5]))

    assert ["0.5.npz", "1.0.npz"] == saved(tmp_path)


def test_suffix_is_not_repeated(tmp_path: Path) -> None:
    """A path that already has the format's ending is not changed."""
    train([ModelCheckpoint(tmp_path / "a.npz")], [{}])

    assert ["a.npz"] == saved(tmp_path)


@pytest.mark.parametrize("best_only", [False, True])
def test_epoch_without_validation(tmp_path: Path, best_only: bool) -> None:
    """An epoch that lacks a metric in the path warns and saves nothing; training goes on."""
    callback = ModelCheckpoint(
        tmp_path / "{epoch:02d}-{val_loss:.3f}", "loss", save_best_only=best_only
    )
    metrics = [{"loss": 3.0, "val_loss": 0.5}, {"loss": 2.0}, {"loss": 2.5, "val_loss": 0.25}]
    message = r"filepath: 'val_loss' is not available, so nothing is saved. Available: epoch, loss"
    with pytest.warns(EventWriterWarning, match=message) as told:
        loop = train([callback], metrics)

    assert 1 == len(told)
    assert "finished" == loop.status
    # What was not saved is not the best: the third epoch is better than the first.
    assert ["01-0.500.npz", "03-0.250.npz"] == saved(tmp_path)


@pytest.mark.parametrize("name", ["val.loss", "val/loss", "auc[0]", "ndcg@5", "f1 (macro)", "0.x"])
def test_any_name_of_a_metric(tmp_path: Path, name: str) -> None:
    """The name of a metric stands in the path as it is, with or without a format."""
    train([ModelCheckpoint(f"{tmp_path}/{{{name}:.2f}}-{{{name}}}")], [{name: 0.5}])

    assert ["0.50-0.5.npz"] == saved(tmp_path)


def test_metric_that_is_no_number(tmp_path: Path) -> None:
    """A list has no decimals: a warning says so, and training goes on."""
    put = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(a=[1, 2]))
    with pytest.warns(EventWriterWarning, match=r"'a' is no number: \[1, 2\], so nothing is saved"):
        train([put, ModelCheckpoint(tmp_path / "{a:.2f}")], [{}])

    assert [] == saved(tmp_path)


def test_directory(tmp_path: Path) -> None:
    """A directory in the file's place raises an error."""
    (tmp_path / "a.npz").mkdir()

    with pytest.raises(ArgumentValueError, match="is a directory"):
        train([ModelCheckpoint(tmp_path / "a")], [{}])


@pytest.mark.parametrize("save_freq", [0, -1, True, "batch", 1.5])
def test_save_freq(save_freq: Any) -> None:
    """Anything but "epoch" or a count is refused at once."""
    with pytest.raises(ArgumentValueError, match="save_freq"):
        ModelCheckpoint("a", save_freq=save_freq)


@pytest.mark.parametrize(
    "template",
    ["a-{epoch", "a-{}", "a-{0}", "{epoch:.q}", "{val_loss:03d}", "{loss!x}", "{loss:{}}"],
)
def test_template_that_fits_no_metric(template: str) -> None:
    """A template that cannot be read, or whose format fits no number, is refused at once."""
    with pytest.raises(ArgumentValueError, match=r"filepath: expected .*got"):
        ModelCheckpoint(template)


def test_formats(tmp_path: Path) -> None:
    """Whole numbers stay whole, formats may hold placeholders, and doubled braces are braces."""
    callback = ModelCheckpoint(tmp_path / "{{a}}-{epoch:03d}-{batch}-{loss:.{epoch}f}", save_freq=2)
    train_on([callback], [1.0, 2.0])

    assert ["{a}-001-2-1.5.npz"] == saved(tmp_path)


def test_view_that_cannot_save() -> None:
    """The error comes when training begins."""
    with pytest.raises(ArgumentTypeError, match=r"ModelCheckpoint needs `suffix`"):
        train([ModelCheckpoint("a")], [{}], view=WeightsOnly())


def test_verbose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `verbose`, each decision is printed."""
    callback = ModelCheckpoint(tmp_path / "a", verbose=1, save_best_only=True)
    train([callback], column("val_loss", [1.0, 2.0]))

    printed = capsys.readouterr().out
    assert "Epoch 1: val_loss improved from None to 1.00000" in printed
    assert "Epoch 2: val_loss did not improve from 1.00000" in printed
