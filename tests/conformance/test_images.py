"""Images in both readers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from eventwriter import SummaryWriter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.tensorboard_server import Server


def test_pixels_come_back(server: Server, run: Path) -> None:
    """Every pixel that was logged is served, at its step, as a PNG."""
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    with SummaryWriter(run) as writer:
        writer.add_image("input", pixels, 3, dataformats="HWC")
    (image,) = server.wait_for(
        lambda: server.get("/data/plugin/images/images", run=run.name, tag="input", sample=0),
        "the image",
    )
    data = server.get_bytes(f"/data/plugin/images/individualImage?{image['query']}")
    with Image.open(io.BytesIO(data)) as served:
        shown = np.asarray(served)

    assert 3 == image["step"]
    assert pixels.tolist() == shown.tolist()
