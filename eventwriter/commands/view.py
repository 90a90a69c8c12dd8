"""`eventwriter view`: TensorBoard on a directory of logs."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from eventwriter._imports import importing
from eventwriter.commands._arguments import add_address

if TYPE_CHECKING:
    import argparse

    from eventwriter.typing import PathLike

SUMMARY = "see logs in TensorBoard"
EXAMPLE = "eventwriter view runs"
HELP = """\
Starts TensorBoard on a directory of logs and prints its address. Ctrl-C ends it.

  eventwriter view runs
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the directory and TensorBoard's address."""
    parser.add_argument(
        "logdir", metavar="LOGDIR", help="a directory that holds logs, at any depth"
    )
    add_address(parser)


def run(options: argparse.Namespace) -> None:
    """Run TensorBoard until Ctrl-C or SIGTERM.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
        ArgumentValueError: There is no such directory.
        ViewerError: TensorBoard did not start, or ended by itself.
    """
    show(options.logdir, host=options.host, port=options.port)


def show(logdir: PathLike, *, host: str, port: int | None) -> None:
    """Run TensorBoard and print its address; the arguments and errors are those of `serve`."""
    with importing():
        from eventwriter.commands._viewer import serve  # noqa: PLC0415 - see the folder's docstring

    # Without a handler SIGTERM would end this process and leave TensorBoard behind.
    signal.signal(signal.SIGTERM, _exit)
    with serve(logdir, host=host, port=port) as server:
        print(f"Starting TensorBoard on {logdir} ...", flush=True)
        print(f"TensorBoard is at {server.wait_until_ready()} (Ctrl-C ends it)", flush=True)
        server.wait_until_ended()


def _exit(signal_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal_number)
