"""Builds graphs node by node: by hand, or from the model of a framework."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from eventwriter._proto.graph_pb2 import AttrValue, GraphDef
from eventwriter._proto.tensor_pb2 import DataType
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.attributes import Shape, Sizes, attr_value, dtype_value, encoded, sizes
from eventwriter.graphs.page import (
    OUTPUT_SHAPES,
    find_input,
    for_page,
    list_too_large,
    page_name,
)
from eventwriter.graphs.unique_names import UniqueNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a node. `GraphBuilder.node` returns it, and other nodes take it as an input.

    Attributes:
        name: The full name of the node with its scopes, as the page shows it.
        index: The index of the output, from 0.
    """

    name: str
    index: int = 0

    def output(self, index: int) -> Output:
        """Return another output of the same node."""
        return Output(self.name, index)

    def __str__(self) -> str:
        """Return the output as an input in a GraphDef: "embed/split:1"."""
        return f"{self.name}:{self.index}" if self.index else self.name


@dataclass(frozen=True, slots=True)
class Layer:
    """Describes a scope that is a layer of a model, for a picture of the model.

    Attributes:
        class_name: The class of the layer, such as "Conv2d".
        activation: The name of its activation, or None.
        trainable: Whether its weights are trained, or None if it has no weights.
    """

    class_name: str
    activation: str | None = None
    trainable: bool | None = None


Inputs: TypeAlias = "Output | str | Sequence[Output | str]"


