"""The first screen that TensorBoard shows of a training has its loss."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from eventwriter.callbacks import TensorBoard
from eventwriter.callbacks.tensorboard.tag_styles import TAG_STYLES
from tests.e2e.dashboards import open_dashboard, settle, wait_for_colour
from tests.helpers import children
from tests.helpers.tensorboard_server import Server, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

# The trainings leave `tag_style` as it is.
STYLE = TAG_STYLES[inspect.signature(TensorBoard).parameters["tag_style"].default]
TRAININGS = {
    "torch_writer": (STYLE.epoch.format("loss"), 2),
    "keras_jax": (STYLE.batch.format("loss"), 1),
    "flax_nnx": (STYLE.epoch.format("loss"), 2),
    "lightgbm_trees": (STYLE.epoch.format("binary_logloss"), 2),
    "torch_gan": (STYLE.epoch.format("d_loss"), 1),
    "reinforcement": (STYLE.epoch.format("loss"), 1),
    "sweep": (STYLE.epoch.format("loss"), 6),
}
"""The tag of the loss that comes first, and the number of runs that have it: curves of its card."""
SHOWN = 0.4
"""The part of the card that is on the screen, at the least. The page is 900 pixels high, and two
cards stand side by side on it, so the third card is cut there."""


@pytest.mark.parametrize("name", TRAININGS)
def test_first_screen(
    page: Page, tmp_path: Path, take_picture: Callable[[str], None], name: str
) -> None:
    """The card of the loss is on the page as it opens, with its title and its curves."""
    tag, curves = TRAININGS[name]
    children.run_module(f"tests.trainings.{name}", str(tmp_path / name))
    with serve(tmp_path / name, load_fast=True) as server:
        server.wait_for(lambda: len(runs_of(server, tag)) == curves, f"{curves} runs of {tag!r}")
        open_dashboard(page, server, "timeseries", "card-view")
        card = page.locator("card-view", has=page.locator(f"[title={tag!r}]"))
        title = card.locator(f"[title={tag!r}]")
        expect(card.locator("tb-data-table-content-row")).to_have_count(curves)
        settle(page)
        expect(title).to_be_in_viewport(ratio=1)
        expect(card).to_be_in_viewport(ratio=SHOWN)
        take_picture(f"training-{name}")
        wait_for_colour(card.locator("line-chart canvas").first, 100)
        assert [] == server.complaints()


def runs_of(server: Server, tag: str) -> list[str]:
    """Return the runs that have a scalar."""
    tags = server.get("/data/plugin/scalars/tags")
    return [run for run, found in tags.items() if tag in found]
