"""Stock TensorBoard as a child process.

The child runs in this Python. It ends when its `with` block ends, and when this process is killed.
TensorBoard starts a data server, which is a process of its own and ends by itself when TensorBoard
does.
"""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING, NoReturn

from eventwriter.commands._requirements import require
from eventwriter.errors import ArgumentValueError, ViewerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventwriter.typing import PathLike

# Importing TensorBoard takes 2 s on an idle machine, several times that on a cold or busy one.
START_SECS = 60
STOP_SECS = 5
POLL_SECS = 0.1
_PROGRAM = "eventwriter.commands._tensorboard"
_ADDRESS = re.compile(r"TensorBoard \S+ at (http://\S+)")


class Server:
    """A TensorBoard that `serve` started."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        self._process = process
        self._stderr = stderr

    def wait_until_ready(self) -> str:
        """Wait until TensorBoard answers, and return its address.

        Raises:
            ViewerError: TensorBoard ended, or did not answer within a minute. The message holds
                what TensorBoard wrote.
        """
        deadline = monotonic() + START_SECS
        while monotonic() < deadline:
            if printed := _ADDRESS.search(self._printed()):
                # TensorBoard prints its address after it began to listen there.
                return printed[1]
            if self._process.poll() is not None:
                raise self._ended()
            sleep(POLL_SECS)
        message = f"TensorBoard did not start within {START_SECS} s. It wrote:\n{self._printed()}"
        raise ViewerError(message)

    def wait_until_ended(self) -> NoReturn:
        """Block for as long as TensorBoard runs.

        Raises:
            ViewerError: TensorBoard ended by itself. The message holds what TensorBoard wrote.
        """
        self._process.wait()
        raise self._ended()

    def _ended(self) -> ViewerError:
        message = f"TensorBoard ended with status {self._process.returncode}. It wrote:\n"
        return ViewerError(message + self._printed())

    def _printed(self) -> str:
        return self._stderr.read_text(errors="replace").rstrip()


@contextmanager
def serve(
    logdir: PathLike, *, host: str = "127.0.0.1", port: int | None = None
) -> Iterator[Server]:
    """Start TensorBoard on a directory; end it when the `with` block ends.

    Args:
        logdir: A directory that holds event files, at any depth.
        host: The address to listen on. Only this machine can reach the default.
        port: A port to listen on; 0 for any free port. None for 6006, or for the next free one of
            ten ports if 6006 is taken.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
        ArgumentValueError: `logdir` is not a directory.
    """
    if not Path(logdir).is_dir():
        raise ArgumentValueError(
            f"{logdir}: expected a directory, got no such directory. Pass the one that you log to."
        )
    require("tensorboard", "view")
    # With "=", because a directory may begin with "-".
    command = [sys.executable, "-m", _PROGRAM, f"--logdir={logdir}", f"--host={host}"]
    if port is not None:
        # Without --port, TensorBoard itself looks for a free one.
        command.append(f"--port={port}")
    with TemporaryDirectory(prefix="eventwriter-") as directory:
        # A file and not a pipe: TensorBoard would block once an unread pipe is full.
        stderr = Path(directory, "stderr")
        with (
            stderr.open("wb") as log,
            subprocess.Popen(  # noqa: S603 - no shell takes part
                command, stdin=subprocess.PIPE, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield Server(process, stderr)
            finally:
                process.terminate()
                try:
                    process.wait(STOP_SECS)
                except subprocess.TimeoutExpired:
                    process.kill()
