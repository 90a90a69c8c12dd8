"""One TensorBoard for each of its two readers, on a directory that every test adds its runs to.

So every test writes while TensorBoard runs. A test that asks for `server` or `run` runs once with
each reader, and fails when TensorBoard printed a complaint during it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.tensorboard_server import Server, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", params=[True, False], ids=["data-server", "python-reader"])
def load_fast(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="session")
def logdir(load_fast: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logdir")


@pytest.fixture(scope="session")
def shared_server(logdir: Path, load_fast: bool) -> Iterator[Server]:
    with serve(logdir, load_fast=load_fast) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    before = len(shared_server.complaints())
    yield shared_server
    assert shared_server.complaints()[before:] == []


@pytest.fixture
def run(server: Server, logdir: Path, request: pytest.FixtureRequest) -> Path:
    """A run's directory that no other test uses; its name for TensorBoard is `run.name`."""
    name = request.node.originalname.removeprefix("test_")
    case = getattr(request.node, "callspec", None)
    suffix = "" if case is None else "-" + str(len(list(logdir.glob(f"{name}*"))))
    path: Path = logdir / (name + suffix)
    assert not path.exists()
    return path
