"""The demo's training: that it learns, what it reports, and that it can be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from eventwriter.callbacks import Callback, Loop
from eventwriter.demo import data
from eventwriter.demo.model import TextClassifier
from eventwriter.demo.training import BATCH_SIZE, evaluate, train

if TYPE_CHECKING:
    from collections.abc import Mapping


class Recorder(Callback):
    """Keep the mean loss since the epoch's start after each batch, and which hooks were called."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, float]] = []
        self.epochs: list[int] = []

    def on_batch_end(self, batch: int, logs: Mapping[str, Any]) -> None:
        self.batches.append((self.training.step, logs["loss"]))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any]) -> None:
        self.epochs.append(epoch)


class Views(Callback):
    """Keep what the view tells of the model after the last batch."""

    def on_train_end(self, logs: Mapping[str, Any]) -> None:
        self.weights = dict(self.view.weights())
        self.gradients = dict(self.view.names(self.training.gradients))
        self.activations = dict(self.view.activations(self.validation_data[0][:3]))


@pytest.fixture(scope="module")
def corpus() -> data.Corpus:
    return data.load_corpus(seed=0)


def trained(
    corpus: data.Corpus, epochs: int, seed: int = 0, *callbacks: Callback
) -> tuple[TextClassifier, Loop]:
    """Train with a quarter of the filters and of the embedding: a tenth of a second an epoch."""
    rng = np.random.default_rng(seed)
    model = TextClassifier(
        len(corpus.vocabulary), len(corpus.topics), rng, embedding_width=32, filters=32
    )
    with threadpool_limits(1):
        return model, train(model, corpus, epochs, rng, callbacks)


def test_it_learns_more_than_the_commonest_topic(corpus: data.Corpus) -> None:
    """Validation accuracy, on text that was not trained on, is over twice what guessing gives."""
    model, loop = trained(corpus, epochs=10)
    majority = np.bincount(corpus.validation.topics).max() / len(corpus.validation)
    history = loop.history
    last = {name: history[f"val_{name}"][-1] for name in ("loss", "accuracy")}

    assert last["accuracy"] > 2 * majority > 0.1
    assert last == pytest.approx(evaluate(model, corpus.validation), rel=1e-6)
    assert history["loss"][0] > 1.5 * history["loss"][-1]


def test_every_batch_and_epoch_is_reported_once_and_in_order(corpus: data.Corpus) -> None:
    """Batches count through the epochs; an epoch's training loss is the mean over its passages."""
    recorder = Recorder()
    _, loop = trained(corpus, 2, 0, recorder)
    batches = -(-len(corpus.train) // BATCH_SIZE)

    assert list(range(1, 2 * batches + 1)) == [step for step, _ in recorder.batches]
    assert recorder.epochs == [0, 1]
    assert loop.params["steps"] == batches
    means = [loss for step, loss in recorder.batches if step % batches == 0]
    assert means == loop.history["loss"]


def test_metrics_are_means_over_passages(corpus: data.Corpus) -> None:
    """A batch counts by its passages: the last one of an epoch is smaller than the others."""
    recorder = Recorder()
    trained(corpus, 1, 0, recorder)
    passages = len(corpus.train)
    sizes = [BATCH_SIZE] * (passages // BATCH_SIZE) + [passages % BATCH_SIZE]
    means = [loss for _, loss in recorder.batches]
    last = (means[-1] * passages - means[-2] * (passages - sizes[-1])) / sizes[-1]

    assert 0 < sizes[-1] < BATCH_SIZE
    assert 0.5 * means[-2] < last < 1.5 * means[-2]  # by any other weight it is far off


def test_the_view_tells_of_every_layer(corpus: data.Corpus) -> None:
    """Weights and gradients have the same names and shapes; activations are the layers' outputs."""
    views = Views()
    model, _ = trained(corpus, 1, 0, views)
    names = {"embed/embeddings", "conv/kernel", "conv/bias", "dense/kernel", "dense/bias"}

    assert names == views.weights.keys() == views.gradients.keys()
    for name in names:
        assert views.weights[name].shape == views.gradients[name].shape
        assert views.gradients[name].any()
    assert views.weights["conv/kernel"] is model.conv.weights["kernel"]
    assert ["embed", "conv", "pool", "dense"] == list(views.activations)
    assert {3} == {len(output) for output in views.activations.values()}


def test_same_seed_same_training(corpus: data.Corpus) -> None:
    """Two trainings with one seed report the same losses; another seed's differ."""
    first, same, other = Recorder(), Recorder(), Recorder()
    for recorder, seed in ((first, 5), (same, 5), (other, 6)):
        trained(corpus, 1, seed, recorder)

    assert first.batches == same.batches
    assert first.batches != other.batches


def test_validation_is_not_trained_on(corpus: data.Corpus) -> None:
    """Evaluating leaves the weights as they are."""
    model, _ = trained(corpus, epochs=1)
    before = {name: weight.copy() for name, weight in model.weights.items()}
    evaluate(model, corpus.validation)

    for name, weight in model.weights.items():
        np.testing.assert_array_equal(before[name], weight)
