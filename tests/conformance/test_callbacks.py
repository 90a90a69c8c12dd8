"""What the TensorBoard callback wrote, as both of stock TensorBoard's readers serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from eventwriter.callbacks import Loop, NumpyView, TensorBoard
from tests.helpers.tensorboard_server import serve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("load_fast", [True, False])
def test_training(tmp_path: Path, load_fast: bool) -> None:
    """Curves of training and validation under one tag, histograms, and embeddings are shown."""
    view = NumpyView(
        {"embed": np.arange(30.0).reshape(10, 3)},
        activations=lambda x: {"embed": x},
        embeddings=("embed",),
    )
    log = TensorBoard(tmp_path, histogram_freq=1, embeddings_freq=1)
    data = (np.arange(30.0).reshape(10, 3), np.zeros(10))
    with Loop(None, [log], 3, view=view, validation_data=data) as loop:
        for epoch in loop:
            loop.record_gradients({"embed": np.ones((10, 3))})
            loop.log(loss=epoch, val_loss=epoch + 1)

    with serve(tmp_path, load_fast=load_fast) as server:
        server.wait_for(
            lambda: {"train", "validation"} <= set(server.get("/data/runs")), "the two runs"
        )
        server.wait_for(
            lambda: "outputs/embed" in server.get("/data/plugin/histograms/tags").get("train", {}),
            "the histograms",
        )
        for run, first in (("train", 0), ("validation", 1)):
            points = server.get(f"/data/plugin/scalars/scalars?run={run}&tag=epoch%2Floss")
            assert [[0, first], [1, first + 1], [2, first + 2]] == [p[1:] for p in points]
        for tag in ("weights/embed", "gradients/embed", "outputs/embed"):
            series = server.get(f"/data/plugin/histograms/histograms?run=train&tag={tag}")
            assert [0, 1, 2] == [entry[1] for entry in series]
        assert "train" in server.get("/data/plugin/projector/runs")
