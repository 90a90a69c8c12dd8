"""The tags of records: grouped by their kind, as in Keras 3, or as in the callback of Keras 2."""

from __future__ import annotations

from typing import NamedTuple


class TagStyle(NamedTuple):
    """Formats of tags. `{}` stands for the name of a metric, a weight or a layer.

    Attributes:
        train: The run of training, as a directory in the log directory. "" is that one itself.
        validation: The run of validation.
        epoch: A metric of training at the end of an epoch.
        validation_epoch: A metric of validation at the end of an epoch, without its "val_".
        batch: A metric of training after a batch.
        evaluation: A metric of validation whose step is the number of batches trained so far. ""
            means that there is no such record.
        repeats_evaluation: Whether that record is also written where the epoch's tells the same.
        learning_rate: The optimizer's learning rate at the end of an epoch. "_" and the name of a
            group of parameters follow if there are several.
        batch_learning_rate: The optimizer's learning rate after a batch, in the same form.
        weight: The histogram of a weight.
        gradient: The histogram of a gradient.
        activation: The histogram of the output of a layer.
        image: The picture of a weight.
    """

    train: str
    validation: str
    epoch: str
    validation_epoch: str
    batch: str
    evaluation: str
    repeats_evaluation: bool
    learning_rate: str
    batch_learning_rate: str
    weight: str
    gradient: str
    activation: str
    image: str

    def counts_batches(self, tag: str) -> bool:
        """Return whether the steps of a tag are batches."""
        return any(_fits(tag, form) for form in (self.batch, self.evaluation))

    def counts_epochs(self, tag: str) -> bool:
        """Return whether the steps of a tag are epochs.

        In "grouped" and in "keras3" no tag of a user's own records fits. In "keras2" every tag
        fits, because its metrics have no prefix.
        """
        forms = (self.epoch, self.validation_epoch, self.weight, self.gradient, self.activation)
        return any(_fits(tag, form) for form in forms) and not self.counts_batches(tag)


def _fits(tag: str, form: str) -> bool:
    start, _, end = form.partition("{}")
    return form != "" and tag.startswith(start) and tag.endswith(end)


TAG_STYLES = {
    # TensorBoard shows what comes before the first "/" as a group, and the groups by alphabet: the
    # curves come first, and then one group for each kind of histogram.
    "grouped": TagStyle(
        train="train",
        validation="validation",
        epoch="epoch/{}",
        validation_epoch="epoch/{}",
        batch="batch/{}",
        evaluation="evaluation/{}",
        repeats_evaluation=False,
        learning_rate="epoch/learning_rate",
        batch_learning_rate="batch/learning_rate",
        weight="weights/{}",
        gradient="gradients/{}",
        activation="outputs/{}",
        image="pictures/{}",
    ),
    "keras3": TagStyle(
        train="train",
        validation="validation",
        epoch="epoch_{}",
        validation_epoch="epoch_{}",
        batch="batch_{}",
        evaluation="evaluation_{}_vs_iterations",
        repeats_evaluation=True,
        learning_rate="epoch_learning_rate",
        batch_learning_rate="batch_learning_rate",
        weight="{}/histogram",
        gradient="{}/grad",
        activation="{}/out",
        image="{}/image",
    ),
    # There is one run. The 0 after a weight's name is the number of TensorFlow's output.
    "keras2": TagStyle(
        train="",
        validation="",
        epoch="{}",
        validation_epoch="val_{}",
        batch="batch_{}",
        evaluation="",
        repeats_evaluation=False,
        learning_rate="lr",
        batch_learning_rate="batch_lr",
        weight="{}_0",
        gradient="{}_0_grad",
        activation="{}_out",
        image="{}_0/image",
    ),
}

DEFAULT_TAG_STYLE = "grouped"
