"""Converts Python values, dtypes and shapes to attributes of nodes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex, TypeAlias, cast

import numpy as np

from eventwriter._proto.graph_pb2 import AttrValue
from eventwriter._proto.tensor_pb2 import DataType
from eventwriter._values.arguments import INT64
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.page import MAX_ATTR_BYTES

# None means an unknown rank. A size of None or -1 means an unknown size.
Shape: TypeAlias = Iterable[SupportsIndex | None] | None
Sizes: TypeAlias = tuple[int, ...] | None

# For each name of a dtype in numpy, ml_dtypes, torch and jax: its DataType, and the field of a
# TensorProto for its elements. The page shows these elements as numbers.
_DTYPES: dict[str, tuple[DataType, str]] = {
    "bool": (DataType.DT_BOOL, "bool_val"),
    "int8": (DataType.DT_INT8, "int_val"),
    "int16": (DataType.DT_INT16, "int_val"),
    "int32": (DataType.DT_INT32, "int_val"),
    "int64": (DataType.DT_INT64, "int64_val"),
    "uint8": (DataType.DT_UINT8, "int_val"),
    "uint16": (DataType.DT_UINT16, "int_val"),
    "uint32": (DataType.DT_UINT32, "uint32_val"),
    "uint64": (DataType.DT_UINT64, "uint64_val"),
    "float16": (DataType.DT_HALF, "half_val"),
    "bfloat16": (DataType.DT_BFLOAT16, "half_val"),
    "float32": (DataType.DT_FLOAT, "float_val"),
    "float64": (DataType.DT_DOUBLE, "double_val"),
    "complex64": (DataType.DT_COMPLEX64, ""),
    "complex128": (DataType.DT_COMPLEX128, ""),
    "str": (DataType.DT_STRING, ""),
    "string": (DataType.DT_STRING, ""),
}


def sizes(shape: Shape, where: str) -> Sizes:
    """Return a shape as sizes, with -1 for an unknown size. None means an unknown rank.

    Raises:
        ArgumentTypeError: `shape` is no sequence of integers and None.
        ArgumentValueError: A size is below -1 or beyond int64.
    """
    if shape is None:
        return None
    try:
        found = tuple(-1 if size is None else operator.index(size) for size in shape)
    except TypeError as error:
        raise ArgumentTypeError(
            f"{where}: expected a sequence of integers, with None or -1 for an unknown size, or "
            f"None for an unknown rank, got {shape!r}."
        ) from error
    for size in found:
        if size < -1 or size not in INT64:
            raise ArgumentValueError(
                f"{where}: expected sizes of 0 or more, or None or -1 for an unknown size, got "
                f"{size} in {found}."
            )
    return found


def dtype_value(dtype: Any, where: str) -> AttrValue:
    """Return a dtype as an attribute: its DataType, or its name if there is no DataType for it.

    Args:
        dtype: A dtype of numpy, ml_dtypes, torch, jax or TensorFlow, a name ("float32",
            "torch.bfloat16"), or a DataType.
        where: The start of the message of an error.

    Raises:
        ArgumentTypeError: It is none of these.
        ArgumentValueError: It is a number that is no DataType.
    """
    if isinstance(dtype, int):
        if dtype not in DataType.values():
            raise ArgumentValueError(
                f"{where}: expected a DataType, got {dtype}. See proto/tensor.proto."
            )
        return AttrValue(type=cast("DataType", dtype))
    name = _dtype_name(dtype)
    if name is None:
        raise ArgumentTypeError(
            f"{where}: expected a dtype, its name such as 'float32', or a DataType, got {dtype!r} "
            f"of type {type_name(dtype)}."
        )
    if name in _DTYPES:
        return AttrValue(type=_DTYPES[name][0])
    return AttrValue(s=encoded(name, where))


def one_for_all(dtypes: Sequence[Any]) -> Any:
    """Return the dtypes of a node's outputs as `GraphBuilder.node` takes them.

    Returns:
        The dtype that all outputs have, or the list of dtypes. None if there is no output, or if
        the dtype of an output is unknown (None).
    """
    if not dtypes or None in dtypes:
        return None
    return dtypes[0] if all(dtype == dtypes[0] for dtype in dtypes) else list(dtypes)


def attr_value(value: Any, where: str) -> AttrValue | None:
    """Return a Python value as an attribute, or None if it is too large for the page.

    A bool, int, float (shown as float32), str or bytes keeps its type, and so does a list of them.
    A scalar of numpy becomes a Python number, an array becomes a tensor, and a dtype becomes a
    DataType. An integer beyond int64, and a list that is nested or mixed, becomes text.

    Raises:
        ArgumentTypeError: The value is of another type, or an array of text, objects or complex
            numbers.
        ArgumentValueError: A string contains lone surrogates, which UTF-8 cannot express.
    """
    if isinstance(value, np.generic):
        value = value.item()
    shown: AttrValue | None
    if isinstance(value, bool):
        shown = AttrValue(b=value)
    elif isinstance(value, int):
        shown = AttrValue(i=value) if _is_int64(value) else AttrValue(s=str(value).encode())
    elif isinstance(value, float):
        shown = AttrValue(f=value)
    elif isinstance(value, (str, bytes)):
        shown = None if len(value) > MAX_ATTR_BYTES else AttrValue(s=encoded(value, where))
    elif isinstance(value, np.dtype):
        shown = dtype_value(value, where)
    elif isinstance(value, np.ndarray):
        shown = _tensor_value(value, where)
    elif isinstance(value, (list, tuple)):
        shown = _list_value(value, where)
    else:
        raise ArgumentTypeError(
            f"{where}: expected bool, int, float, str, bytes, a list of them, or a numpy array, "
            f"got {type_name(value)}."
        )
    return shown


def encoded(text: str | bytes, where: str) -> bytes:
    """Return text as UTF-8.

    Raises:
        ArgumentValueError: It contains lone surrogates.
    """
    if isinstance(text, bytes):
        return text
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ArgumentValueError(
            f"{where}: expected text that UTF-8 can express, got {text!r}, which contains lone "
            "surrogates. Remove them."
        ) from error


def _is_int64(value: int) -> bool:
    return value in INT64


def _dtype_name(dtype: Any) -> str | None:
    known: Any = dtype.rpartition(".")[2] if isinstance(dtype, str) else dtype
    if isinstance(known, str) and known in _DTYPES:
        return known
    try:
        found = np.dtype(known)
    except TypeError:
        # Not a dtype of numpy. A dtype of torch prints as "torch.float32". One of TensorFlow has a
        # name.
        text = known if isinstance(known, str) else getattr(dtype, "name", str(dtype))
        name = str(text).rpartition(".")[2]
        return name if name.isidentifier() else None
    return "string" if found.kind in "SU" else found.name


def _tensor_value(array: np.ndarray[Any, Any], where: str) -> AttrValue | None:
    data_type, field = _DTYPES.get(array.dtype.name, (DataType.DT_INVALID, ""))
    if not field:
        raise ArgumentTypeError(
            f"{where}: expected an array of bool, integers or real numbers, got dtype "
            f"{array.dtype}."
        )
    if array.nbytes > MAX_ATTR_BYTES:
        return None
    value = AttrValue()
    tensor = value.tensor
    tensor.dtype = data_type
    # A scalar has an empty shape. Without this call protobuf would not write an empty message.
    tensor.tensor_shape.SetInParent()
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if field == "half_val":
        array = array.view(np.uint16)
    getattr(tensor, field).extend(array.ravel().tolist())
    return value


def _list_value(values: Sequence[Any], where: str) -> AttrValue | None:
    if len(values) > MAX_ATTR_BYTES:
        return None
    items = [item.item() if isinstance(item, np.generic) else item for item in values]
    kinds = {type(item) for item in items}
    value = AttrValue()
    value.list.SetInParent()
    if kinds <= {bool}:
        value.list.b.extend(items)
    elif kinds <= {int, float} and all(_is_int64(item) for item in items if type(item) is int):
        (value.list.f if float in kinds else value.list.i).extend(items)
    elif kinds <= {str, bytes}:
        value.list.s.extend(encoded(item, where) for item in items)
    elif kinds <= {bool, int, float, str, bytes, list, tuple, type(None)}:
        return attr_value(repr(items), where)
    else:
        raise ArgumentTypeError(
            f"{where}: expected a list of bool, int, float, str, bytes and lists of them, got a "
            f"list with {sorted({type_name(item) for item in items})}."
        )
    return value
