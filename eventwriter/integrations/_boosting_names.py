"""Which data set of a boosting is the training set, and what its metrics are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_AUTOMATIC = re.compile(r"validation_\d+")
"""The names that estimators of XGBoost give to all sets, to the training set too."""
_TRAINING = re.compile(r"[dx]?train(ing|set|data)?|learn(ing)?|fit")
_VALIDATION = re.compile(r"[dx]?(val|valid|validation|eval|evaluation|dev)(set|data)?")
_HELD_OUT = re.compile(rf"{_VALIDATION.pattern}|[dx]?test(ing|set|data)?|holdout|held|oob|oof")


class Result(NamedTuple):
    """The value of a metric after a round.

    Attributes:
        data: The name of the data set.
        metric: The name of the metric.
        value: The value, or the mean of the folds in a cross-validation.
        deviation: The standard deviation of the folds in a cross-validation, otherwise None.
    """

    data: str
    metric: str
    value: float
    deviation: float | None = None


def named_training(sets: Iterable[str]) -> str | None:
    """Return the first set whose name says that it is the training set.

    Case does not matter, and one word of the name is enough: "Train", "dtrain", "X_train".
    """
    return next((name for name in sets if _says(name, _TRAINING)), None)


def likely_training(sets: Sequence[str]) -> str | None:
    """Return the set that is probably the training set, or None.

    It is the set whose name says so. If none does, it is the first one of several sets whose name
    does not say that it is held out. A set that is alone is held out: nobody needs a set of its own
    for the training metrics only.
    """
    named = named_training(sets)
    if named is not None or len(sets) < 2:
        return named
    return next(
        (name for name in sets if _AUTOMATIC.fullmatch(name) or not _says(name, _HELD_OUT)), None
    )


def metric_names(results: Iterable[Result], training: str | None) -> dict[str, Result]:
    """Return metrics with the names that callbacks expect.

    Args:
        results: The metrics of one round.
        training: The name of the training set, or None if its metrics are not among them.

    Returns:
        The metrics of the training set have their own names, such as "logloss". The metrics of the
        validation set begin with "val_", and the metrics of every further set with its name and
        "_". The validation set is the set with this name, otherwise the first set that is not the
        training set.
    """
    results = list(results)
    sets = dict.fromkeys(result.data for result in results)
    others = [name for name in sets if name != training]
    prefixes = {name: f"{name}_" for name in others}
    if training is not None:
        prefixes[training] = ""
    if others:
        prefixes[_validation(others)] = "val_"
    return {prefixes[result.data] + result.metric: result for result in results}


def _validation(sets: Sequence[str]) -> str:
    """Return the validation set among sets that are held out."""
    # A set with the very name comes first, because its prefix would be "val_" in any case.
    called = (name for name in sets if name == "val")
    named = (name for name in sets if _says(name, _VALIDATION))
    return next(called, None) or next(named, sets[0])


def _says(name: str, words: re.Pattern[str]) -> bool:
    return any(words.fullmatch(word.lower()) for word in _WORD.findall(name))
