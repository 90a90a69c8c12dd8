"""Scalars in both of TensorBoard's readers, and in its old EventAccumulator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eventwriter import EventFileReader, SummaryWriter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.tensorboard_server import Server

UNICODE_TAGS = [
    "train/損失",
    "größe/ß μ",
    "a b&c=d%e#f+g?h",
    "a//b",
    "line\nbreak",
    "🎯",
    "x" * 700,
]
BOUNDARY_STEPS = [-(2**63), -(2**53) - 1, -1, 0, 1, 127, 128, 2**31, 2**53 + 1, 2**63 - 1]
BOUNDARY_VALUES = [
    0.0, -0.0, 1.0, 0.1, math.pi, 16777217.0, 3.4028234663852886e38, 1e300, -1e300, 1e-45, 1e-46,
    math.nan, math.inf, -math.inf, True, 7, np.float16(0.1), np.float32(0.1), np.int64(-3),
]  # fmt: skip


def as_served(value: float) -> float | str:
    """Return what TensorBoard's JSON holds for a value: its float32, or "NaN" or "Infinity"."""
    with np.errstate(over="ignore"):
        narrow = float(np.float32(value))
    if math.isnan(narrow):
        return "NaN"
    if math.isinf(narrow):
        return "Infinity" if narrow > 0 else "-Infinity"
    return narrow


def served(server: Server, run: str, tag: str) -> list[list[Any]]:
    points: list[list[Any]] = server.get("/data/plugin/scalars/scalars", run=run, tag=tag)
    return points


def await_points(server: Server, run: str, tag: str, count: int) -> list[list[Any]]:
    """Return a tag's points [wall time, step, value] once there are `count` of them or more."""

    def enough() -> list[list[Any]]:
        points = served(server, run, tag)
        return points if len(points) >= count else []

    return server.wait_for(enough, f"{count} points of {tag!r} in run {run!r}")


def event_file(run: Path) -> Path:
    (path,) = run.glob("*tfevents*")
    return path


def test_every_value_of_several_runs(server: Server, run: Path) -> None:
    """Each run, tag, wall time, step and value comes back as it was logged, and nothing else."""
    names = [f"{run.name}/{name}" for name in ("train", "eval", "lr=0.1 & drop")]
    tags = ["loss", "accuracy/top 1", "accuracy/top 5"]
    logged = {
        (name, tag): [
            [1.7e9 + 100 * i + j + k / 8, 10 * k, float(np.float32(i + j / 3 + k / 7))]
            for k in range(40)
        ]
        for i, name in enumerate(names)
        for j, tag in enumerate(tags)
    }
    for name in names:
        with SummaryWriter(run.parent / name) as writer:
            for tag in tags:
                for walltime, step, value in logged[name, tag]:
                    writer.add_scalar(tag, value, step, walltime)
    for (name, tag), points in logged.items():
        assert points == await_points(server, name, tag, len(points))
    listing = server.get("/data/plugin/scalars/tags")
    assert {name: sorted(tags) for name in names} == {
        name: sorted(found) for name, found in listing.items() if name.startswith(run.name)
    }


def test_boundary_values(server: Server, run: Path) -> None:
    """NaN, infinities, overflow, denormals, bools and numpy scalars arrive as float32."""
    with SummaryWriter(run) as writer:
        for step, value in enumerate(BOUNDARY_VALUES):
            writer.add_scalar("value", value, step)
    points = await_points(server, run.name, "value", len(BOUNDARY_VALUES))
    assert [as_served(value) for value in BOUNDARY_VALUES] == [value for _, _, value in points]


def test_boundary_steps(server: Server, run: Path) -> None:
    """Steps are whole int64s, negative ones too, and never pass through a float."""
    with SummaryWriter(run) as writer:
        for index, step in enumerate(BOUNDARY_STEPS):
            writer.add_scalar("index", index, step)
    points = await_points(server, run.name, "index", len(BOUNDARY_STEPS))
    assert BOUNDARY_STEPS == [step for _, step, _ in points]
    assert list(range(len(BOUNDARY_STEPS))) == [value for _, _, value in points]


def test_unicode_and_long_tags(server: Server, run: Path) -> None:
    """A tag is any text: every script, what a URL escapes, line breaks, hundreds of characters."""
    with SummaryWriter(run) as writer:
        for index, tag in enumerate(UNICODE_TAGS):
            writer.add_scalar(tag, index, 3)
    for index, tag in enumerate(UNICODE_TAGS):
        ((_, step, value),) = await_points(server, run.name, tag, 1)
        assert (3, index) == (step, value)
    assert set(UNICODE_TAGS) == set(server.get("/data/plugin/scalars/tags")[run.name])


def test_log_of_nested_metrics(server: Server, run: Path) -> None:
    """log() is one point for each leaf, its tag the names on the way joined with "/"."""
    with SummaryWriter(run) as writer:
        for step in range(5):
            metrics = {"train": {"loss": 1 / (step + 1), "acc": {"top1": step / 8}}, "lr": 0.5}
            writer.log(metrics, step, walltime=1.7e9 + step)
    expected = {
        "train/loss": [[1.7e9 + k, k, as_served(1 / (k + 1))] for k in range(5)],
        "train/acc/top1": [[1.7e9 + k, k, k / 8] for k in range(5)],
        "lr": [[1.7e9 + k, k, 0.5] for k in range(5)],
    }
    assert expected == {tag: await_points(server, run.name, tag, 5) for tag in expected}
    assert sorted(expected) == sorted(server.get("/data/plugin/scalars/tags")[run.name])


