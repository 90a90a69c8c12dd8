"""A headless browser, a page in it for each test, and a record of each page that failed."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.dashboards import settle
from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGS = [
    "--headless=new",
    "--no-sandbox",  # which containers do not allow
    # The charts and the projector draw with WebGL: in software, where there is no GPU.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Playwright's own patience is 5 seconds.
expect.set_options(timeout=LONG_SECS * 1000)
CONSOLE = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures", type=Path, metavar="DIR", help="save a picture of each dashboard here"
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.fail(
            f"no browser on the PATH (looked for {', '.join(BROWSERS)}); install one, on Debian "
            "with `apt-get install chromium`, or leave these tests out with --ignore=tests/e2e"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=BROWSER_ARGS, timeout=LONG_SECS * 1000
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page; the test fails when the page's own code raises."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(LONG_SECS * 1000)
    console: list[str] = []
    raised: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        console.append(f"{message.type}: {message.text}")
        if message.type == "error":
            raised.append(message.text)

    page.on("console", on_console)
    page.on("pageerror", lambda error: raised.append(str(error)))
    request.node.stash[CONSOLE] = console
    yield page
    page.close()
    assert raised == []


@pytest.fixture
def take_picture(page: Page, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A function that saves the page as NAME.png where --pictures says, or does nothing."""
    directory: Path | None = request.config.getoption("--pictures", default=None)

    def take(name: str) -> None:
        if directory is None:
            return
        directory.mkdir(parents=True, exist_ok=True)
        shown = settle(page)
        # A palette makes it a third of the size.
        picture = Image.open(io.BytesIO(shown)).convert("RGB").quantize(256)
        picture.save(directory / f"{name}.png", optimize=True)

    return take


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep a screenshot and the console of the page if a test fails, and say where they are."""
    report = yield
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and page is not None:
        directory = item.config.rootpath / "build" / "e2e"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / (re.sub(r"\W+", "_", item.name) + ".png")
        page.screenshot(path=path)
        console = path.with_suffix(".console.txt")
        console.write_text("\n".join(item.stash[CONSOLE]))
        report.sections.append(("browser", f"screenshot: {path}\nconsole: {console}"))
    return report
