"""The content of a picture of a model: layers as boxes, and arrows for the data between them."""

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

# Operations that are no step of a model, because they hold learned or constant values. The words
# are those of our integrations and of TensorFlow.
_UNSEEN = frozenset({
    "Parameter", "Buffer", "RandomState", "Const", "Constant", "HostConst", "Variable",
    "VariableV2", "VarHandleOp",
})  # fmt: skip
_BEGIN = "Placeholder"
_END = "Output"
# Names of numpy for dtypes whose DataType has another name.
_DTYPE_NAMES = {
    "DT_INVALID": "?",
    "DT_HALF": "float16",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
}

# One output of a node: the name of the node, and the index of the output.
Tensor: TypeAlias = tuple[str, int]


@dataclass
class Box:
    """A layer, or a node that is in no layer.

    Attributes:
        name: The full name of the layer's scope, or of the node.
        layer: The description of the layer. For a node, and for a layer without a class that
            contains one node, the class is the op of the node. "" means an unknown class.
        clusters: The scopes of the layers around the box that the picture shows, the outermost
            first.
        inputs: The inputs from other boxes, each once.
        outputs: The outputs that go to other boxes or to the end of the model, each once. If there
            are none, the outputs that nothing takes.
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
        layers: The layers of the graph by their scopes. If there are none, each scope is a layer.
        expand_nested: Whether a layer that is made of layers is a cluster of these layers.

    Attributes:
        boxes: The boxes.
        arrows: Pairs of names of boxes, each once.
        layers: The given layers, or the scopes.
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
        """Return the name of a box or a cluster without the names of `clusters` around it."""
        around = clusters[-1] if clusters else self.root
        return name.removeprefix(f"{around}/")

    def _boxes(
        self, seen: Iterable[NodeDef], chains: Mapping[str, list[str]], expand_nested: bool
    ) -> dict[str, Box]:
        """Return the box of each node. `chains` has the layers around it, the outermost first."""
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
        """Return a shape, such as "(None, 128)"; "?" if it is unknown."""
        name, index = tensor
        shapes = self._attr(name, OUTPUT_SHAPES).list.shape
        if index >= len(shapes) or shapes[index].unknown_rank:
            return "?"
        return str(tuple(None if dim.size < 0 else dim.size for dim in shapes[index].dim))

    def dtype(self, tensor: Tensor) -> str:
        """Return a dtype, such as "float32"; "?" if it is unknown."""
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
        """Yield the inputs of a node, without those that only give an order."""
        for reference in node.input:
            found = find_input(reference, self._nodes)
            if found is not None and not found[0]:
                yield found[1], int(found[2].rpartition(":")[2] or 0)


def _scopes_of(name: str, scopes: Container[str]) -> list[str]:
    """Return the scopes that contain a node, or have its name, the outermost first."""
    return [scope for scope in _prefixes(name) if scope in scopes]


def _prefixes(name: str) -> list[str]:
    """Return "a", "a/b" and "a/b/c" for "a/b/c"."""
    return list(accumulate(name.split("/"), lambda outer, part: f"{outer}/{part}"))


def _scopes_as_layers(seen: Iterable[NodeDef]) -> dict[str, Layer]:
    """Return each scope as a layer of unknown class, except scopes that only contain inputs."""
    return {
        scope: Layer("")
        for node in seen
        if node.op != _BEGIN
        for scope in _prefixes(node.name)[:-1]
    }


def _root(chains: Sequence[Sequence[str]]) -> str:
    """Return the scope of the layer that is the model itself, "" if there is none.

    It is the only outermost layer, nothing is beside it, and it is made of layers.
    """
    root = ""
    for depth in range(min(map(len, chains), default=0)):
        scopes = {chain[depth] for chain in chains}
        if len(scopes) > 1 or all(len(chain) == depth + 1 for chain in chains):
            break
        root = scopes.pop()
    return root
