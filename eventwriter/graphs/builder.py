"""Graphs built by hand, or by whatever reads a framework's model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from eventwriter._proto.graph_pb2 import AttrValue, GraphDef
from eventwriter._proto.tensor_pb2 import DataType
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
    """One output of a node: what `GraphBuilder.node` returns and what inputs are made of.

    Attributes:
        name: The node's full name, scopes included, as the page shows it.
        index: Which of the node's outputs, from 0.
    """

    name: str
    index: int = 0

    def output(self, index: int) -> Output:
        """Another output of the same node."""
        return Output(self.name, index)

    def __str__(self) -> str:
        """The output as a GraphDef's input: "embed/split:1"."""
        return f"{self.name}:{self.index}" if self.index else self.name


@dataclass(frozen=True, slots=True)
class Layer:
    """What is known of a scope that is a layer of a model; a picture of the model shows it.

    Attributes:
        class_name: Its class, such as "Conv2d".
        activation: Name of its activation, where it has one.
        trainable: Whether its weights are trained; None where it has none.
    """

    class_name: str
    activation: str | None = None
    trainable: bool | None = None


Inputs: TypeAlias = "Output | str | Sequence[Output | str]"


class GraphBuilder:
    """A graph, node by node, that TensorBoard's Graphs page draws right.

        graph = GraphBuilder()
        x = graph.placeholder("input/x", shape=(None, 500), dtype="int32")
        with graph.scope("embed"):
            w = graph.node("weights", "Parameter", shape=(2000, 128), dtype="float32")
            e = graph.node("lookup", "Embedding", [x, w], shape=(None, 500, 128), dtype="float32")
        writer.add_graph(graph)

    A name's slashes are scopes, which the page draws as boxes that open, and so does `scope`. Both
    a node "embed" and nodes "embed/..." may exist: the page shows the first inside the second. A
    scope may be entered again, and goes on. A repeated name gets `_1`, `_2` and so on, as in
    TensorFlow; what the page cannot take in a name is replaced (`page.page_name`). The handle
    that `node` returns has the name that the node got.

    Shapes label the edges that leave a node. Weights have no place here: a parameter is a node
    with a shape and a dtype. Five or more nodes of one op named `layer_0`, `layer_1`, ... in one
    scope are drawn as one stack, `layer_[0-7]`, which the page can open: name repeated blocks so.
    Constants (op "Const") are drawn small, beside the node that takes them.

    Inputs must exist when they are used, so edges go forward only and a graph has no cycles.

    Not for use from several threads at once.

    Attributes:
        layers: The scopes that were said to be layers, by their full names as the page shows them,
            in the order in which they were first entered.
    """

    def __init__(self) -> None:
        self.layers: dict[str, Layer] = {}
        self._graph = GraphDef()
        self._names = UniqueNames()
        self._outputs: dict[str, int] = {}
        self._scopes: list[str] = []

    @contextmanager
    def scope(self, name: str, *, layer: Layer | None = None) -> Iterator[None]:
        """Puts `name/` before the names of the nodes made inside. Scopes nest.

        Args:
            name: Within the current scope; slashes open further scopes.
            layer: What to remember of it, if it is a layer of a model.

        Raises:
            ArgumentTypeError: `name` is no string.
            ArgumentValueError: `name` is empty, or UTF-8 cannot carry it.
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
        """An input of the model: a node without inputs of its own. See `node`."""
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
        """Adds a node; on an error the graph stays as it was.

        Args:
            name: Within the current scope; slashes open further scopes.
            op: What the node does; the page colours by it. Any text.
            inputs: Handles of outputs, or names as strings: "name" for a node's first output,
                "name:k" for output k, "^name" for order without data. One alone needs no list.
            shape: Shape of the only output, say (None, 128). None: unknown rank; a size of None or
                -1: unknown.
            dtype: Of the outputs, or a list with one for each; see `attributes.dtype_value`. Shown
                as the attribute `dtype`. One that TensorBoard has no word for shows by its name.
            device: Such as "cuda:0" or "/device:GPU:0"; the page can colour by it.
            attrs: Shown when the node is selected; see `attributes.attr_value`. None values are
                left out, those above 1 KiB show as "Too large to show...".
            shapes: Shapes of all outputs of a node that has not exactly one, instead of `shape`.

        Returns:
            Its first output; `.output(k)` is another.

        Raises:
            ArgumentTypeError: An argument has the wrong type.
            ArgumentValueError: A name is empty or not text, an input names no node or no output of
                it, a size is negative, or both `shape` and `shapes` are given.
        """
        try:
            return self._add(name, op, inputs, shape, dtype, device, attrs, shapes)
        except (ArgumentTypeError, ArgumentValueError) as error:
            where = "/".join([*self._scopes, str(name)])
            raise type(error)(f"GraphBuilder.node({where!r}): {error}") from error

    def to_graph_def(self) -> GraphDef:
        """The graph so far, as `for_page` leaves it: a new message, equal for equal calls.

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
            raise ArgumentValueError("got both shape and shapes; pass one of them")
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
        """The inputs as a GraphDef has them, each checked to exist."""
        sources = (inputs,) if isinstance(inputs, (Output, str)) else _sequence(inputs, "inputs")
        references = []
        for source in sources:
            if not isinstance(source, (Output, str)):
                raise ArgumentTypeError(
                    f"inputs: got {type(source).__qualname__}; expected what node() or "
                    "placeholder() returned, or a node's name"
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
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ArgumentValueError(
                f"inputs: there is no node {reference!r}; {hint}Names include their scopes, and a "
                "node must be added before those that take it"
            )
        if int(output[1:] or 0) >= self._outputs[name]:
            raise ArgumentValueError(
                f"inputs: got output {output[1:] or 0} of {name!r}, which has "
                f"{self._outputs[name]}; a node with several outputs is made with shapes="
            )


def _attributes(attrs: Mapping[str, Any]) -> tuple[dict[str, AttrValue], list[str]]:
    """The attributes, and the keys of those that are too large."""
    if not isinstance(attrs, Mapping):
        raise ArgumentTypeError(f"attrs: got {type(attrs).__qualname__}; expected a dict")
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
    """One dtype for all outputs, or a list with one for each."""
    if not isinstance(dtype, (list, tuple)):
        return dtype_value(dtype, "dtype")
    if len(dtype) != outputs:
        raise ArgumentValueError(
            f"dtype: got {len(dtype)} for {outputs} outputs; expected one for each or one for all"
        )
    values = [dtype_value(one, "dtype") for one in dtype]
    if all(value.HasField("type") for value in values):
        return AttrValue(list=AttrValue.ListValue(type=[value.type for value in values]))
    names = [value.s or DataType.Name(value.type).encode() for value in values]
    return AttrValue(list=AttrValue.ListValue(s=names))


@lru_cache(maxsize=1024)
def _shapes_value(outputs: tuple[Sizes, ...]) -> AttrValue:
    """Shapes as the attribute that labels edges; not to be changed, since models repeat shapes."""
    value = AttrValue()
    for output in outputs:
        shape = value.list.shape.add(unknown_rank=output is None)
        for size in output or ():
            shape.dim.add(size=size)
    return value


def _sequence(values: Any, where: str) -> Sequence[Any]:
    if not isinstance(values, (list, tuple)):
        raise ArgumentTypeError(f"{where}: got {type(values).__qualname__}; expected a list")
    return values


def _check_text(text: Any, where: str) -> None:
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{where}: got {type(text).__qualname__}; expected a string")
    if not text.isascii():
        encoded(text, where)


def _check_name(name: Any) -> None:
    _check_text(name, "name")
    if not name:
        raise ArgumentValueError("name: got an empty string; expected a name")
