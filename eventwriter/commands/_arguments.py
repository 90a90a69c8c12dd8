"""Arguments that several commands have, and types of arguments."""

from __future__ import annotations

import argparse


def add_address(parser: argparse.ArgumentParser) -> None:
    """Add `--host` and `--port`, the address of TensorBoard."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address that TensorBoard listens on (default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=natural,
        help="TensorBoard's port; 0 is any free one (default: 6006, or the next free one of ten)",
    )


def natural(text: str) -> int:
    """Return an integer from 0: the `type` of an argument."""
    return _integer(text, 0)


def positive(text: str) -> int:
    """Return an integer from 1: the `type` of an argument."""
    return _integer(text, 1)


def _integer(text: str, least: int) -> int:
    # int() also takes " 1_000 ", and digits of other scripts.
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise argparse.ArgumentTypeError(f"expected an integer from {least}, got {text!r}")
    return int(text)
