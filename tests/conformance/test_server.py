"""The harness of these tests is able to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventwriter import SummaryWriter
from tests.helpers.tensorboard_server import RequestError, serve

if TYPE_CHECKING:
    from pathlib import Path


def test_a_broken_file_is_complained_of(tmp_path: Path) -> None:
    """`complaints` finds what the data server prints of a file with a wrong byte in it."""
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("loss", 1.0, 0)
    (path,) = (tmp_path / "run").glob("*tfevents*")
    data = bytearray(path.read_bytes())
    data[8] ^= 1  # in the checksum of the first record's length
    path.write_bytes(data)
    with serve(tmp_path, load_fast=True) as server:
        complaints = server.wait_for(server.complaints, "a complaint")
        assert any(path.name in line for line in complaints)


def test_what_never_comes_is_an_error(tmp_path: Path) -> None:
    """`wait_for` says what it waited for, what came last, and what TensorBoard printed."""
    with serve(tmp_path, load_fast=False) as server:
        with pytest.raises(
            AssertionError, match=r"a scalar: not seen .*404.*TensorBoard wrote"
        ) as it:
            server.wait_for(
                lambda: server.get("/data/plugin/scalars/scalars", run="a", tag="b"),
                "a scalar",
                timeout_secs=0.5,
            )
        assert isinstance(it.value, AssertionError)
        with pytest.raises(RequestError):
            server.get("/data/plugin/scalars/scalars", run="a", tag="b")
