"""The demo as a whole: what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventwriter import EventFileReader
from eventwriter.demo.run import run
from eventwriter.errors import ArgumentValueError

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter._proto.event_pb2 import Event

EPOCHS = 2


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("demo") / "logs", epochs=EPOCHS)


def events(run_directory: Path) -> list[Event]:
    (path,) = run_directory.glob("*tfevents*")
    return list(EventFileReader(path))


def steps_of_tags(run_directory: Path) -> dict[str, list[int]]:
    steps: dict[str, list[int]] = {}
    for event in events(run_directory):
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
    return steps


def test_two_runs_have_the_same_metrics(logdir: Path) -> None:
    """Each epoch's loss and accuracy are in both runs under one tag: the curves overlay."""
    for name in ("train", "validation"):
        steps = steps_of_tags(logdir / name)
        assert steps["epoch/loss"] == steps["epoch/accuracy"] == list(range(EPOCHS))
    assert {"epoch/loss", "epoch/accuracy"} == steps_of_tags(logdir / "validation").keys()
    assert steps_of_tags(logdir / "train")["batch/loss"] == list(range(25 * EPOCHS))


def test_histograms_of_every_layer_each_epoch(logdir: Path) -> None:
    """Weights and gradients of every layer that has any, and every layer's activations."""
    expected = {f"layers/{layer}/activations" for layer in ("embed", "conv", "pool", "dense")}
    for layer, names in {
        "embed": ["embeddings"],
        "conv": ["kernel", "bias"],
        "dense": ["kernel", "bias"],
    }.items():
        for name in names:
            expected |= {f"layers/{layer}/{kind}/{name}" for kind in ("weights", "gradients")}
    steps = steps_of_tags(logdir / "train")

    assert expected == {tag for tag in steps if tag.startswith("layers/")}
    assert all(steps[tag] == list(range(EPOCHS)) for tag in expected)


def test_the_graph_is_logged_once(logdir: Path) -> None:
    """The training run holds the graph; the validation run, of the same model, has none."""
    assert sum(bool(event.graph_def) for event in events(logdir / "train")) == 1
    assert sum(bool(event.graph_def) for event in events(logdir / "validation")) == 0


def test_the_embedding_has_words_and_counts(logdir: Path) -> None:
    """2,000 words of 128 float32 numbers, each with its word and its count."""
    (metadata,) = logdir.rglob("metadata*.tsv")
    lines = metadata.read_text(encoding="utf-8").splitlines()

    assert lines[0] == "word\tcount"
    assert len(lines) == 2001
    assert lines[1].startswith("<unknown>\t")
    counts = [int(line.split("\t")[1]) for line in lines[2:]]
    assert sorted(counts, reverse=True) == counts
    assert 2000 * 128 * 4 in {path.stat().st_size for path in metadata.parent.iterdir()}


def test_a_second_training_is_not_mixed_into_the_first(logdir: Path) -> None:
    """A directory that holds a training run is refused, and stays as it was."""
    before = {path: path.stat().st_size for path in logdir.rglob("*")}
    with pytest.raises(ArgumentValueError, match="holds a training run already"):
        run(logdir, epochs=1)

    assert before == {path: path.stat().st_size for path in logdir.rglob("*")}
