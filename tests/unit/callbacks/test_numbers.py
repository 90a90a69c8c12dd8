"""What TensorBoard shows of a model that tells numbers, and that has no layers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from eventwriter.callbacks import Loop, ModelView, TensorBoard
from tests.helpers.runs import steps, values

if TYPE_CHECKING:
    from pathlib import Path


class Trees(ModelView):
    """Has importances and nothing else."""

    has_layers = False

    def __init__(self) -> None:
        self.age = 0.0

    def weights(self) -> dict[str, Any]:
        return {"gain": np.array([self.age])}

    def numbers(self) -> dict[str, float]:
        self.age += 1
        return {"gain/age": self.age}


def test_numbers_are_curves(tmp_path: Path) -> None:
    """They are scalars at the steps of the histograms, and nobody is told of missing layers."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Loop(None, [TensorBoard(tmp_path, histogram_freq=2)], 3, view=Trees()) as loop:
            for _ in loop:
                pass

    assert [0, 2] == steps(tmp_path)["train:gain/age"]
    assert [1, 2] == values(tmp_path / "train", "gain/age")


def test_gradients_that_are_recorded(tmp_path: Path) -> None:
    """Gradients that a loop hands over are shown also where the model has no layers."""
    with Loop(None, [TensorBoard(tmp_path, histogram_freq=1)], 1, view=Trees()) as loop:
        for _ in loop:
            loop.record_gradients({"own": np.ones(3)})

    assert any("own" in tag for tag in steps(tmp_path))
