"""The demo's training: that it learns, what it reports, and that it can be repeated."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from eventwriter.demo import data
from eventwriter.demo.model import TextClassifier
from eventwriter.demo.training import BATCH_SIZE, Metrics, evaluate, train


class Recorder:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, float]] = []
        self.epochs: list[tuple[int, Metrics, Metrics]] = []

    def batch_end(self, step: int, loss: float) -> None:
        self.batches.append((step, loss))

    def epoch_end(self, epoch: int, train: Metrics, validation: Metrics) -> None:
        self.epochs.append((epoch, train, validation))


@pytest.fixture(scope="module")
def corpus() -> data.Corpus:
    return data.load_corpus(seed=0)


def trained(corpus: data.Corpus, epochs: int, seed: int = 0) -> tuple[TextClassifier, Recorder]:
    """With an eighth of the filters and of the embedding: a tenth of a second an epoch."""
    rng = np.random.default_rng(seed)
    model = TextClassifier(
        len(corpus.vocabulary), len(corpus.topics), rng, embedding_width=32, filters=32
    )
    recorder = Recorder()
    with threadpool_limits(1):
        train(model, corpus, epochs, rng, [recorder])
    return model, recorder


def test_it_learns_more_than_the_commonest_topic(corpus: data.Corpus) -> None:
    """Validation accuracy, on text that was not trained on, is over twice what guessing gives."""
    model, recorder = trained(corpus, epochs=10)
    majority = np.bincount(corpus.validation.topics).max() / len(corpus.validation)
    validation = recorder.epochs[-1][2]

    assert validation.accuracy > 2 * majority > 0.1
    assert validation == evaluate(model, corpus.validation)
    assert recorder.epochs[0][1].loss > 1.5 * recorder.epochs[-1][1].loss


def test_every_batch_and_epoch_is_reported_once_and_in_order(corpus: data.Corpus) -> None:
    """Batches count through the epochs; an epoch's training loss is the mean over its passages."""
    _, recorder = trained(corpus, epochs=2)
    passages = len(corpus.train)
    sizes = [BATCH_SIZE] * (passages // BATCH_SIZE) + [passages % BATCH_SIZE]
    losses = [loss for _, loss in recorder.batches]

    assert list(range(2 * len(sizes))) == [step for step, _ in recorder.batches]
    assert [epoch for epoch, _, _ in recorder.epochs] == [0, 1]
    for epoch, metrics, _ in recorder.epochs:
        of_epoch = losses[epoch * len(sizes) : (epoch + 1) * len(sizes)]
        assert np.average(of_epoch, weights=sizes) == pytest.approx(metrics.loss)


def test_same_seed_same_training(corpus: data.Corpus) -> None:
    """Two trainings with one seed report the same losses; another seed's differ."""
    first, same, other = (trained(corpus, epochs=1, seed=seed)[1] for seed in (5, 5, 6))

    assert first.batches == same.batches
    assert first.batches != other.batches


def test_validation_is_not_trained_on(corpus: data.Corpus) -> None:
    """Evaluating leaves the weights as they are."""
    model, _ = trained(corpus, epochs=1)
    before = {
        (layer.name, name): weight.copy()
        for layer in model.layers
        for name, weight in layer.weights.items()
    }
    evaluate(model, corpus.validation)

    for layer in model.layers:
        for name, weight in layer.weights.items():
            np.testing.assert_array_equal(before[layer.name, name], weight)
