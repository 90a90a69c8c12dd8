"""Converts types, attributes and tensors of ONNX for the nodes of a `GraphBuilder`."""

from __future__ import annotations

import math
from typing import Any

from onnx import AttributeProto, TensorProto, TypeProto, helper, numpy_helper

from eventwriter.graphs.limits import MAX_SHOWN_ELEMENTS

_PLAIN_ATTRIBUTES = frozenset({
    AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT, AttributeProto.FLOATS,
    AttributeProto.STRING, AttributeProto.STRINGS,
})  # fmt: skip


def shape_and_dtype(found: TypeProto | None) -> tuple[list[int | None] | None, str | None]:
    """Return shape and dtype, each None if unknown.

    A sequence or an optional value has the dtype of its elements, and no shape.
    """
    kind = found.WhichOneof("value") if found is not None else None
    if found is None or kind is None or kind == "map_type":
        return None, None
    typed = getattr(found, kind)
    if kind in {"sequence_type", "optional_type"}:
        return None, shape_and_dtype(typed.elem_type)[1]
    shape = None
    if typed.HasField("shape"):
        shape = [d.dim_value if d.HasField("dim_value") else None for d in typed.shape.dim]
    return shape, _dtype(typed.elem_type)


def _dtype(data_type: int) -> str | None:
    if data_type == TensorProto.STRING:
        return "string"
    return helper.tensor_dtype_to_np_dtype(data_type).name if data_type else None


def shown_attribute(attribute: AttributeProto) -> tuple[str, Any] | None:
    """Return an attribute as the page shows it. For a constant of any type, its name is `value`."""
    if attribute.type == AttributeProto.TENSOR:
        value = small_value(attribute.t)
    elif attribute.type in _PLAIN_ATTRIBUTES:
        value = helper.get_attribute_value(attribute)
    else:
        return None
    name = attribute.name
    return "value" if name.startswith("value_") else name, value


def small_value(tensor: TensorProto) -> Any:
    """Return the elements of a tensor. None if there are many or if they are in another file."""
    external = tensor.data_location == TensorProto.EXTERNAL
    if external or math.prod(tensor.dims) > MAX_SHOWN_ELEMENTS:
        return None
    array = numpy_helper.to_array(tensor)
    own = array.dtype.type.__module__ == "numpy" and array.dtype.kind in "biuf"
    if own or array.dtype.name == "bfloat16":
        return array
    return str(array.tolist())
