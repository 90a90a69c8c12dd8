"""Stock TensorBoard as a child process, on the loopback.

The child runs in this Python and is ended when its context ends. TensorBoard's data server, a
grandchild, ends by itself when its parent does.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING, NoReturn

from eventwriter.errors import ArgumentValueError, EventWriterError, MissingDependencyError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

# Importing TensorBoard takes 2 s on an idle machine, several times that on a cold or busy one.
START_SECS = 60
STOP_SECS = 5
POLL_SECS = 0.1
_ADDRESS = re.compile(r"TensorBoard \S+ at (http://\S+)")


class ViewerError(EventWriterError):
    """TensorBoard did not start, or ended by itself."""


def require_tensorboard() -> None:
    """Raises MissingDependencyError, saying what to install, unless TensorBoard is there."""
    if importlib.util.find_spec("tensorboard") is None:
        message = (
            f"TensorBoard is not installed for {sys.executable}; "
            'run: pip install "eventwriter[view]"'
        )
        raise MissingDependencyError(message)


class TensorBoard:
    """A TensorBoard that was started by `tensorboard`."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self._process = process
        self._stderr = stderr

    def wait_until_ready(self) -> str:
        """Returns TensorBoard's address as soon as it answers there.

        Raises:
            ViewerError: It ended, or needs more than a minute; with what it wrote.
        """
        deadline = monotonic() + START_SECS
        while monotonic() < deadline:
            if printed := _ADDRESS.search(self._printed()):
                # TensorBoard listens before it prints: a request is answered from now on.
                return printed[1]
            if self._process.poll() is not None:
                raise self._ended()
            sleep(POLL_SECS)
        message = f"TensorBoard did not start within {START_SECS} s. It wrote:\n{self._printed()}"
        raise ViewerError(message)

    def wait_until_ended(self) -> NoReturn:
        """Blocks for as long as TensorBoard runs.

        Raises:
            ViewerError: It ended by itself; with what it wrote.
        """
        self._process.wait()
        raise self._ended()

    def _ended(self) -> ViewerError:
        message = f"TensorBoard ended with status {self._process.returncode}. It wrote:\n"
        return ViewerError(message + self._printed())

    def _printed(self) -> str:
        return self._stderr.read_text(errors="replace").rstrip()


@contextmanager
def tensorboard(
    logdir: str | os.PathLike[str], *, host: str = "127.0.0.1", port: int | None = None
) -> Iterator[TensorBoard]:
    """Starts TensorBoard on `logdir`, and ends it with the context.

    Args:
        logdir: A directory that holds event files, at any depth.
        host: The address to listen on. The default admits this machine alone.
        port: None for 6006 or, where that is taken, the next free one of ten; 0 for any free one.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
        ArgumentValueError: `logdir` is no directory.
    """
    require_tensorboard()
    if not Path(logdir).is_dir():
        message = f"{logdir}: no such directory"
        raise ArgumentValueError(message)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", host]
    if port is not None:
        # Left out, TensorBoard looks for a free one itself.
        command += ["--port", str(port)]
    with TemporaryDirectory(prefix="eventwriter-") as directory:
        # A file, because a pipe that nobody reads would block TensorBoard once it is full.
        stderr = Path(directory, "stderr")
        with (
            stderr.open("wb") as log,
            subprocess.Popen(  # noqa: S603 - no shell takes part
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield TensorBoard(process, stderr)
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECS)
                except subprocess.TimeoutExpired:
                    process.kill()
