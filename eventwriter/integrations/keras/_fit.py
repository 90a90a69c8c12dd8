"""What the running `fit` of a model was given."""

from __future__ import annotations

import inspect
import itertools
from typing import Any, NamedTuple

import keras

from eventwriter.errors import ArgumentTypeError
from eventwriter.training.sample import sample_of


class Fit(NamedTuple):
    """Arguments of `fit`.

    Attributes:
        validation_data: What `sample_of` takes: the data, or the share of them that
            `validation_split` takes. None if there are none, or only such as are read once.
        initial_epoch: The number of the first epoch, from 0.
    """

    validation_data: Any = None
    initial_epoch: int = 0


def fit_of(model: Any) -> Fit:
    """Return the arguments of the `fit` that calls us.

    Keras tells its callbacks neither the validation data nor the first epoch, and the model does
    not know them. So this looks for `fit` among the callers.

    Args:
        model: The model that is trained.
    """
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if frame.f_code.co_name == "fit" and module.startswith("keras."):
            variables = frame.f_locals
            if variables.get("self") is model:
                return Fit(
                    _lasting(variables.get("validation_data")),
                    int(variables.get("initial_epoch") or 0),
                )
        frame = frame.f_back
    return Fit()


class _Batches:
    """The batches of a dataset of Keras, which has an index instead of an iterator."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __iter__(self) -> Any:
        count = self._dataset.num_batches  # None means that there is no end
        numbers = itertools.count() if count is None else range(count)
        return (self._dataset[number] for number in numbers)


def _lasting(data: Any) -> Any:
    """Return validation data in a form that callbacks can read; None if it is not known to be one.

    Nobody asked for these data to be read, so what cannot be read is no error.
    """
    if isinstance(data, keras.utils.PyDataset):
        data = _Batches(data)
    elif isinstance(data, list):
        data = tuple(data)  # Keras takes both for (inputs, targets)
    try:
        sample_of(data, rows=1)
    except ArgumentTypeError:
        return None
    return data
