"""Plain values with arrays among them, as one file without pickle: the state of a training."""

from __future__ import annotations

import base64
import json
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from eventwriter._imports import importing
from eventwriter._values.arrays import as_numpy, is_array, is_torch_tensor
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError
from eventwriter.training.numpy_view import save_npz

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TEXT = "state"
_DICTS: dict[str, type[Any]] = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
_SEQUENCES: dict[str, type[Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}


class ModelState(NamedTuple):
    """What `ModelView.get_state` returned, in the state of a callback.

    The framework alone can write it to a file. So it is stored as a model is: see
    `BackupAndRestore`.
    """

    state: Any


class SavedState:
    """A state that can be written to a file.

    Args:
        state: None, numbers, text, bytes, arrays and tensors of any framework, `ModelState`, and
            lists, tuples, sets and dicts of all these.
        where: Names the state in errors.

    Attributes:
        models: Each `ModelState` in it, which must be stored beside the file.

    Raises:
        ArgumentTypeError: There is something else in it.
    """

    def __init__(self, state: Any, where: str) -> None:
        self._where = where
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.models: list[ModelState] = []
        self._text = json.dumps(self._coded(state))

    def write(self, path: str) -> None:
        """Write the file. A reader sees the whole old file or the whole new file."""
        text = np.frombuffer(self._text.encode(), np.uint8)
        save_npz(path, {_TEXT: text, **self._arrays})

    def _coded(self, value: Any) -> Any:
        """Return a value as JSON has it. All but plain values are dicts with one marked key."""
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, (ModelState, bytes, np.generic)):
            return self._coded_whole(value)
        if is_array(value):
            return self._coded_array(value)
        if isinstance(value, (int, float)):
            return value
        return self._coded_parts(value)

    def _coded_whole(self, value: Any) -> dict[str, Any]:
        if isinstance(value, ModelState):
            self.models.append(value)
            return {"model": len(self.models) - 1}
        if isinstance(value, bytes):
            return {"bytes": base64.b64encode(value).decode()}
        return {"number": self._stored(as_numpy(value, self._where))}

    def _coded_parts(self, value: Any) -> Any:
        """Return a list, a dict, or another collection, with its items coded."""
        if isinstance(value, list):
            return [self._coded(item) for item in value]
        if isinstance(value, dict):
            pairs = [[self._coded(key), self._coded(item)] for key, item in value.items()]
            name = type(value).__name__
            return {name if name in _DICTS else "dict": pairs}
        for name, kind in _SEQUENCES.items():
            if isinstance(value, kind):
                return {name: [self._coded(item) for item in value]}
        raise ArgumentTypeError(
            f"{self._where}: expected numbers, text, arrays, and lists and dicts of these, got "
            f"{type_name(value)}. Leave it out of the state."
        )

    def _coded_array(self, array: Any) -> dict[str, Any]:
        if is_torch_tensor(array):
            return self._coded_tensor(array)
        return {"array": self._stored(as_numpy(array, self._where))}

    def _coded_tensor(self, tensor: Any) -> dict[str, Any]:
        """Return a tensor's place, dtype and shape. NumPy has no bfloat16, so bytes are stored."""
        with importing():
            import torch  # noqa: PLC0415 - it made the tensor

        flat = tensor.detach().cpu().contiguous().reshape(-1)
        name = self._stored(flat.view(torch.uint8).numpy().copy())
        dtype = str(tensor.dtype).removeprefix("torch.")
        return {"tensor": [name, dtype, list(tensor.shape)]}

    def _stored(self, array: np.ndarray[Any, Any]) -> str:
        name = f"array_{len(self._arrays)}"
        # A dtype that npz does not have, JAX's bfloat16, is written as float32.
        self._arrays[name] = array if array.dtype.kind in "biuf" else array.astype(np.float32)
        return name


def read_state(path: str, models: Sequence[ModelState]) -> Any:
    """Return the state in a file of `SavedState.write`, with its models put back.

    Arrays of other frameworks than torch come back as numpy arrays.

    Raises:
        OSError, ValueError, KeyError: The file cannot be read.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return _decoded(json.loads(arrays[_TEXT].tobytes()), arrays, models)


def _decoded(coded: Any, arrays: dict[str, Any], models: Sequence[ModelState]) -> Any:
    if isinstance(coded, list):
        return [_decoded(item, arrays, models) for item in coded]
    if not isinstance(coded, dict):
        return coded
    ((kind, content),) = coded.items()
    if kind in _WHOLE:
        return _WHOLE[kind](content, arrays, models)
    items = [_decoded(item, arrays, models) for item in content]
    return _SEQUENCES[kind](items) if kind in _SEQUENCES else _DICTS[kind](dict(items))


def _tensor(content: tuple[str, str, list[int]], arrays: dict[str, Any]) -> Any:
    name, dtype, shape = content
    with importing():
        import torch  # noqa: PLC0415 - the file holds a tensor

    flat = torch.from_numpy(arrays[name]).view(getattr(torch, dtype))
    return flat.reshape(shape)


_WHOLE: dict[str, Callable[[Any, dict[str, Any], Sequence[ModelState]], Any]] = {
    "model": lambda index, _, models: models[index],
    "array": lambda name, arrays, _: arrays[name],
    "number": lambda name, arrays, _: arrays[name][()],
    "bytes": lambda text, *_: base64.b64decode(text),
    "tensor": lambda content, arrays, _: _tensor(content, arrays),
}
"""How each coded value that has no parts is read: from its content, the arrays and the models."""
