"""What the adapters of gradient boosting share: a round of boosting is an epoch of one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventwriter.training.training import Training

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TRAINING_SETS = frozenset({"train", "training", "dtrain", "learn", "validation_0"})


def metric_names(results: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Names metrics as callbacks expect them.

    Args:
        results: Data set, metric, value.

    Returns:
        The training set's metrics by their own names, those of the first other set as
        "val_...", those of further ones as "<set>_...". The training set is the one that is called
        "train" or the like, and otherwise, among several, the first.
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


class Rounds:
    """Tells callbacks of the rounds of one training after another.

    Args:
        callbacks: Callbacks, and lists of them.
        view: The view's class, made for the model that is trained.
        validation_data: As in `Loop`.
    """

    def __init__(self, callbacks: Iterable[Any], view: Any, validation_data: Any) -> None:
        self._callbacks = list(callbacks)
        self._view = view
        self._validation_data = validation_data
        self._training: Training | None = None

    def before_round(self, model: Any, number: int, rounds: int | None) -> None:
        """Begins a round, and before the first a training."""
        if self._training is None:
            params = {"epochs": rounds, "steps": 1}
            self._training = Training(
                model,
                self._callbacks,
                view=self._view(model),
                validation_data=self._validation_data,
                params=params,
                initial_epoch=number,
            )
            self._training.begin()
        self._training.epoch_begin(number)
        self._training.batch_begin(0)

    def after_round(self, number: int, logs: Mapping[str, float]) -> bool:
        """Ends a round; returns whether a callback stops training."""
        if self._training is None:
            return False
        # Each hook has logs of its own, to which callbacks may add.
        self._training.batch_end(0, dict(logs))
        validation = {name[4:]: value for name, value in logs.items() if name.startswith("val_")}
        if validation:
            self._training.test_begin()
            self._training.test_end(validation)
        self._training.epoch_end(number, dict(logs))
        return self._training.stop_training

    def end(self, status: str = "") -> None:
        """Ends the training, if one was begun."""
        training, self._training = self._training, None
        if training is not None:
            training.end(status or ("stopped" if training.stop_training else "finished"))

    def left(self, exc_type: type[BaseException] | None) -> None:
        """Ends a training that an exception ended, or closes one that nobody ended."""
        if exc_type is None:
            self.end()
        else:
            self.end("interrupted" if issubclass(exc_type, KeyboardInterrupt) else "failed")