def test_series(server: Server, run: Path) -> None:
    """add_scalar_series() is every point of the arrays, in their order."""
    steps = np.arange(-1000, 4000) * 3
    values = np.sin(steps / 100)
    walltimes = 1.7e9 + np.arange(5000) / 4
    with SummaryWriter(run) as writer:
        writer.add_scalar_series("sine", values, steps, walltimes)
    points = await_points(server, run.name, "sine", 5000)
    narrow = values.astype(np.float32).tolist()
    expected = zip(walltimes.tolist(), steps.tolist(), narrow, strict=True)
    assert [list(point) for point in expected] == points


def test_what_is_flushed_later_appears(server: Server, run: Path) -> None:
    """A run that TensorBoard has loaded grows with every flush(), without close()."""
    with SummaryWriter(run, flush_secs=3600) as writer:
        for start, end in [(0, 3), (3, 4), (4, 40)]:
            for step in range(start, end):
                writer.add_scalar("loss", 1 / (step + 1), step)
                writer.log({"lr": step}, step)
            writer.flush()
            points = await_points(server, run.name, "loss", end)
            assert [as_served(1 / (step + 1)) for step in range(end)] == [v for _, _, v in points]
            assert list(range(end)) == [v for _, _, v in await_points(server, run.name, "lr", end)]


@pytest.mark.parametrize("left", [1, 11, 13, -1], ids=lambda left: f"{left}-bytes-left")
def test_torn_tail(server: Server, run: Path, tmp_path: Path, left: int) -> None:
    """A file that ends inside its last record shows every record before it, and no complaint.

    `left` bytes of the record remain: inside its length, its length's checksum, its payload, or
    all but its last byte.
    """
    with SummaryWriter(tmp_path) as writer:
        for step in range(20):
            writer.add_scalar("loss", step / 4, step)
        writer.flush()
        whole = event_file(tmp_path).stat().st_size
        writer.add_scalar("loss", 99.0, 20)
    source = event_file(tmp_path)
    data = source.read_bytes()
    assert len(data) > whole + 13
    run.mkdir()
    (run / source.name).write_bytes(data[: whole + left if left > 0 else left])
    points = await_points(server, run.name, "loss", 20)
    assert [step / 4 for step in range(20)] == [value for _, _, value in points]


def test_purge_step(server: Server, run: Path, load_fast: bool) -> None:
    """A restart with purge_step replaces what the first process logged from that step on.

    The reader in Python drops those steps of every tag. The data server ignores the request, and
    drops them tag by tag as they are written again.
    """
    with SummaryWriter(run) as writer:
        for step in range(10):
            writer.add_scalar("again", step, step)
            writer.add_scalar("not again", step, step)
    await_points(server, run.name, "again", 10)
    with SummaryWriter(run, purge_step=5) as writer:
        for step in range(5, 8):
            writer.add_scalar("again", -step, step)

    def replaced() -> bool:
        return [0, 1, 2, 3, 4, -5, -6, -7] == [v for _, _, v in served(server, run.name, "again")]

    server.wait_for(replaced, "the restarted run's steps in place of the first's")
    kept = [value for _, _, value in served(server, run.name, "not again")]
    assert list(range(10 if load_fast else 5)) == kept


def test_event_accumulator(tmp_path: Path) -> None:
    """The old accumulator, which other tools build on, reads every form of scalar call."""
    with SummaryWriter(tmp_path) as writer:
        for step, value in enumerate(BOUNDARY_VALUES):
            writer.add_scalar("value", value, step, 1.7e9 + step)
        writer.log({"train": {"loss": 0.25}}, 7)
        writer.add_scalar_series("series", np.arange(50.0), np.arange(50))
        writer.add_scalar("損失", 1, 0)
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    assert {"value", "train/loss", "series", "損失"} == set(accumulator.Tags()["scalars"])
    points = accumulator.Scalars("value")
    assert [as_served(v) for v in BOUNDARY_VALUES] == [as_served(point.value) for point in points]
    steps = range(len(BOUNDARY_VALUES))
    assert [(1.7e9 + k, k) for k in steps] == [(point.wall_time, point.step) for point in points]
    assert [(7, 0.25)] == [(p.step, p.value) for p in accumulator.Scalars("train/loss")]
    assert [(k, k) for k in range(50)] == [(p.step, p.value) for p in accumulator.Scalars("series")]


def test_event_accumulator_purges(tmp_path: Path) -> None:
    """The old accumulator drops what purge_step replaces, as it does for TensorFlow's restarts."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(10):
            writer.add_scalar("loss", step, step)
    with SummaryWriter(tmp_path, purge_step=5) as writer:
        writer.add_scalar("loss", -5, 5)
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    assert [0, 1, 2, 3, 4, -5] == [point.value for point in accumulator.Scalars("loss")]
    assert 2 == len(list(tmp_path.iterdir()))
    assert all(list(EventFileReader(path)) for path in tmp_path.iterdir())
