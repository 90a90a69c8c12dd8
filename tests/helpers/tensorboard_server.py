"""Stock TensorBoard as a child process: started on a directory, asked over HTTP, always ended.

    with serve(logdir, load_fast=True) as server:
        server.wait_for(lambda: server.get("/data/runs") == ["a"], "run 'a'")
        assert server.complaints() == []

`load_fast=True` is TensorBoard's default reader, a data server in a process of its own;
`load_fast=False` is the reader in Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, TYPE_CHECKING, Any, TypeVar

from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

STOP_SECS = 5.0
POLL_SECS = 0.1

# Everything is kept, nothing sampled. 0, which is documented as "all", keeps nothing.
SAMPLES_PER_PLUGIN = "scalars=100000,histograms=10000,distributions=10000"

# How either reader complains of what it read, and how the web server does of what it was asked.
COMPLAINT = re.compile(
    r"read error|\bwarn|\b[WEF]\d{4} |error|traceback|exception|panicked", re.IGNORECASE
)
# What the reader in Python notes, as warnings, of requests: a run that is no longer
# there, as the projector's, which moves; and a restart with purge_step.
NOTE = re.compile(r"Deleting accumulator|Detected out of order event\.step")


class RequestError(AssertionError):
    """TensorBoard answered with an error, or not at all."""


class Server:
    """A running TensorBoard.

    Attributes:
        url: Its address, without a slash at the end.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self.url = self._await_url()

    def _await_url(self) -> str:
        deadline = time.monotonic() + LONG_SECS
        while time.monotonic() < deadline:
            if printed := re.search(r"at (http://127\.0\.0\.1:\d+)/", self.stderr()):
                return printed[1]
            if self._process.poll() is not None:
                break
            time.sleep(POLL_SECS)
        message = f"TensorBoard did not start in {LONG_SECS:g} s; it wrote:\n{self.stderr()}"
        raise AssertionError(message)

    def get(self, path: str, **params: str | int) -> Any:
        """Return the parsed JSON of `path`, which begins with "/"."""
        return json.loads(self.get_bytes(path, **params))

    def get_bytes(self, path: str, **params: str | int) -> bytes:
        """Return the body of `path`; RequestError unless the status is 200."""
        url = self.url + path + ("?" + urllib.parse.urlencode(params) if params else "")
        try:
            with urllib.request.urlopen(url, timeout=LONG_SECS) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            with error:
                body = error.read().decode(errors="replace")
            message = f"{url}: {error}: {body}\nTensorBoard wrote:\n{self.stderr()}"
            raise RequestError(message) from None
        except OSError as error:
            message = f"{url}: {error!r}\nTensorBoard wrote:\n{self.stderr()}"
            raise RequestError(message) from error

    def stderr(self) -> str:
        """Return all that TensorBoard and its data server have printed so far."""
        descriptor = self._log.fileno()
        # pread, because the child shares the position in the file.
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def complaints(self) -> list[str]:
        """Return the lines of `stderr` that complain of something."""
        lines = self.stderr().splitlines()
        return [line for line in lines if COMPLAINT.search(line) and not NOTE.search(line)]

    def wait_for(
        self, predicate: Callable[[], T], what: str, *, timeout_secs: float = LONG_SECS
    ) -> T:
        """Call `predicate` until it returns something true, and return that.

        A RequestError of the predicate counts as "not yet": what is not loaded is not found.

        Raises:
            AssertionError: `timeout_secs` passed; with what came last and TensorBoard's stderr.
        """
        deadline = time.monotonic() + timeout_secs
        last: object = None
        while True:
            try:
                if seen := predicate():
                    return seen
                last = seen
            except RequestError as error:
                last = error
            if time.monotonic() > deadline or self._process.poll() is not None:
                message = (
                    f"{what}: not seen in {timeout_secs} s (exit status: {self._process.poll()}); "
                    f"last came {last!r}; TensorBoard wrote:\n{self.stderr()}"
                )
                raise AssertionError(message)
            time.sleep(POLL_SECS)


@contextlib.contextmanager
def serve(logdir: Path, load_fast: bool) -> Iterator[Server]:
    """Run TensorBoard on `logdir` at a free port of the loopback, reloading every second."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", logdir.name]
    command += ["--host", "127.0.0.1", "--port", "0", "--reload_interval", "1"]
    command += ["--load_fast", str(load_fast).lower(), "--samples_per_plugin", SAMPLES_PER_PLUGIN]
    with (
        tempfile.TemporaryFile() as log,
        # A session of its own, so that its data server is ended with it.
        subprocess.Popen(
            command,
            cwd=logdir.parent,  # the pages show the directory as it was given
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Server(process, log)
        finally:
            process.terminate()  # so that it removes its temporary files
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
