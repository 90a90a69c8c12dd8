"""Draws a model of any framework, with the arguments of Keras's `plot_model`.

This file writes DOT, the language of Graphviz, and Graphviz draws it. The language is described at
https://graphviz.org/doc/info/lang.html, and its HTML labels at
https://graphviz.org/doc/info/shapes.html
"""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from eventwriter._file.whole_file import whole_file
from eventwriter._imports import importing, missing_extra
from eventwriter._values.type_name import type_name
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    MissingDependencyError,
    WriteError,
)
from eventwriter.graphs.page import for_page
from eventwriter.graphs.picture import Picture
from eventwriter.graphs.sources import build_graph, is_graph_def

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventwriter.graphs.builder import Layer
    from eventwriter.graphs.picture import Box, Tensor
    from eventwriter.typing import PathLike

_FORMATS = (".png", ".svg", ".pdf", ".dot")
_RANKDIRS = ("TB", "BT", "LR", "RL")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_INSTALL_GRAPHVIZ = (
    "Install Graphviz (apt-get install graphviz, brew install graphviz, or conda install graphviz) "
    "so that its program dot is in the PATH, or pass to_file='....dot', which needs nothing."
)


def plot_graph(
    model_or_graph: object,
    to_file: PathLike = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    *,
    input_to_model: object = None,
) -> Path:
    """Draw the layers of a model as boxes, with arrows for the data between them.

    There is a box for each outermost layer below the model itself, and for each node that is in no
    layer, such as an addition or an input. Parameters and constants have no boxes. A GraphDef does
    not tell its layers: there, each scope counts as a layer.

    Args:
        model_or_graph: A model (see `build_graph`), a GraphBuilder, a GraphDef or its bytes.
        to_file: A file that ends with .png, .svg, .pdf or .dot. An earlier file is replaced. A .dot
            file needs no Graphviz, and is equal for equal graphs.
        show_shapes: Show the shapes of inputs and outputs, such as (None, 500). Several are in
            brackets. An unknown shape is "?".
        show_dtype: Show the dtypes of outputs.
        show_layer_names: Show the names of layers beside their classes, without the name of the
            cluster.
        show_layer_activations: Show the activations of layers that have one.
        show_trainable: Show whether weights are trained, for layers that have weights.
        rankdir: "TB" for top to bottom, or "BT", "LR", "RL".
        expand_nested: Draw a layer that is made of layers as a dashed cluster of these layers.
        dpi: Dots per inch of a .png, and of pictures that are made from a .dot.
        input_to_model: The arguments of the model, if its framework needs them; see `add_graph`.

    Returns:
        The path of the file.

    Raises:
        ArgumentTypeError: No framework can read the model, or an argument has the wrong type.
        ArgumentValueError: The ending, `rankdir` or `dpi` is wrong, or there is nothing to draw.
        MissingDependencyError: The package graphviz, or Graphviz itself, is not installed.
        WriteError: The file cannot be written.
    """
    path = _checked(to_file, rankdir, dpi)
    if is_graph_def(model_or_graph):
        graph, layers = for_page(model_or_graph), {}
    else:
        builder = build_graph(model_or_graph, input_to_model)
        graph, layers = builder.to_graph_def(), builder.layers
    picture = Picture(graph, layers, expand_nested)
    if not picture.boxes:
        raise ArgumentValueError(
            "plot_graph: expected at least one operation, got a graph of parameters and constants "
            "only. Pass a graph with something to draw."
        )

    drawing = _Drawing(
        picture, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    )
    suffix = path.suffix.lower()
    if suffix in {".svg", ".pdf"}:  # no dots; older Graphviz would cut an SVG
        dot = drawing.dot(f"rankdir={rankdir}")
    else:
        dot = drawing.dot(f"rankdir={rankdir} dpi={dpi}")
    _write(path, dot if suffix == ".dot" else _rendered(dot, suffix))
    return path


def _checked(to_file: object, rankdir: object, dpi: object) -> Path:
    if not isinstance(to_file, (str, os.PathLike)):
        raise ArgumentTypeError(f"plot_graph: to_file: expected a path, got {type_name(to_file)}.")
    path = Path(to_file)
    if path.suffix.lower() not in _FORMATS:
        raise ArgumentValueError(
            f"plot_graph: to_file: expected a file that ends in {', '.join(_FORMATS)}, got "
            f"{os.fspath(to_file)!r}."
        )
    if rankdir not in _RANKDIRS:
        raise ArgumentValueError(
            f"plot_graph: rankdir: expected one of {', '.join(_RANKDIRS)}, got {rankdir!r}."
        )
    if not isinstance(dpi, int) or dpi < 1:
        raise ArgumentValueError(
            f"plot_graph: dpi: expected a whole number of dots per inch, got {dpi!r}."
        )
    return path


class _Cell(NamedTuple):
    """A cell of a box.

    Attributes:
        colour: The colour behind the text.
        content: HTML of Graphviz.
    """

    colour: str
    content: str


