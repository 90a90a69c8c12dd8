"""What the records are called: as in Keras 3, or as in the callback of Keras 2."""

from __future__ import annotations

from typing import NamedTuple


class TagStyle(NamedTuple):
    """Formats of tags; `{}` is the metric's, weight's or layer's name.

    Attributes:
        train: The run of training metrics and all else, below the log directory.
        validation: That of validation metrics.
        epoch: A metric of training at an epoch's end.
        validation_epoch: One of validation; its "val_" is taken off before.
        batch: A metric of training after a batch.
        evaluation: A metric of validation, by the batches trained so far; "" for none.
        learning_rate: The optimizer's, at an epoch's end.
        weight, gradient, activation, image: Of one weight or layer.
    """

    train: str
    validation: str
    epoch: str
    validation_epoch: str
    batch: str
    evaluation: str
    learning_rate: str
    weight: str
    gradient: str
    activation: str
    image: str


TAG_STYLES = {
    "keras3": TagStyle(
        train="train",
        validation="validation",
        epoch="epoch_{}",
        validation_epoch="epoch_{}",
        batch="batch_{}",
        evaluation="evaluation_{}_vs_iterations",
        learning_rate="epoch_learning_rate",
        weight="{}/histogram",
        gradient="{}/grad",
        activation="{}/out",
        image="{}/image",
    ),
    # One run; Keras 2 appended the number of TensorFlow's output, 0, to weights.
    "keras2": TagStyle(
        train="",
        validation="",
        epoch="{}",
        validation_epoch="val_{}",
        batch="batch_{}",
        evaluation="",
        learning_rate="lr",
        weight="{}_0",
        gradient="{}_0_grad",
        activation="{}_out",
        image="{}_0/image",
    ),
}
