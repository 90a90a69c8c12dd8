"""The command line: `eventwriter demo | view | inspect`.

Each command imports what it needs when it runs, so that `--help` and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from eventwriter import __version__
from eventwriter.errors import EventWriterError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION = """\
TensorBoard event logs from any training loop.

  eventwriter demo            train a small model and see its logs in TensorBoard
  eventwriter view runs       see the logs below the directory runs
  eventwriter inspect runs    print what the logs below the directory runs hold
"""

_DEMO = """\
Trains a small text model in numpy and shows its logs in TensorBoard: seconds of training, then the
address of a TensorBoard on this machine.

The model (a word embedding, a convolution, a classifier) learns to tell which topic of Python's own
documentation a passage of 25 words comes from. What you will see in TensorBoard:

  Time Series   loss and accuracy, of training and validation; the distribution of every layer's
                weights, gradients and activations after each epoch
  Graphs        the model, with the shapes of what flows between its layers
  Projector     the embedding: 2,000 points that are words, with their counts
"""

_VIEW = """\
Starts TensorBoard on a directory of logs and prints its address. Ctrl-C ends it.

  eventwriter view runs
"""

_INSPECT = """\
Prints what an event file, or every event file below a directory, holds: for each run its files,
with the place where one is damaged, and for each tag its kind, the number of points, the first and
the last step, and the last value (of a scalar) or shape (of anything else).

  eventwriter inspect runs
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Without the program's name; `sys.argv` by default.

    Returns:
        The exit status: 0; 1 for an error, which is on stderr; 130 after Ctrl-C. A mistake in the
        arguments themselves raises SystemExit with status 2.
    """
    # A name may hold what the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output, `head` say, has seen enough. What is left of it must not raise
        # again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (EventWriterError, OSError) as error:
        print(f"eventwriter {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # The terminal has printed ^C: the prompt goes below it.
        print(file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="eventwriter",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, description: str, summary: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    demo = command("demo", _DEMO, "train a small model and see its logs in TensorBoard")
    demo.add_argument("--logdir", help="a new directory for the logs (default: runs/demo-TIME)")
    demo.add_argument("--epochs", type=_positive, default=15, help="default: %(default)s")
    demo.add_argument("--seed", type=_natural, default=0, help="default: %(default)s")
    demo.add_argument("--no-view", action="store_true", help="end after training")
    _add_address(demo)
    demo.set_defaults(run=_demo)

    view = command("view", _VIEW, "see logs in TensorBoard")
    view.add_argument("logdir", metavar="LOGDIR", help="a directory that holds logs, at any depth")
    _add_address(view)
    view.set_defaults(run=_view)

    inspect = command("inspect", _INSPECT, "print what logs hold")
    inspect.add_argument("path", metavar="PATH", help="an event file, or a directory")
    inspect.set_defaults(run=_inspect)
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address that TensorBoard listens on (default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=_natural,
        help="TensorBoard's port; 0 is any free one (default: 6006, or the next free one of ten)",
    )


def _natural(text: str) -> int:
    """An integer from 0."""
    if not (text.isascii() and text.isdigit()):
        message = f"expected an integer from 0, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _positive(text: str) -> int:
    """An integer from 1."""
    if not (text.isascii() and text.isdigit() and int(text)):
        message = f"expected an integer from 1, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    from eventwriter import viewer  # noqa: PLC0415 - see the module's docstring

    try:
        from eventwriter.demo.run import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"threadpoolctl", "tqdm"}:
            raise
        message = f"{error.name} is not installed for {sys.executable}; "
        raise MissingDependencyError(message + 'run: pip install "eventwriter[demo]"') from error
    if not options.no_view:
        # Now, and not after the training.
        viewer.require_tensorboard()
    logdir = run(options.logdir, epochs=options.epochs, seed=options.seed)
    if options.no_view:
        print(f"See it with: eventwriter view {logdir}")
    else:
        _show(logdir, options)


def _view(options: argparse.Namespace) -> None:
    _show(options.logdir, options)


def _inspect(options: argparse.Namespace) -> None:
    from eventwriter.inspection import inspect  # noqa: PLC0415 - see the module's docstring

    for line in inspect(options.path):
        print(line)


def _show(logdir: str | os.PathLike[str], options: argparse.Namespace) -> None:
    """Runs TensorBoard until Ctrl-C or SIGTERM."""
    from eventwriter.viewer import tensorboard  # noqa: PLC0415 - see the module's docstring

    # Without a handler SIGTERM would end this process and leave TensorBoard behind.
    signal.signal(signal.SIGTERM, _exit)
    with tensorboard(logdir, host=options.host, port=options.port) as server:
        print(f"Starting TensorBoard on {logdir} ...", flush=True)
        print(f"TensorBoard is at {server.wait_until_ready()} (Ctrl-C ends it)", flush=True)
        server.wait_until_ended()


def _exit(signal_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    sys.exit(main())
