"""The training loop: minibatches, epochs, and validation. It tells its listeners what happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from eventwriter.demo.model import Adam, TextClassifier, accuracy, cross_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from eventwriter.demo.data import Corpus, Passages

BATCH_SIZE = 64
LEARNING_RATE = 4e-3


@dataclass(frozen=True)
class Metrics:
    """Of one epoch, over the training or the validation passages.

    Attributes:
        loss: Mean cross entropy in nats.
        accuracy: From 0 to 1.
    """

    loss: float
    accuracy: float


class Listener(Protocol):
    """What the loop reports, as it happens. Batches and epochs count from 0, as in Keras."""

    def batch_end(self, step: int, loss: float) -> None:
        """After batch `step`, counted through all epochs."""

    def epoch_end(self, epoch: int, train: Metrics, validation: Metrics) -> None:
        """After epoch `epoch` and its validation.

        The layers' `gradients` are the last batch's; their `output` is the validation passages'.
        """


def train(
    model: TextClassifier,
    corpus: Corpus,
    epochs: int,
    rng: np.random.Generator,
    listeners: Sequence[Listener],
) -> Metrics:
    """Trains `model` in place, for at least one epoch.

    The training metrics are means over the epoch's batches, with dropout on and while the weights
    still move, as Keras reports them; so validation may look better in the first epochs.

    Returns:
        The last epoch's metrics on the validation passages.
    """
    optimizer = Adam(model.layers, LEARNING_RATE)
    passages = corpus.train
    step = 0
    for epoch in range(epochs):
        total_loss = total_right = 0.0
        order = rng.permutation(len(passages))
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            topics = passages.topics[batch]
            logits = model.forward(passages.words[batch], training=True)
            loss, gradient = cross_entropy(logits, topics)
            model.backward(gradient)
            optimizer.step()
            for listener in listeners:
                listener.batch_end(step, loss)
            step += 1
            total_loss += loss * len(batch)
            total_right += accuracy(logits, topics) * len(batch)
        validation = evaluate(model, corpus.validation)
        training = Metrics(total_loss / len(order), total_right / len(order))
        for listener in listeners:
            listener.epoch_end(epoch, training, validation)
    return validation


def evaluate(model: TextClassifier, passages: Passages) -> Metrics:
    """Loss and accuracy of `model` on `passages`, as one batch and without dropout."""
    logits = model.forward(passages.words, training=False)
    return Metrics(cross_entropy(logits, passages.topics)[0], accuracy(logits, passages.topics))
