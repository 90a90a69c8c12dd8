"""A model as a picture, with the meaning of Keras's `plot_model`, for every source.

The picture is written as DOT, Graphviz's language, here; Graphviz draws it. Language:
https://graphviz.org/doc/info/lang.html and, for labels in HTML, https://graphviz.org/doc/info/shapes.html
"""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eventwriter._file.whole_file import whole_file
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

_FORMATS = (".png", ".svg", ".pdf", ".dot")
_RANKDIRS = ("TB", "BT", "LR", "RL")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_INSTALL_GRAPHVIZ = (
    "Install Graphviz (apt-get install graphviz, brew install graphviz, or conda install graphviz) "
    "so that its program dot is in the PATH, or pass to_file='....dot', which needs nothing."
)


def plot_graph(
    model_or_graph: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    *,
    input_to_model: Any = None,
) -> Path:
    """Draws a model's layers as boxes, with arrows for what goes from one to the next.

    The boxes are the outermost layers below the model itself, and the nodes that are in no layer,
    such as an addition or an input. Parameters and constants are no boxes. In a graph that does
    not tell its layers, as a GraphDef, each scope is one.

    Args:
        model_or_graph: A model that there is a source for (see `sources.build_graph`), a
            GraphBuilder, a GraphDef or its bytes.
        to_file: A file that ends in .png, .svg, .pdf or .dot; one that is there is replaced. DOT
            text needs no Graphviz, and is equal for equal graphs.
        show_shapes: Shapes of what comes in and goes out, such as (None, 500); several in
            brackets, "?" where unknown.
        show_dtype: Dtypes of what goes out.
        show_layer_names: Names, within the cluster, besides classes.
        show_layer_activations: The activations of layers that have one.
        show_trainable: Whether weights are trained, of layers that have some.
        rankdir: "TB" for top to bottom, or "BT", "LR", "RL".
        expand_nested: Layers that are made of layers become dashed clusters of these.
        dpi: Dots per inch, of a .png or what is made of a .dot.
        input_to_model: What the model is called with, if its source needs it, as in `add_graph`.

    Returns:
        The file.

    Raises:
        ArgumentTypeError: There is no source for the model; or an argument's type.
        ArgumentValueError: Another ending, `rankdir` or `dpi`; or nothing to draw.
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
            "plot_graph: the graph holds parameters and constants alone; expected at least one "
            "other node."
        )

    drawing = _Drawing(
        picture, show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    )
    suffix = path.suffix.lower()
    if suffix in {".svg", ".pdf"}:  # no dots, and older Graphviz would cut an SVG off at its size
        dot = drawing.dot(f"rankdir={rankdir}")
    else:
        dot = drawing.dot(f"rankdir={rankdir} dpi={dpi}")
    _write(path, dot if suffix == ".dot" else _rendered(dot, suffix))
    return path


def _checked(to_file: Any, rankdir: Any, dpi: Any) -> Path:
    if not isinstance(to_file, (str, os.PathLike)):
        raise ArgumentTypeError(
            f"plot_graph: to_file: expected a path, got {type(to_file).__qualname__}."
        )
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
        colour: Behind the text.
        content: Graphviz's HTML.
    """

    colour: str
    content: str


@dataclass(frozen=True)
class _Drawing:
    """Writes a picture as DOT; attributes as `plot_graph`'s arguments."""

    picture: Picture
    show_shapes: bool
    show_dtype: bool
    show_layer_names: bool
    show_layer_activations: bool
    show_trainable: bool

    def dot(self, attributes: str) -> bytes:
        """The whole text. Boxes are named by their layers, so that it is stable."""
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
        """What is in the innermost of `clusters`: boxes, then further clusters of boxes."""
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
        """A dark row with name and class, then rows of facts."""
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
    """One tensor as it is, several as a list, none as nothing."""
    found = [describe(tensor) for tensor in tensors]
    if found:
        yield _fact(name, found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _escaped(text: str) -> str:
    return html.escape(_CONTROLS.sub(" ", text))


def _quoted(text: str) -> str:
    # Names of a page have neither quotes nor backslashes: `page.page_name`.
    return f'"{text}"'


def _rendered(dot: bytes, suffix: str) -> bytes:
    try:
        import graphviz  # noqa: PLC0415 - the extra `plot`
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"plot_graph: {suffix} needs the package graphviz, which is not installed. "
            f"Run: pip install 'eventwriter[plot]'. {_INSTALL_GRAPHVIZ}"
        ) from error
    try:
        rendered: bytes = graphviz.pipe("dot", suffix[1:], dot, quiet=True)
    except graphviz.ExecutableNotFound as error:
        raise MissingDependencyError(
            f"plot_graph: {suffix} needs Graphviz, whose program dot was not found. "
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
