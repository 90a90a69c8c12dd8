"""Repairs a GraphDef so that TensorBoard's Graphs page draws all of it.

The page keeps names in plain JavaScript objects, reads `:` and `^` in an input as signs of its own,
hides some operations because of their names, and sends every attribute as text to the browser. So
the page may lose nodes and edges of a graph that is valid for TensorFlow, or draw nothing. All of
this was seen in TensorBoard 2.21 (`tensorboard/plugins/graph/tf_graph_common`).

    in the graph                              on the page          what `for_page` does
    name starting with constructor, __proto__
      and the like, __root__, length          nothing is drawn     constructor -> constructor_
    op with such a name                       nothing is drawn     toString -> toString_
    empty name                                nothing is drawn     "" -> unnamed
    : in a name, ^ or / at its start, / at    edges are lost,
      its end, //                             nameless scopes      a:0 -> a_0, ^/a//b/ -> a/b
    quotes, backslash, control characters     shown escaped        f'g -> f_g
    __function_library__ at the start         taken for a function function_library__
    two nodes of one name                     one is missing       second relu -> relu_1
    input that names no node                  skipped, or nothing
                                              is drawn             dropped
    op containing Const, not a constant       hidden               ConstantPad2d -> constantPad2d
    constant that no node takes               hidden               Const -> const
    op such as ScalarSummary                  hidden               Scalarsummary
    device such as cuda:0                     not in the legend    /device:GPU:0
    weights and other large attributes        megabytes of text    dropped, their keys listed

The page hides an operation only if the word has its capital letter, so lower case shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, MutableMapping, Sequence

from google.protobuf.message import DecodeError, Message

from eventwriter._proto.graph_pb2 import AttrValue, FunctionDef, GraphDef, NodeDef
from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.unique_names import UniqueNames

# The list of attributes that were dropped. The page shows them as "Too large to show...".
TOO_LARGE = "_too_large_attrs"
# The attribute that labels the edges that leave a node: one shape for each output.
OUTPUT_SHAPES = "_output_shapes"
# TensorBoard's own limit, from the time when its page still passed one.
MAX_ATTR_BYTES = 1024

_LIBRARY = "__function_library__"
# Members of Object.prototype in JavaScript: `names[name]` finds them even in an empty object.
_INHERITED = frozenset({
    "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__",
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString",
    "toString", "valueOf",
})  # fmt: skip
# `__root__` is the outermost scope of the page. The page takes an object with a `length` for an
# array.
_RESERVED = _INHERITED | {"__root__", "length"}
_UNSHOWN = dict.fromkeys([*map(ord, ":\"'\\"), *range(0x20), 0x7F], "_")
_CONSTANTS = frozenset({"Const", "Constant", "HostConst"})
_SUMMARY = re.compile(r"[a-zA-Z]+Summary")
_LEGEND = re.compile(r"device:[^:]+:[0-9]+$")
_DEVICE = re.compile(r"(?:device:)?(?:TFRT_)?([A-Za-z]\w*?)(?:[:_](\d+))?(?:\W.*)?")
_ELSEWHERE = ("job:", "replica:", "task:")
_GPUS = frozenset({"CUDA", "HIP", "ROCM"})

_Attrs = MutableMapping[str, AttrValue]


def for_page(graph: Message | bytes | bytearray | memoryview) -> GraphDef:
    """Return a copy of `graph` of which the page draws every node, scope and edge, without weights.

    The table of this module lists what is renamed. Inputs and calls of functions are renamed too,
    names stay unique, and a name that the page can take is never changed. An attribute above
    `MAX_ATTR_BYTES` is dropped, and its key is listed in `_too_large_attrs`. `_output_shapes` is
    always kept, because it labels the edges. Fields that are not in `proto/graph.proto`, such as
    stack traces, are left out. A graph that needs no repair is returned equal, and so is a graph
    that was repaired before.

    The page draws a constant beside the node that takes it, not as a node of its own. A constant
    that no node takes would not be visible, and a graph of constants only would be blank. The op of
    such a constant becomes lower case, so that the page draws an ordinary node.

    Args:
        graph: A GraphDef message (of this package, tensorboard, TensorFlow or tensorboardX), or its
            serialised bytes. It is not changed.

    Returns:
        A new message. Serialise it with `deterministic=True`, because attributes are a map.

    Raises:
        ArgumentTypeError: `graph` is neither a GraphDef nor bytes.
        ArgumentValueError: The bytes are no GraphDef, or there are no nodes. For a graph without
            nodes the page says "The graph is empty".
    """
    page = _copy(graph)
    if not page.node:
        raise ArgumentValueError(
            "graph: expected at least one node, got a graph with no nodes, for which the page "
            "would be empty. Add a node."
        )
    page.DiscardUnknownFields()
    functions = _rename_functions(page)
    repair = _Repair(functions)
    repair.nodes(page.node, ())
    for function in page.library.function:
        repair.function(function)
    return page


def page_name(name: str) -> str:
    """Return the name of a node on the page: `name` itself if the page can take it."""
    shown = name.translate(_UNSHOWN).lstrip("^/").rstrip("/")
    while "//" in shown:
        shown = shown.replace("//", "/")
    first = shown.partition("/")[0]
    if first in _RESERVED:
        shown = f"{first}_{shown[len(first) :]}"
    elif first.startswith(_LIBRARY):
        shown = shown[2:]
    return shown or "unnamed"


def page_op(op: str) -> str:
    """Return an operation that the page does not hide: `op` itself if the page shows it.

    Constants are unchanged: `Const`, `Constant`, `HostConst`, with or without a namespace.
    """
    return op if _is_constant(op) else _unhidden(op)


def page_device(device: str) -> str:
    """Return a device in the only form that the legend of the page lists: `/device:TYPE:N`.

    Names such as `cuda:0`, `TFRT_CPU_0` or `/job:worker/task:1/gpu:0` are translated. Text that
    names no device is unchanged.
    """
    if not device or _LEGEND.search(device):
        return device
    host, slash, last = device.rpartition("/")
    found = _DEVICE.fullmatch(last)
    if found is None or last.startswith(_ELSEWHERE):
        return device
    kind = found[1].upper()
    return f"{host}{slash or '/'}device:{'GPU' if kind in _GPUS else kind}:{found[2] or 0}"


def find_input(reference: str, names: Container[str]) -> tuple[str, str, str] | None:
    """Split an input into "^" or "", the name of a node, and the output. None if no name fits.

    The forms are `name`, `name:k` for output k, and `name:output:k` inside functions. A `^` before
    them means order without data. A name that contains these signs itself is found too.

    Args:
        reference: The input.
        names: The names of all nodes, as a set or a map.
    """
    for control in ("^", "") if reference.startswith("^") else ("",):
        name = reference[len(control) :]
        if name in names:
            return control, name, ""
        output = ""
        for _ in range(2):
            name, colon, part = name.rpartition(":")
            if not colon:
                break
            output = f"{colon}{part}{output}"
            if name in names and output.rpartition(":")[2].isdecimal():
                return control, name, output
    return None


def _copy(graph: Message | bytes | bytearray | memoryview) -> GraphDef:
    if isinstance(graph, GraphDef):
        page = GraphDef()
        page.CopyFrom(graph)
        return page
    if isinstance(graph, Message) and graph.DESCRIPTOR.name == "GraphDef":
        graph = graph.SerializeToString()
    if not isinstance(graph, (bytes, bytearray, memoryview)):
        raise ArgumentTypeError(
            f"graph: expected a GraphDef message or its serialised bytes, got {type_name(graph)}."
        )
    try:
        return GraphDef.FromString(bytes(graph))
    except DecodeError as error:
        raise ArgumentValueError(
            f"graph: expected a serialised GraphDef, got {len(graph)} bytes that are none "
            f"({error}). Pass the result of GraphDef.SerializeToString()."
        ) from error


def _is_constant(op: str) -> bool:
    return re.split(r"\W", op)[-1] in _CONSTANTS


def _unhidden(op: str) -> str:
    op = op.replace("Const", "const")
    if _SUMMARY.fullmatch(op):
        op = op.removesuffix("Summary") + "summary"
    return f"{op}_" if op in _INHERITED else op


class _Repair:
    """Repairs the nodes of one graph and its functions, in place.

    A graph has many nodes, but few different operations and devices. So each of these is looked at
    once.
    """

    def __init__(self, functions: dict[str, str]) -> None:
        self._functions = functions
        self._functions_renamed = any(old != new for old, new in functions.items())
        # The operation of a call is the name of the function.
        self._ops = dict(functions)
        self._devices = {"": ""}

    def nodes(self, nodes: Sequence[NodeDef], arguments: Iterable[str]) -> dict[str, str]:
        """Repair `nodes`, whose inputs are other nodes or `arguments`, by their old names.

        Returns:
            The new name for each old name, also for the arguments.
        """
        old = [*arguments, *(node.name for node in nodes)]
        new = _unique_page_names(old)
        names = _first_of_each(old, new)
        if old != new:
            for node, name in zip(nodes, new[len(new) - len(nodes) :], strict=True):
                if node.name != name:
                    node.name = name

        # Most inputs are exactly a name that is not changed. They need no closer look.
        plain = {name for name, shown in names.items() if name == shown}
        constants = []
        taken: set[str] = set()
        for node in nodes:
            self._node(node)
            inputs: Sequence[str] = node.input[:]
            if not plain.issuperset(inputs):
                inputs = _repair_inputs(node, names)
            if "Const" in node.op:
                constants.append(node)
            else:
                taken.update(inputs)
        for node in constants:
            if node.name not in taken:
                node.op = _unhidden(node.op)
        return names

    def function(self, function: FunctionDef) -> None:
        """Repair the inside of a library function. Its own name is repaired already."""
        signature = function.signature
        names = self.nodes(function.node_def, [arg.name for arg in signature.input_arg])
        for arg in signature.input_arg:
            arg.name = names[arg.name]
        for arg in signature.output_arg:
            arg.name = names.get(arg.name, page_name(arg.name))
        returned = {}
        for output, reference in sorted(function.ret.items()):
            renamed = _rename_input(reference, names)
            returned[names.get(output, page_name(output))] = renamed[0] if renamed else reference
        if returned != dict(function.ret):
            function.ret.clear()
            function.ret.update(returned)
        _drop_large(function.attr)

    def _node(self, node: NodeDef) -> None:
        op = node.op
        shown = self._ops.get(op)
        if shown is None:
            shown = self._ops[op] = page_op(op)
        if shown != op:
            node.op = shown
        device = node.device
        if device:
            if device not in self._devices:
                self._devices[device] = page_device(device)
            if self._devices[device] != device:
                node.device = self._devices[device]
        # No attribute is larger than its node, and one size is cheaper than a size for each.
        if node.ByteSize() > MAX_ATTR_BYTES:
            _drop_large(node.attr)
        if self._functions_renamed:
            _rename_calls(node.attr, self._functions)


def _rename_functions(page: GraphDef) -> dict[str, str]:
    """Give library functions names that the page can take. Return the new name for each old one."""
    functions = page.library.function
    old = [function.signature.name for function in functions]
    # The page would cut the name of a function at a slash.
    new = _unique_page_names(old, lambda name: _unhidden(page_name(name).replace("/", "_")))
    names = _first_of_each(old, new)
    for function, name in zip(functions, new, strict=True):
        function.signature.name = name
    for gradient in page.library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    return names


def _unique_page_names(names: Sequence[str], shown: Callable[[str], str] = page_name) -> list[str]:
    """Return `shown` of each name, made unique. A name that the page can take is not changed."""
    new = [shown(name) for name in names]
    if new == names and len(set(new)) == len(new):
        return new
    unique = UniqueNames()
    stays = [a == b and unique.add(a) for a, b in zip(names, new, strict=True)]
    return [name if stay else unique.claim(name) for name, stay in zip(new, stays, strict=True)]


def _first_of_each(old: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    """Return the new name for each old name. For a repeated old name, it is that of the first."""
    return dict(zip(reversed(old), reversed(new), strict=True))


def _repair_inputs(node: NodeDef, names: dict[str, str]) -> list[str]:
    """Give the inputs of `node` their new names, and drop inputs that name no node.

    Return the names of the nodes that are taken.
    """
    old = list(node.input)
    found = [renamed for reference in old if (renamed := _rename_input(reference, names))]
    new = [reference for reference, _ in found]
    if new != old:
        del node.input[:]
        node.input.extend(new)
    return [name for _, name in found]


def _rename_input(reference: str, names: dict[str, str]) -> tuple[str, str] | None:
    """Return the reference with the new name of its node, and that name; None if there is none."""
    found = find_input(reference, names)
    if found is None:
        return None
    control, name, output = found
    return f"{control}{names[name]}{output}", names[name]


def _drop_large(attrs: _Attrs) -> None:
    """Drop attributes above `MAX_ATTR_BYTES`, and list their keys in `_too_large_attrs`."""
    large = {
        key
        for key, value in attrs.items()
        if key not in (OUTPUT_SHAPES, TOO_LARGE) and value.ByteSize() > MAX_ATTR_BYTES
    }
    for key in large:
        del attrs[key]
    if large:
        list_too_large(attrs, large)


def list_too_large(attrs: _Attrs, keys: Iterable[str]) -> None:
    """Add `keys` of attributes that were left out to the list that the page shows."""
    listed = attrs[TOO_LARGE].list.s
    merged = sorted({*listed, *(key.encode() for key in keys)})
    del listed[:]
    listed.extend(merged)


def _rename_calls(attrs: _Attrs, functions: dict[str, str]) -> None:
    """Give attributes that name functions, also nested ones, the new names of the functions."""
    for value in attrs.values():
        called = [value.func] if value.HasField("func") else value.list.func
        for func in called:
            func.name = functions.get(func.name, func.name)
            _rename_calls(func.attr, functions)
