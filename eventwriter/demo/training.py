"""The training loop: a plain `for` over epochs and batches, with callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.callbacks import Loop, NumpyView
from eventwriter.demo.graph import graph_of
from eventwriter.demo.model import Adam, accuracy, cross_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from eventwriter.callbacks import Callback
    from eventwriter.demo.data import Corpus, Passages
    from eventwriter.demo.model import TextClassifier

BATCH_SIZE = 64
LEARNING_RATE = 4e-3


def train(
    model: TextClassifier,
    corpus: Corpus,
    epochs: int,
    rng: np.random.Generator,
    callbacks: Sequence[Callback],
) -> Loop:
    """Train a model in place.

    The metrics are "loss" and "accuracy", and "val_loss" and "val_accuracy" for the validation
    passages. Those of training are means over the epoch's batches, with dropout on and while the
    weights still move. So validation may look better in the first epochs.

    Args:
        model: Its weights are changed in place.
        corpus: What to train on and to validate with.
        epochs: At least 1.
        rng: For the order of the passages.
        callbacks: Called in this order.

    Returns:
        The loop, which has ended. Its `history` holds each epoch's metrics.
    """
    optimizer = Adam(model.layers, LEARNING_RATE)
    view = NumpyView(
        model.weights,
        optimizer,
        activations=model.activations,
        graph=lambda words: graph_of(model, passage_words=words.shape[1]),
    )
    passages, validation = corpus.train, corpus.validation
    with Loop(
        model,
        callbacks,
        epochs,
        view=view,
        validation_data=(validation.words, validation.topics),
        steps=-(-len(passages) // BATCH_SIZE),
    ) as loop:
        for _ in loop:
            order = rng.permutation(len(passages))
            for start in loop.batches(range(0, len(order), BATCH_SIZE)):
                batch = order[start : start + BATCH_SIZE]
                topics = passages.topics[batch]
                logits = model.forward(passages.words[batch], training=True)
                loss, gradient = cross_entropy(logits, topics)
                model.backward(gradient)
                optimizer.step()
                loop.record_gradients(model.gradients)
                loop.log(loss=loss, accuracy=accuracy(logits, topics), size=len(batch))
            loop.log({f"val_{name}": value for name, value in evaluate(model, validation).items()})
    return loop


def evaluate(model: TextClassifier, passages: Passages) -> dict[str, Any]:
    """Return the loss and the accuracy of a model on passages, as one batch without dropout."""
    logits = model.forward(passages.words, training=False)
    loss, _ = cross_entropy(logits, passages.topics)
    return {"loss": loss, "accuracy": accuracy(logits, passages.topics)}