@dataclass(frozen=True)
class _Drawing:
    """Writes a picture as DOT. The attributes are arguments of `plot_graph`."""

    picture: Picture
    show_shapes: bool
    show_dtype: bool
    show_layer_names: bool
    show_layer_activations: bool
    show_trainable: bool

    def dot(self, attributes: str) -> bytes:
        """Return the whole text. Boxes are named by layers, so equal graphs give equal text."""
        lines = [
            "digraph model {",
            f"  graph [{attributes} fontname=Helvetica];",
            "  node [shape=plain fontname=Helvetica];",
            "  edge [penwidth=2];",
            *self._within((), self.picture.boxes),
            *(f"  {_quoted(source)} -> {_quoted(to)};" for source, to in self.picture.arrows),
            "}",
        ]
        return "".join(f"{line}\n" for line in lines).encode()

    def _within(self, clusters: tuple[str, ...], boxes: Iterable[Box]) -> Iterator[str]:
        """Yield the content of the innermost of `clusters`: boxes, then further clusters."""
        depth = len(clusters)
        indent = "  " * (depth + 1)
        inner: dict[str, list[Box]] = {}
        for box in boxes:
            if len(box.clusters) > depth:
                inner.setdefault(box.clusters[depth], []).append(box)
            else:
                yield f"{indent}{_quoted(box.name)} [label=<{self._table(box)}>];"
        for scope, within in inner.items():
            title = self._title(scope, clusters, self.picture.layers[scope])
            yield f"{indent}subgraph {_quoted(f'cluster_{scope}')} {{"
            yield f"{indent}  graph [label=<{title}> labeljust=l style=dashed];"
            yield from self._within((*clusters, scope), within)
            yield f"{indent}}}"

    def _table(self, box: Box) -> str:
        """Return a dark row with name and class, and then rows of facts."""
        title = self._title(box.name, box.clusters, box.layer)
        rows = [[_Cell("black", f'<font point-size="16" color="white">{title}</font>')]]
        if self.show_layer_activations and box.layer.activation:
            rows.append([_fact("Activation", box.layer.activation)])
        if facts := list(self._facts(box)):
            rows.append(facts)
        columns = len(rows[-1])
        html_rows = "".join(
            "<tr>"
            + "".join(
                f'<td colspan="{columns // len(row)}" bgcolor="{colour}">{content}</td>'
                for colour, content in row
            )
            + "</tr>"
            for row in rows
        )
        return (
            f'<table border="0" cellborder="1" cellspacing="0" cellpadding="10">{html_rows}</table>'
        )

    def _facts(self, box: Box) -> Iterator[_Cell]:
        if self.show_shapes:
            yield from _several("Input shape", self.picture.shape, box.inputs)
            yield from _several("Output shape", self.picture.shape, box.outputs)
        if self.show_dtype:
            yield from _several("Output dtype", self.picture.dtype, box.outputs)
        if self.show_trainable and box.layer.trainable is not None:
            yield _TRAINABLE if box.layer.trainable else _NON_TRAINABLE

    def _title(self, name: str, clusters: tuple[str, ...], layer: Layer) -> str:
        shown = _escaped(self.picture.label(name, clusters))
        class_name = _escaped(layer.class_name)
        if not class_name or not self.show_layer_names:
            return f"<b>{class_name or shown}</b>"
        return f"<b>{shown}</b> ({class_name})"


_TRAINABLE = _Cell("forestgreen", '<font point-size="14" color="white"><b>Trainable</b></font>')
_NON_TRAINABLE = _Cell(
    "firebrick", '<font point-size="14" color="white"><b>Non-trainable</b></font>'
)


def _fact(name: str, value: str) -> _Cell:
    return _Cell("white", f'<font point-size="14">{name}: <b>{_escaped(value)}</b></font>')


def _several(
    name: str, describe: Callable[[Tensor], str], tensors: Iterable[Tensor]
) -> Iterator[_Cell]:
    """Yield a fact about tensors: one alone, several in brackets. For no tensor, yield nothing."""
    found = [describe(tensor) for tensor in tensors]
    if found:
        yield _fact(name, found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _escaped(text: str) -> str:
    return html.escape(_CONTROLS.sub(" ", text))


def _quoted(text: str) -> str:
    # `page.page_name` has removed quotes and backslashes.
    return f'"{text}"'


def _rendered(dot: bytes, suffix: str) -> bytes:
    try:
        with importing():
            import graphviz  # noqa: PLC0415 - the extra `plot`
    except ModuleNotFoundError as error:
        raise missing_extra(f"plot_graph to {suffix}", "the package graphviz", "plot") from error
    try:
        rendered: bytes = graphviz.pipe("dot", suffix[1:], dot, quiet=True)
    except graphviz.ExecutableNotFound as error:
        raise MissingDependencyError(
            f"plot_graph: expected Graphviz for {suffix}, got no program dot in the PATH. "
            f"{_INSTALL_GRAPHVIZ}"
        ) from error
    return rendered


def _write(path: Path, content: bytes) -> None:
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise WriteError(
            f"plot_graph: {path} cannot be written: {error}", path=path, cause=error
        ) from error
