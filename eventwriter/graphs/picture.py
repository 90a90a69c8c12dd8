"""What a picture of a model shows: its layers as boxes, and what goes from one to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from eventwriter._proto.graph_pb2 import AttrValue
from eventwriter._proto.tensor_pb2 import DataType
from eventwriter.graphs.builder import Layer
from eventwriter.graphs.page import OUTPUT_SHAPES, find_input

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from eventwriter._proto.graph_pb2 import GraphDef, NodeDef

# What is learned, and what never changes, is no step of the model: the sources' words for it, and
# TensorFlow's.
_UNSEEN = frozenset({
    "Parameter", "Buffer", "RandomState", "Const", "Constant", "HostConst", "Variable",
    "VariableV2", "VarHandleOp",
})  # fmt: skip
_BEGIN = "Placeholder"
_END = "Output"
# numpy's names of those whose DataType says it otherwise.
_DTYPE_NAMES = {
    "DT_INVALID": "?",
    "DT_HALF": "float16",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
}

# One output of a node: the node's name, and which.
Tensor: TypeAlias = tuple[str, int]


@dataclass
class Box:
    """A layer, or a node that is in none.

    Attributes:
        name: The full name of the layer's scope, or of the node.
        layer: What is known of it. A node's class is its op, and so is that of a layer without a
            class that holds one node; "" is an unknown one.
        clusters: Scopes of the layers around it that the picture shows, outermost first.
        inputs: What comes in from other boxes, each once.
        outputs: What goes out to other boxes or to the model's end, each once; where nothing does,
            what nothing takes.
    """

    name: str
    layer: Layer
    clusters: tuple[str, ...]
    inputs: dict[Tensor, None] = field(default_factory=dict)
    outputs: dict[Tensor, None] = field(default_factory=dict)


class Picture:
    """The boxes of a graph and its arrows, in the order of the graph.

    Args:
        graph: The graph.
        layers: Its layers by their scopes. Without any, each scope is one.
        expand_nested: Whether layers that are made of layers are clusters of these.

    Attributes:
        boxes: The boxes.
        arrows: Pairs of boxes' names, each once.
        layers: What was given, or the scopes.
        root: The scope of the layer that is the model itself, "" if there is none.
    """

    def __init__(self, graph: GraphDef, layers: Mapping[str, Layer], expand_nested: bool) -> None:
        self._nodes = {node.name: node for node in graph.node}
        seen = [node for node in graph.node if node.op not in _UNSEEN and node.op != _END]
        self.layers = dict(layers) or _scopes_as_layers(seen)
        chains = {node.name: _scopes_of(node.name, self.layers) for node in seen}
        self.root = _root([chains[node.name] for node in seen if node.op != _BEGIN])
        self._box_of = self._boxes(seen, chains, expand_nested)
        self.boxes = list({id(box): box for box in self._box_of.values()}.values())
        self.arrows: dict[tuple[str, str], None] = {}
        self._connect()

    def label(self, name: str, clusters: Sequence[str]) -> str:
        """The name of a box or a cluster within `clusters`, those around it."""
        around = clusters[-1] if clusters else self.root
        return name.removeprefix(f"{around}/")

    def _boxes(
        self, seen: Iterable[NodeDef], chains: Mapping[str, list[str]], expand_nested: bool
    ) -> dict[str, Box]:
        """The box of each node, of which `chains` has the layers around it, outermost first."""
        outer = {scope for chain in chains.values() for scope in chain[:-1]}
        boxes: dict[tuple[str, bool], Box] = {}
        box_of = {}
        for node in seen:
            chain = [scope for scope in chains[node.name] if len(scope) > len(self.root)]
            if not expand_nested:
                chain = chain[:1]
            in_layer = bool(chain) and not (expand_nested and chain[-1] in outer)
            name = chain.pop() if in_layer else node.name
            if (name, in_layer) not in boxes:
                layer = self.layers[name] if in_layer else Layer(node.op)
                boxes[name, in_layer] = Box(name, layer, tuple(chain))
            box_of[node.name] = boxes[name, in_layer]
        counts = Counter(id(box) for box in box_of.values())
        for node in seen:
            box = box_of[node.name]
            if not box.layer.class_name and counts[id(box)] == 1:
                box.layer = replace(box.layer, class_name=node.op)
        return box_of

    def shape(self, tensor: Tensor) -> str:
        """Such as "(None, 128)"; "?" where it is not known."""
        name, index = tensor
        shapes = self._attr(name, OUTPUT_SHAPES).list.shape
        if index >= len(shapes) or shapes[index].unknown_rank:
            return "?"
        return str(tuple(None if dim.size < 0 else dim.size for dim in shapes[index].dim))

    def dtype(self, tensor: Tensor) -> str:
        """Such as "float32"; "?" where it is not known."""
        name, index = tensor
        value = self._attr(name, "dtype")
        kinds: Sequence[int] = value.list.type or [value.type]
        names = value.list.s or [value.s]
        if any(names):
            text = names[min(index, len(names) - 1)].decode(errors="replace")
        else:
            text = DataType.Name(kinds[min(index, len(kinds) - 1)])
        return _DTYPE_NAMES.get(text, text.removeprefix("DT_").lower())

    def _attr(self, name: str, key: str) -> AttrValue:
        attrs = self._nodes[name].attr
        return attrs[key] if key in attrs else AttrValue()

    def _connect(self) -> None:
        taken: set[Tensor] = set()
        for node in self._nodes.values():
            target = self._box_of.get(node.name)
            if target is None and node.op != _END:
                continue
            for tensor in self._inputs(node):
                taken.add(tensor)
                source = self._box_of.get(tensor[0])
                if source is None or source is target:
                    continue
                source.outputs[tensor] = None
                if target is not None:
                    target.inputs[tensor] = None
                    self.arrows[source.name, target.name] = None
        ends = {box.name for box in self.boxes if not box.outputs}
        for name, box in self._box_of.items():
            if box.name in ends:
                count = len(self._attr(name, OUTPUT_SHAPES).list.shape) or 1
                tensors = ((name, index) for index in range(count))
                box.outputs.update(dict.fromkeys(t for t in tensors if t not in taken))

    def _inputs(self, node: NodeDef) -> Iterator[Tensor]:
        """What a node takes; what it only waits for is left out."""
        for reference in node.input:
            found = find_input(reference, self._nodes)
            if found is not None and not found[0]:
                yield found[1], int(found[2].rpartition(":")[2] or 0)


def _scopes_of(name: str, scopes: Container[str]) -> list[str]:
    """Those of `scopes` that a node is in, outermost first; it is in one of its own name too."""
    return [scope for scope in _prefixes(name) if scope in scopes]


def _prefixes(name: str) -> list[str]:
    """Of "a/b/c": "a", "a/b" and "a/b/c"."""
    return list(accumulate(name.split("/"), lambda outer, part: f"{outer}/{part}"))


def _scopes_as_layers(seen: Iterable[NodeDef]) -> dict[str, Layer]:
    """Each scope as a layer of unknown class, but for those that hold the model's inputs alone."""
    return {
        scope: Layer("")
        for node in seen
        if node.op != _BEGIN
        for scope in _prefixes(node.name)[:-1]
    }


def _root(chains: Sequence[Sequence[str]]) -> str:
    """The scope of the layer that is the model itself, "" if there is none.

    It is the only one on the outside, nothing is beside it, and it is made of layers.
    """
    root = ""
    for depth in range(min(map(len, chains), default=0)):
        scopes = {chain[depth] for chain in chains}
        if len(scopes) > 1 or all(len(chain) == depth + 1 for chain in chains):
            break
        root = scopes.pop()
    return root
