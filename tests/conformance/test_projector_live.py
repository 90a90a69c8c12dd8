"""A running TensorBoard learns of new embeddings, and its list of runs stays short."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter import SummaryWriter
from tests.helpers.tensorboard_server import Server, serve

if TYPE_CHECKING:
    from pathlib import Path

PROJECTOR = "/data/plugin/projector"


def names(server: Server, run: str) -> list[str]:
    if run not in server.get(f"{PROJECTOR}/runs"):
        return []
    info = server.get(f"{PROJECTOR}/info", run=run)
    return [embedding["tensorName"] for embedding in info["embeddings"]]


def await_names(server: Server, run: str, expected: list[str]) -> None:
    server.wait_for(lambda: names(server, run) == expected, f"{expected} in run {run!r}")


def runs_below(server: Server, run: str) -> list[str]:
    listed: list[str] = server.get("/data/runs")
    return sorted(name for name in listed if name == run or name.startswith(f"{run}/"))


def await_run(server: Server, run: str) -> None:
    server.wait_for(lambda: runs_below(server, run) == [run], f"run {run!r}")
    # The plugin has seen the run, without a configuration.
    assert run not in server.get(f"{PROJECTOR}/runs")


def update_run(run: Path) -> str:
    """Return the one run that tells of embeddings."""
    (event_file,) = run.glob("projector/*/*tfevents*")
    return f"{run.name}/projector/{event_file.parent.name}"


def log(writer: SummaryWriter, step: int) -> None:
    writer.add_embedding(np.full((4, 3), step + 0.1), tag="embed", global_step=step)


def test_each_epoch_appears_and_one_run_stays(server: Server, run: Path) -> None:
    """Epoch after epoch is served soon after its flush; there is one run besides the training's.

    The reader in Python forgets a run only when its directory is removed, which an update does
    to those that were left some seconds before.
    """
    epochs = 8
    with SummaryWriter(run) as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        await_run(server, run.name)
        for step in range(epochs):
            log(writer, step)
            writer.flush()
            await_names(server, run.name, [f"embed:{each:05d}" for each in range(step + 1)])
        for step in range(epochs):
            data = server.get_bytes(f"{PROJECTOR}/tensor", run=run.name, name=f"embed:{step:05d}")
            assert data == np.full((4, 3), step + 0.1, "<f4").tobytes()
        left = [path for path in run.glob("projector/update-*") if not list(path.iterdir())]
        for path in left:
            os.utime(path, (1, 1))  # as if long ago
        left_last = update_run(run)
        log(writer, epochs)
        writer.flush()
    at_most = {run.name, left_last, update_run(run)}
    server.wait_for(lambda: set(runs_below(server, run.name)) <= at_most, "old updates to vanish")


def test_many_between_two_looks(server: Server, run: Path) -> None:
    """Twenty embeddings in a moment, then the end of the training: all of them are served.

    TensorBoard saw the run before the first of them and looks again after the last.
    """
    with SummaryWriter(run) as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        await_run(server, run.name)
        start = time.monotonic()
        for step in range(20):
            log(writer, step)
            writer.flush()
        looks = 1 + int(time.monotonic() - start)  # one a second
    await_names(server, run.name, [f"embed:{step:05d}" for step in range(20)])
    # The run, the last update, and for each look that came in between two updates at the most: an
    # update may move the file while TensorBoard looks.
    assert len(runs_below(server, run.name)) <= 2 + 2 * looks


def test_a_restart_tells_of_more(server: Server, run: Path) -> None:
    """What was served before a restart still is, with what is logged, or logged again, after it."""
    for start, expected in (
        (0, ["embed:00000", "embed:00001"]),
        (1, ["embed:00000", "embed:00001 (2)", "embed:00002"]),
    ):
        with SummaryWriter(run) as writer:
            for step in (start, start + 1):
                log(writer, step)
        await_names(server, run.name, expected)
    data = server.get_bytes(f"{PROJECTOR}/tensor", run=run.name, name="embed:00001 (2)")
    assert data == np.full((4, 3), 1.1, "<f4").tobytes()


def test_several_runs_at_once(server: Server, run: Path) -> None:
    """Each run of a sweep tells of its own embeddings."""
    writers = [SummaryWriter(run / f"lr{index}") for index in range(3)]
    for step in range(3):
        for writer in writers:
            log(writer, step)
    for writer in writers:
        writer.close()
    for index in range(3):
        await_names(server, f"{run.name}/lr{index}", [f"embed:{step:05d}" for step in range(3)])


def test_a_start_on_embeddings_that_are_there(tmp_path: Path, load_fast: bool) -> None:
    """A TensorBoard that starts later shows what is there, activates the tab, learns of more."""
    run = tmp_path / "train"
    with SummaryWriter(run) as writer:
        for step in range(3):
            log(writer, step)
            writer.flush()
        with serve(tmp_path, load_fast=load_fast) as server:

            def active() -> Any:
                return server.get("/data/plugins_listing")["projector"]["enabled"]

            server.wait_for(active, "the Projector tab")
            await_names(server, "train", [f"embed:{step:05d}" for step in range(3)])
            # Empty directories of earlier updates are no runs.
            expected = ["train", update_run(run)]
            server.wait_for(lambda: runs_below(server, "train") == expected, f"{expected}")
            log(writer, 3)
            writer.flush()
            await_names(server, "train", [f"embed:{step:05d}" for step in range(4)])
            assert server.complaints() == []


@pytest.mark.parametrize("lost", ["the run", "projector", "projector_config.pbtxt", "a matrix"])
def test_files_that_go_away(tmp_path: Path, load_fast: bool, lost: str) -> None:
    """After somebody removed files of a run, the embeddings that follow are served.

    So are those of another run, which the plugin would not serve while one list names a file that
    is gone.
    """
    logdir = tmp_path / "logs"
    run = logdir / "train"

    with (
        contextlib.ExitStack() as servers,
        SummaryWriter(logdir / "other") as other,
        SummaryWriter(run) as writer,
    ):
        log(other, 0)
        log(writer, 0)
        log(writer, 1)
        for each in (other, writer):
            each.flush()
        (matrix,) = run.glob("projector/embed_00001-*")
        path = {"the run": run, "a matrix": matrix}.get(lost, run / lost)
        # The reader in Python dies when a directory vanishes while the reader discovers it.
        starts_later = path.is_dir() and not load_fast
        if not starts_later:
            server = servers.enter_context(serve(logdir, load_fast=load_fast))
            await_names(server, "train", ["embed:00000", "embed:00001"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the contracts say what is told
            path.rename(tmp_path / "away")
            log(writer, 2)
            writer.flush()
        if starts_later:
            server = servers.enter_context(serve(logdir, load_fast=load_fast))
        kept = ["embed:00000"] if lost == "a matrix" else []
        await_names(server, "train", [*kept, "embed:00002"])
        await_names(server, "other", ["embed:00000"])
        data = server.get_bytes(f"{PROJECTOR}/tensor", run="train", name="embed:00002")
        assert data == np.full((4, 3), 2.1, "<f4").tobytes()
