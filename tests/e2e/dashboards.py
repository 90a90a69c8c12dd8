"""What is drawn on TensorBoard's pages, read from their elements.

Playwright's selectors look into open shadow roots, which most of these pages are made of.
"""

from __future__ import annotations

import io
import re
import time
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import expect

from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import FrameLocator, Locator, Page

    from eventwriter._proto.graph_pb2 import GraphDef
    from tests.helpers.tensorboard_server import Server

SETTLE_SECS = 4


def open_dashboard(page: Page, server: Server, name: str, ready: str) -> None:
    """Open the dashboard `name` and wait until there is an element that `ready` selects."""
    server.wait_for(
        lambda: server.get("/data/plugins_listing")[name]["enabled"], f"dashboard {name!r}"
    )
    page.goto(f"{server.url}/#{name}")
    page.locator(ready).first.wait_for()


def settle(page: Page) -> bytes:
    """Wait, a few seconds at most, until no animation changes the page; return it as a PNG."""
    shown, before = page.screenshot(), b""
    deadline = time.monotonic() + SETTLE_SECS
    while shown != before and time.monotonic() < deadline:
        page.wait_for_timeout(250)
        shown, before = page.screenshot(), shown
    return shown


def wait_for_colour(canvas: Locator, count: int) -> None:
    """Wait until more than `count` pixels of a canvas are neither white nor a shade of grey.

    A canvas has no element that says when it is drawn: some frames after the page has its data.
    """
    deadline = time.monotonic() + LONG_SECS
    while (coloured := _coloured_pixels(canvas)) <= count:
        assert time.monotonic() < deadline, f"{coloured} coloured pixels of more than {count}"
        canvas.page.wait_for_timeout(100)


def _coloured_pixels(canvas: Locator) -> int:
    image = Image.open(io.BytesIO(canvas.screenshot())).convert("HSV")
    return sum(image.getchannel("S").histogram()[60:])


def open_every_group(page: Page) -> None:
    """Open all groups of tags of a dashboard. At first the page opens only some of them."""
    for group in page.locator("tf-category-paginated-view").all():
        if not group.evaluate("group => group.opened"):
            group.locator("button.heading").click()


def pages_of_cards(page: Page) -> Iterator[None]:
    """Turn over the cards of a dashboard, which shows 12 of a group of tags at a time."""
    yield
    following = page.locator(
        "metrics-card-grid button[aria-label='Next page']:not([disabled]), "
        ".big-page-buttons paper-button:not([disabled]):has-text('next page')"
    )
    while following.count():
        following.first.click()
        yield


def drawn_paths(container: Locator, selector: str, count: int) -> list[str]:
    """Wait for exactly `count` paths below `container`, and return what each draws."""
    paths = container.locator(selector)
    expect(paths).to_have_count(count)
    expect(paths.and_(container.page.locator("[d='']"))).to_have_count(0)  # yet to be drawn
    drawn: list[str] = paths.evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    for d in drawn:
        # At least a line or a curve, and every coordinate a number.
        assert re.fullmatch(r"M[-+\dMLCHVZe.,\s]*[LCHV][-+\dMLCHVZe.,\s]*", d), d
    return drawn


def open_scope(page: Page, name: str) -> None:
    """Open one scope, series or function of the graph."""
    node = page.locator(f"g.node[data-name={name!r}]")
    node.locator("> g.nodeshape").dispatch_event("dblclick")
    expect(node).to_have_class(re.compile("expanded"))


def open_every_scope(page: Page) -> None:
    """Open scopes from the outside in, until only operations are left."""
    closed = page.locator("g.node:is(.meta, .series):not(.expanded)")
    while closed.count():
        open_scope(page, str(closed.first.get_attribute("data-name")))


def drawn_nodes(page: Page) -> set[str]:
    """Return the names of all nodes on the Graphs page, and of the constants drawn beside them."""
    found: list[str] = page.locator("g.node, g.annotation").evaluate_all(
        "nodes => nodes.map(node => node.dataset.name || node.textContent.trim())"
    )
    return set(found)


def drawn_edges(page: Page) -> dict[str, str]:
    """Return the label of each edge on the Graphs page by "source--destination"."""
    edges: list[tuple[str, str]] = page.locator("g.edge").evaluate_all(
        "edges => edges.map(edge => [edge.dataset.edge, edge.textContent.trim()])"
    )
    return dict(edges)


def edge_labels(graph: GraphDef) -> dict[str, str]:
    """Return how the page labels the edges from each operation that has one output, by its name.

    Constants are drawn without edges, and an operation that is also a scope, `a`, as `a/(a)`.
    """
    taken = {source for node in graph.node for source in node.input}
    names = {node.name for node in graph.node}
    labels = {}
    for node in graph.node:
        shapes = node.attr["_output_shapes"].list.shape
        if node.name in taken and node.op != "Const" and len(shapes) == 1:
            is_scope = any(name.startswith(f"{node.name}/") for name in names)
            sizes = ["?" if dim.size < 0 else str(dim.size) for dim in shapes[0].dim]
            shown = f"{node.name}/({node.name})" if is_scope else node.name
            labels[shown] = "×".join(sizes) or "scalar"  # noqa: RUF001 - the page's sign
    return labels


def check_edge_labels(graph: GraphDef, edges: dict[str, str]) -> None:
    """Compare the labels of `drawn_edges`, with all scopes open, to `edge_labels`."""
    expected = edge_labels(graph)
    assert expected
    for source, label in expected.items():
        leaving = {text for edge, text in edges.items() if edge.startswith(f"{source}--")}
        assert {label} == leaving, source


def projector_frame(page: Page) -> FrameLocator:
    """Return the projector's own document: a frame in a plugin's frame."""
    return page.frame_locator("iframe").frame_locator("iframe")
