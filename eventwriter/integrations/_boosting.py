"""What XGBoost and LightGBM share: a round of boosting is an epoch of one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventwriter.integrations._callbacks import BaseCallbacks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from eventwriter.training.model_view import ModelView

_TRAINING_SETS = frozenset({"train", "training", "dtrain", "learn", "validation_0"})
"""Usual names of the training set. Estimators of XGBoost call their first set "validation_0"."""


def metric_names(results: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Return metrics with the names that callbacks expect.

    Args:
        results: Data set, metric, value.

    Returns:
        The metrics of the training set have their own names, such as "logloss". The metrics of the
        next set begin with "val_", and the metrics of every further set with its name and "_". The
        training set is the set with a usual name, such as "train". If no set has such a name and
        there are several sets, it is the first set.
    """
    results = list(results)
    sets = list(dict.fromkeys(name for name, _, _ in results))
    training = next((name for name in sets if name in _TRAINING_SETS), None)
    if training is None and len(sets) > 1:
        training = sets[0]
    others = [name for name in sets if name != training]
    prefixes = {name: f"{name}_" for name in others}
    if training is not None:
        prefixes[training] = ""
    if others:
        prefixes[others[0]] = "val_"
    return {prefixes[name] + metric: value for name, metric, value in results}


class Rounds(BaseCallbacks):
    """Base class of `Callbacks` for boosting: tells callbacks about rounds."""

    def _begin_round(self, number: int, view: ModelView, rounds: int | None = None) -> None:
        """Begin a round, and a training before its first round.

        Args:
            number: The number of the round, from 0.
            view: The view of the booster.
            rounds: The number of rounds in the whole training, if known.
        """
        training = self._training
        if training is None:
            training = self._begin(view, {"epochs": rounds, "steps": 1}, initial_epoch=number)
        training.epoch_begin(number)
        training.batch_begin(0)

    def _end_round(self, number: int, logs: Mapping[str, float]) -> bool:
        """End a round.

        Args:
            number: The number of the round, from 0.
            logs: The metrics, as `metric_names` names them.

        Returns:
            Whether a callback stops training.
        """
        training = self._training
        if training is None:
            return False
        # Callbacks may add to the logs of a hook, so each hook gets a dict of its own.
        training.batch_end(0, dict(logs))
        prefix = "val_"
        validation = {
            name.removeprefix(prefix): value
            for name, value in logs.items()
            if name.startswith(prefix)
        }
        if validation:
            training.test_begin()
            training.test_end(validation)
        training.epoch_end(number, dict(logs))
        return training.stop_training
