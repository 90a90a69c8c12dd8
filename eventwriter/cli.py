"""The program `eventwriter`. Each of its commands is a module in `eventwriter.commands`."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING

from eventwriter import __version__, commands
from eventwriter._imports import importing
from eventwriter.errors import EventWriterError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; `sys.argv` by default.

    Returns:
        The exit status: 0; 1 for an error, which is printed on stderr; 130 after Ctrl-C.

    Raises:
        SystemExit: With status 2, after a mistake in the arguments themselves.
    """
    # A name in a log may hold characters that the terminal's encoding lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output, such as `head`, has closed it. Python flushes stdout again when
        # it ends, which must not raise a second time.
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
    with importing():
        modules = {
            name: importlib.import_module(f"{commands.__name__}.{name}") for name in commands.NAMES
        }
    examples = [f"  {it.EXAMPLE:<23} {it.SUMMARY}" for it in modules.values()]
    parser = argparse.ArgumentParser(
        prog="eventwriter",
        description="\n".join(["TensorBoard event logs from any training loop.", "", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    listed = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in modules.items():
        command = listed.add_parser(
            name,
            help=module.SUMMARY,
            description=module.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