class GraphBuilder:
    """Builds a graph that TensorBoard's Graphs page draws correctly.

        graph = GraphBuilder()
        x = graph.placeholder("input/x", shape=(None, 500), dtype="int32")
        with graph.scope("embed"):
            w = graph.node("weights", "Parameter", shape=(2000, 128), dtype="float32")
            e = graph.node("lookup", "Embedding", [x, w], shape=(None, 500, 128), dtype="float32")
        writer.add_graph(graph)

    Slashes in a name make scopes, and so does `scope`. The page draws a scope as a box that can be
    opened. A node "embed" may exist beside nodes "embed/...": the page shows the first inside the
    box of the others. A scope can be entered again to add more nodes. A repeated name gets `_1`,
    `_2` and so on, as in TensorFlow. Characters that the page cannot take in a name are replaced
    (`page.page_name`). `node` returns a handle with the name that the node got.

    Shapes label the edges that leave a node. A graph has no weights: a parameter is a node with a
    shape and a dtype. Give repeated blocks the names `layer_0`, `layer_1` and so on: the page draws
    five or more such nodes of one op in one scope as one stack, `layer_[0-7]`, which can be opened.
    Constants (op "Const") are drawn small, beside the node that takes them.

    Inputs must exist when they are used, so edges only go forward and a graph has no cycles.

    A builder must not be used by several threads at once.

    Attributes:
        layers: The scopes that are layers, by their full names as the page shows them, in the order
            in which they were first entered.
    """

    def __init__(self) -> None:
        self.layers: dict[str, Layer] = {}
        self._graph = GraphDef()
        self._names = UniqueNames()
        self._outputs: dict[str, int] = {}
        self._scopes: list[str] = []

    @contextmanager
    def scope(self, name: str, *, layer: Layer | None = None) -> Iterator[None]:
        """Put `name/` before the names of the nodes that are added inside. Scopes nest.

        Args:
            name: A name inside the current scope. Slashes open further scopes.
            layer: The description of the scope, if it is a layer of a model.

        Raises:
            ArgumentTypeError: `name` is no string.
            ArgumentValueError: `name` is empty, or UTF-8 cannot express it.
        """
        try:
            _check_name(name)
        except (ArgumentTypeError, ArgumentValueError) as error:
            raise type(error)(f"GraphBuilder.scope({name!r}): {error}") from error
        self._scopes.append(name)
        if layer is not None:
            self.layers.setdefault(page_name("/".join(self._scopes)), layer)
        try:
            yield
        finally:
            self._scopes.pop()

    def placeholder(
        self, name: str, *, shape: Shape = None, dtype: Any = None, device: str = ""
    ) -> Output:
        """Add an input of the model: a node without inputs. See `node`."""
        return self.node(name, "Placeholder", shape=shape, dtype=dtype, device=device)

    def node(
        self,
        name: str,
        op: str,
        inputs: Inputs = (),
        *,
        shape: Shape = None,
        dtype: Any = None,
        device: str = "",
        attrs: Mapping[str, Any] | None = None,
        shapes: Sequence[Shape] | None = None,
    ) -> Output:
        """Add a node. After an error the graph is unchanged.

        Args:
            name: A name inside the current scope. Slashes open further scopes.
            op: The operation of the node, as any text. The page colours nodes by it.
            inputs: Handles of outputs, or names as strings: "name" for the first output of a node,
                "name:k" for output k, "^name" for order without data. A single input needs no list.
            shape: The shape of the only output, such as (None, 128). None means an unknown rank. A
                size of None or -1 is unknown.
            dtype: The dtype of all outputs, or a list with one for each; see
                `attributes.dtype_value`. The page shows it as the attribute `dtype`. A dtype that
                TensorBoard does not know is shown by its name.
            device: A device, such as "cuda:0" or "/device:GPU:0". The page can colour by it.
            attrs: Attributes, which the page shows when the node is selected; see
                `attributes.attr_value`. A value of None is left out. A value above 1 KiB is shown
                as "Too large to show...".
            shapes: The shapes of all outputs, instead of `shape`, for a node that does not have
                exactly one output.

        Returns:
            The first output of the node. `.output(k)` is output k.

        Raises:
            ArgumentTypeError: An argument has the wrong type.
            ArgumentValueError: A name is empty or is no text that UTF-8 can express, an input names
                no node or no output of a node, a size is below -1, or both `shape` and `shapes` are
                given.
        """
        try:
            return self._add(name, op, inputs, shape, dtype, device, attrs, shapes)
        except (ArgumentTypeError, ArgumentValueError) as error:
            where = "/".join([*self._scopes, str(name)])
            raise type(error)(f"GraphBuilder.node({where!r}): {error}") from error

    def to_graph_def(self) -> GraphDef:
        """Return the graph so far, as a new message that the page can draw; see `for_page`.

        The message is equal for equal calls.

        Raises:
            ArgumentValueError: There are no nodes.
        """
        return for_page(self._graph)

    def _add(
        self,
        name: str,
        op: str,
        inputs: Inputs,
        shape: Shape,
        dtype: Any,
        device: str,
        attrs: Mapping[str, Any] | None,
        shapes: Sequence[Shape] | None,
    ) -> Output:
        _check_name(name)
        _check_text(op, "op")
        _check_text(device, "device")
        references = self._references(inputs)
        if shapes is None:
            outputs: tuple[Sizes, ...] = (sizes(shape, "shape"),)
        elif shape is None:
            outputs = tuple(sizes(one, "shapes") for one in _sequence(shapes, "shapes"))
        else:
            raise ArgumentValueError(
                "shapes: expected shape or shapes, got both. Pass one of them."
            )
        values, too_large = _attributes(attrs) if attrs else ({}, [])
        if dtype is not None:
            values["dtype"] = _dtypes(dtype, len(outputs))
        if any(output is not None for output in outputs):
            values[OUTPUT_SHAPES] = _shapes_value(outputs)

        unique = self._names.claim(page_name("/".join([*self._scopes, name])))
        self._outputs[unique] = len(outputs)
        node = self._graph.node.add(
            name=unique, op=op, input=references, device=device, attr=values
        )
        if too_large:
            list_too_large(node.attr, too_large)
        return Output(unique)

    def _references(self, inputs: Inputs) -> list[str]:
        """Return the inputs in the form of a GraphDef. Each is checked to exist."""
        sources = (inputs,) if isinstance(inputs, (Output, str)) else _sequence(inputs, "inputs")
        references = []
        for source in sources:
            if not isinstance(source, (Output, str)):
                raise ArgumentTypeError(
                    "inputs: expected handles that node() or placeholder() returned, or names of "
                    f"nodes, got {type_name(source)}."
                )
            reference = str(source)
            if reference not in self._outputs:
                self._check_reference(reference)
            references.append(reference)
        return references

    def _check_reference(self, reference: str) -> None:
        _, name, output = find_input(reference, self._outputs) or ("", "", ":")
        if output and not output[1:].isdecimal():
            close = difflib.get_close_matches(reference, self._outputs, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise ArgumentValueError(
                f"inputs: expected the name of a node, got {reference!r}. {hint}A name includes "
                "its scopes, and a node must be added before the nodes that take it."
            )
        if int(output[1:] or 0) >= self._outputs[name]:
            raise ArgumentValueError(
                f"inputs: expected one of the {self._outputs[name]} outputs of {name!r}, got "
                f"output {output[1:] or 0}. Pass shapes= to make a node with several outputs."
            )


def _attributes(attrs: Mapping[str, Any]) -> tuple[dict[str, AttrValue], list[str]]:
    """Return the attributes, and the keys of those that are too large."""
    if not isinstance(attrs, Mapping):
        raise ArgumentTypeError(f"attrs: expected a dict, got {type_name(attrs)}.")
    values = {}
    too_large = []
    for key, value in attrs.items():
        _check_text(key, "a key of attrs")
        if value is None:
            continue
        converted = attr_value(value, f"attrs[{key!r}]")
        if converted is None:
            too_large.append(key)
        else:
            values[key] = converted
    return values, too_large


def _dtypes(dtype: Any, outputs: int) -> AttrValue:
    """Return one dtype for all outputs, or a list with one for each."""
    if not isinstance(dtype, (list, tuple)):
        return dtype_value(dtype, "dtype")
    if len(dtype) != outputs:
        raise ArgumentValueError(
            f"dtype: expected one for all of the {outputs} outputs or one for each, got "
            f"{len(dtype)}."
        )
    values = [dtype_value(one, "dtype") for one in dtype]
    if all(value.HasField("type") for value in values):
        return AttrValue(list=AttrValue.ListValue(type=[value.type for value in values]))
    names = [value.s or DataType.Name(value.type).encode() for value in values]
    return AttrValue(list=AttrValue.ListValue(s=names))


@lru_cache(maxsize=1024)
def _shapes_value(outputs: tuple[Sizes, ...]) -> AttrValue:
    """Return shapes as the attribute that labels edges.

    The value is cached, because models repeat shapes. It must not be changed.
    """
    value = AttrValue()
    for output in outputs:
        shape = value.list.shape.add(unknown_rank=output is None)
        for size in output or ():
            shape.dim.add(size=size)
    return value


def _sequence(values: Any, where: str) -> Sequence[Any]:
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"{where}: expected a list, got {type_name(values)}.")
    return values


def _check_text(text: Any, where: str) -> None:
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{where}: expected a str, got {type_name(text)}.")
    if not text.isascii():
        encoded(text, where)


def _check_name(name: Any) -> None:
    _check_text(name, "name")
    if not name:
        raise ArgumentValueError("name: expected a name, got an empty str.")
