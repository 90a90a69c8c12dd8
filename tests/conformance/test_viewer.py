"""TensorBoard as the viewer's child: started, found, and ended in every case."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from eventwriter import SummaryWriter
from eventwriter.commands._viewer import serve
from eventwriter.errors import ArgumentValueError, ViewerError
from tests.helpers.patience import LONG_SECS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    with SummaryWriter(tmp_path / "logs" / "a") as writer:
        writer.add_scalar("loss", 1.0, 0)
    return tmp_path / "logs"


def is_page_there(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=LONG_SECS) as response:
            return b"<title>TensorBoard</title>" in response.read()
    except OSError:  # nobody listens, or the server ends while it answers
        return False


def iter_until(lines: Iterable[str], start: str) -> Iterator[str]:
    """The lines up to and with the first that starts so."""
    for line in lines:
        yield line
        if line.startswith(start):
            return


def test_it_answers_within_its_context_and_not_after(logdir: Path) -> None:
    """The address is TensorBoard's, on the loopback; when the context ends, so does TensorBoard."""
    with serve(logdir, port=0) as server:
        url = server.wait_until_ready()
        assert url.startswith("http://127.0.0.1:")
        assert is_page_there(url)
    assert not is_page_there(url)


def test_without_a_port_it_finds_a_free_one(logdir: Path) -> None:
    """A second TensorBoard gets another address than the first, and both answer.

    The first has its port before the second starts: TensorBoard itself fails if it finds a port
    free that another program takes before it can.
    """
    with serve(logdir) as first:
        one = first.wait_until_ready()
        with serve(logdir) as second:
            other = second.wait_until_ready()
            assert one != other
            assert is_page_there(one)
            assert is_page_there(other)


def test_an_exception_ends_it(logdir: Path) -> None:
    """Whatever ends the context ends TensorBoard, and is passed on."""
    url = ""

    def use() -> None:
        nonlocal url
        with serve(logdir, port=0) as server:
            url = server.wait_until_ready()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert url
    assert not is_page_there(url)


def test_a_port_in_use_is_reported_in_tensorboards_words(logdir: Path) -> None:
    """A TensorBoard that dies at once is an error at once, with what it wrote."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            serve(logdir, port=port) as server,
            pytest.raises(ViewerError, match=f"(?s)ended with status.*port {port}"),
        ):
            server.wait_until_ready()


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A mistyped directory is an error, where TensorBoard would show an empty page."""
    with (
        pytest.raises(ArgumentValueError, match="nowhere: expected a directory, got no such"),
        serve(tmp_path / "nowhere"),
    ):
        pytest.fail("it started on nothing")


@pytest.mark.parametrize(
    ("command", "signal_number", "status"),
    [
        (["view"], signal.SIGINT, 130),
        (["view"], signal.SIGTERM, 143),
        (["view"], signal.SIGKILL, -9),
        (["demo", "--epochs", "1", "--logdir"], signal.SIGINT, 130),
    ],
    ids=["view, Ctrl-C", "view, SIGTERM", "view, SIGKILL", "demo, Ctrl-C"],
)
def test_a_command_ends_tensorboard_with_itself(
    logdir: Path, command: list[str], signal_number: signal.Signals, status: int
) -> None:
    """It prints the address; a signal, sent to the command alone, ends TensorBoard too."""
    with subprocess.Popen(
        [sys.executable, "-m", "eventwriter.cli", *command, str(logdir), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            *_, progress, address = iter_until(process.stdout, "TensorBoard is at ")
            assert f"Starting TensorBoard on {logdir} ...\n" == progress
            url = address.split()[3]
            assert url.startswith("http://127.0.0.1:")
            assert is_page_there(url)
            process.send_signal(signal_number)
            assert status == process.wait(LONG_SECS)
            if signal_number == signal.SIGKILL:  # such a process cannot wait for TensorBoard's end
                wait_until(lambda: not is_page_there(url), "the end of TensorBoard")
            assert not is_page_there(url)
        finally:
            process.kill()


def test_a_directory_that_begins_with_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory whose name looks like an option is a directory."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter("-runs") as writer:
        writer.add_scalar("a", 1.0, 0)
    with serve("-runs", port=0) as server:
        assert is_page_there(server.wait_until_ready())
