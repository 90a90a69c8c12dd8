"""The demo as a whole: what it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventwriter.demo.data import load_corpus
from eventwriter.demo.run import run
from eventwriter.demo.training import BATCH_SIZE
from eventwriter.errors import ArgumentValueError
from tests.helpers.runs import all_events, steps_of_tags

if TYPE_CHECKING:
    from pathlib import Path

EPOCHS = 2


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("demo") / "logs", epochs=EPOCHS)


def test_two_runs_have_the_same_metrics(logdir: Path) -> None:
    """Each epoch's loss and accuracy are in both runs under one tag: the curves overlay."""
    metrics = {"epoch/loss", "epoch/accuracy"}
    # How much text there is depends on the version of Python.
    batches = -(-len(load_corpus(seed=0).train) // BATCH_SIZE)
    train, validation = (steps_of_tags(logdir / name) for name in ("train", "validation"))
    for steps in (train, validation):
        assert all(list(range(EPOCHS)) == steps[tag] for tag in metrics)
    assert metrics == validation.keys()
    assert list(range(EPOCHS)) == train["epoch/learning_rate"]
    for tag in ("batch/loss", "batch/accuracy"):
        assert list(range(1, batches * EPOCHS + 1)) == train[tag]


def test_histograms_of_every_layer_each_epoch(logdir: Path) -> None:
    """Weights and gradients of every layer that has any, and every layer's activations."""
    expected = {f"outputs/{layer}" for layer in ("embed", "conv", "pool", "dense")}
    for name in ("embed/embeddings", "conv/kernel", "conv/bias", "dense/kernel", "dense/bias"):
        expected |= {f"weights/{name}", f"gradients/{name}"}
    steps = steps_of_tags(logdir / "train")

    assert expected == {tag for tag in steps if tag.split("/")[0] not in {"epoch", "batch"}}
    assert all(steps[tag] == list(range(EPOCHS)) for tag in expected)


def test_the_graph_is_logged_once(logdir: Path) -> None:
    """The training run holds the graph; the validation run, of the same model, has none."""
    assert sum(bool(event.graph_def) for event in all_events(logdir / "train")) == 1
    assert sum(bool(event.graph_def) for event in all_events(logdir / "validation")) == 0


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
    with pytest.raises(ArgumentValueError, match="expected no training run"):
        run(logdir, epochs=1)

    assert before == {path: path.stat().st_size for path in logdir.rglob("*")}
