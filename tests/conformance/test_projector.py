"""Embeddings in both readers: tensors, metadata and sprites as the projector serves them."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from eventwriter import SummaryWriter
from eventwriter.errors import EventWriterWarning

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.helpers.tensorboard_server import Server

PROJECTOR = "/data/plugin/projector"


def embeddings(server: Server, run: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return every embedding below `run`: its name, the run to ask for it, and what it says."""
    found = {}
    for name in server.get(f"{PROJECTOR}/runs"):
        if name == run or name.startswith(f"{run}/"):
            for info in server.get(f"{PROJECTOR}/info", run=name).get("embeddings", []):
                found[info["tensorName"]] = (name, info)
    return found


def await_embeddings(
    server: Server, run: str, names: set[str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return `embeddings` once they are exactly those of `names`."""

    def all_there() -> dict[str, tuple[str, dict[str, Any]]]:
        found = embeddings(server, run)
        return found if found.keys() == names else {}

    return server.wait_for(all_there, f"embeddings {sorted(names)} in run {run!r}")


def served_tensor(server: Server, run: str, info: dict[str, Any]) -> NDArray[np.float32]:
    data = server.get_bytes(f"{PROJECTOR}/tensor", run=run, name=info["tensorName"])
    return np.frombuffer(data, "<f4").reshape(info["tensorShape"])


def served_metadata(server: Server, run: str, name: str) -> list[list[str]]:
    data = server.get_bytes(f"{PROJECTOR}/metadata", run=run, name=name)
    # The page splits at "\n" alone, and so must this: str.splitlines knows other line breaks.
    return [line.split("\t") for line in data.decode().removesuffix("\n").split("\n")]


def test_tensors_of_several_runs(server: Server, run: Path) -> None:
    """Every cell of every embedding comes back, whether its bytes look like text or not."""
    rng = np.random.default_rng(5)
    matrices = {
        "binary": rng.normal(size=(200, 16)).astype(np.float32),
        "like text": np.zeros((4, 3), np.float32),
        "two points": np.array([[1e-45, -3.4e38, 0.1]] * 2, np.float32),
        "integers": np.arange(12).reshape(3, 4),
    }
    for name in ("a", "b"):
        with SummaryWriter(run / name) as writer:
            for tag, matrix in matrices.items():
                writer.add_embedding(matrix, tag=tag, global_step=0)
    for name in ("a", "b"):
        names = {f"{tag}:00000" for tag in matrices}
        found = await_embeddings(server, f"{run.name}/{name}", names)
        for tag, matrix in matrices.items():
            in_run, info = found[f"{tag}:00000"]
            assert list(matrix.shape) == info["tensorShape"]
            tensor = served_tensor(server, in_run, info)
            np.testing.assert_array_equal(matrix.astype(np.float32), tensor, tag)


def test_one_dimension_and_one_point(server: Server, run: Path) -> None:
    """Numbers on a line become a plane, which the page lists. A point alone is served, at least."""
    line = np.array([[0.5], [2.0], [-1.25]], np.float32)
    point = np.array([[1e-45, -3.4e38, 0.1]], np.float32)
    with SummaryWriter(run) as writer:
        with pytest.warns(EventWriterWarning, match=r"got 3 x 1\. A second dimension of zeros"):
            writer.add_embedding(line, tag="line", global_step=0)
        with pytest.warns(EventWriterWarning, match=r"got 1 x 3\. .*the page does not list it"):
            writer.add_embedding(point, tag="point", global_step=0)
    found = await_embeddings(server, run.name, {"line:00000", "point:00000"})
    plane = served_tensor(server, *found["line:00000"])
    np.testing.assert_array_equal(np.hstack([line, np.zeros_like(line)]), plane)
    np.testing.assert_array_equal(point, served_tensor(server, *found["point:00000"]))


def test_steps_of_one_tag(server: Server, run: Path) -> None:
    """Each step of a tag is an embedding of its own, and one run at most is made for them.

    TensorBoard may see two runs more for each of its looks, one a second, that comes meanwhile.
    """
    start = time.monotonic()
    with SummaryWriter(run) as writer:
        for step in range(5):
            writer.add_embedding(np.full((3, 2), step + 0.1), tag="embed", global_step=step)
    looks = 1 + int(time.monotonic() - start)
    found = await_embeddings(server, run.name, {f"embed:{step:05}" for step in range(5)})
    for step in range(5):
        tensor = served_tensor(server, *found[f"embed:{step:05}"])
        np.testing.assert_array_equal(np.full((3, 2), step + 0.1, np.float32), tensor)
    made = [name for name in server.get("/data/runs") if name.startswith(f"{run.name}/")]
    assert len(made) <= 1 + 2 * looks
    assert 1 == len(list(run.glob("projector/*/*tfevents*")))


def test_metadata(server: Server, run: Path) -> None:
    """Labels come back a row for a point, in one column without a header or in several with one.

    A label that would break the file (line breaks, tabs, nothing at all) still is one cell of one
    row, so that no label moves to another point.
    """
    words = ["the", "größe", "損失 🎯", "a\tb", "c\nd", "e\r\nf", "", "\u2028", "x" * 1000]
    matrix = np.random.default_rng(1).normal(size=(len(words), 4))
    table = [[word, index] for index, word in enumerate(words)]
    with SummaryWriter(run) as writer:
        writer.add_embedding(matrix, words, tag="words", global_step=7)
        writer.add_embedding(
            matrix, table, global_step=7, tag="table", metadata_header=["word", "rank"]
        )
    found = await_embeddings(server, run.name, {"words:00007", "table:00007"})
    in_run, info = found["words:00007"]
    rows = served_metadata(server, in_run, info["tensorName"])
    assert [1] * len(words) == [len(row) for row in rows]
    assert all(row != [""] for row in rows)
    for index in (0, 1, 2, 8):
        assert [words[index]] == rows[index]
    in_run, info = found["table:00007"]
    header, *rows = served_metadata(server, in_run, info["tensorName"])
    assert ["word", "rank"] == header
    assert [str(index) for index in range(len(words))] == [rank for _, rank in rows]


def test_sprite(server: Server, run: Path) -> None:
    """The sprite is one square grid, row by row, of every point's image."""
    images = np.random.default_rng(2).integers(0, 256, size=(5, 3, 6, 4)) / 255.0
    with SummaryWriter(run) as writer:
        writer.add_embedding(np.eye(5), label_img=images, tag="images", global_step=7)
    in_run, info = await_embeddings(server, run.name, {"images:00007"})["images:00007"]
    assert [4, 6] == info["sprite"]["singleImageDim"]
    data = server.get_bytes(f"{PROJECTOR}/sprite_image", run=in_run, name=info["tensorName"])
    sprite = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert (18, 12, 3) == sprite.shape
    for index in range(5):
        row, column = divmod(index, 3)
        cell = sprite[row * 6 : row * 6 + 6, column * 4 : column * 4 + 4]
        expected = np.rint(images[index].transpose(1, 2, 0) * 255)
        np.testing.assert_allclose(expected, cell, atol=1)


def test_embedding_of_a_running_training(server: Server, run: Path) -> None:
    """An embedding that is logged long after its run was loaded appears while training goes on."""
    with SummaryWriter(run) as writer:
        writer.add_scalar("loss", 1.0, 0)
        writer.flush()
        server.wait_for(
            lambda: server.get("/data/plugin/scalars/scalars", run=run.name, tag="loss"), "loss"
        )
        for step in range(3):
            writer.add_embedding(np.full((2, 2), step + 0.1), tag="embed", global_step=step)
            writer.add_scalar("loss", 1.0, step + 1)
            writer.flush()
            await_embeddings(server, run.name, {f"embed:{k:05}" for k in range(step + 1)})


def test_restart_extends(server: Server, run: Path) -> None:
    """A second writer of the same run adds its embeddings to those of the first."""
    for tag in ("first", "second"):
        with SummaryWriter(run) as writer:
            writer.add_embedding(np.eye(3) / 3, tag=tag, global_step=1)
    found = await_embeddings(server, run.name, {"first:00001", "second:00001"})
    for in_run, info in found.values():
        np.testing.assert_array_equal(
            (np.eye(3) / 3).astype(np.float32), served_tensor(server, in_run, info)
        )
