"""Pictures as Graphviz draws them: each format is what its ending says."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from eventwriter.graphs import Layer
from eventwriter.graphs.plot import plot_graph
from tests.helpers import documentation
from tests.unit.graphs.test_plot import model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".png", b"\x89PNG\r\n"), (".PNG", b"\x89PNG\r\n"), (".svg", b"<?xml"), (".pdf", b"%PDF-")],
)
def test_formats(tmp_path: Path, suffix: str, start: bytes) -> None:
    """Graphviz draws every format that the ending names, of names that HTML would trip over."""
    graph = model()
    with graph.scope("<b>&amp;", layer=Layer('"Odd"\x00\n<&>', "<relu>")):
        graph.node("größe", "Op<T>", "split")
    path = plot_graph(
        graph, str(tmp_path / f"m{suffix}"), True, True, True, True, True, expand_nested=True
    )

    assert path.read_bytes().startswith(start)
    assert [path] == list(tmp_path.iterdir())


def test_svg_shows_all_text(tmp_path: Path) -> None:
    """Every text of the boxes is in the drawing."""
    svg = plot_graph(model(), tmp_path / "m.svg", show_shapes=True).read_text("utf-8")
    shown = [html.unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", svg)]

    for text in ("encoder", "(None, 5, 8)", "[(None, 2), ?]"):
        assert text in shown


def test_dpi_and_direction(tmp_path: Path) -> None:
    """Twice the dots make twice the pixels; left to right is wider than top to bottom."""

    def size(**options: Any) -> tuple[int, int]:
        with Image.open(plot_graph(model(), tmp_path / "m.png", **options)) as image:
            return image.size

    small, large, wide = size(dpi=50), size(dpi=100), size(dpi=50, rankdir="LR")

    assert all(abs(b - 2 * a) <= 2 for a, b in zip(small, large, strict=True))
    assert wide[0] > small[0]
    assert wide[1] < small[1]


@pytest.mark.parametrize(
    "example", documentation.examples("e2e"), ids=lambda example: example.place
)
def test_example(
    example: documentation.Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An example in a document draws its picture."""
    monkeypatch.chdir(tmp_path)
    example.run({"model": model(), "inputs": None})

    assert [".png"] == [path.suffix for path in tmp_path.iterdir()]
