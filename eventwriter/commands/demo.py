"""`eventwriter demo`: a small training, and TensorBoard on what it logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventwriter._imports import importing
from eventwriter.commands._arguments import add_address, natural, positive
from eventwriter.commands._requirements import require
from eventwriter.commands.view import show

if TYPE_CHECKING:
    import argparse

SUMMARY = "train a small model and see its logs in TensorBoard"
EXAMPLE = "eventwriter demo"
HELP = """\
Trains a small text model in numpy and shows its logs in TensorBoard: seconds of training, then the
address of a TensorBoard on this machine.

The model (a word embedding, a convolution, a classifier) learns to tell which topic of Python's own
documentation a passage of 25 words comes from. What you will see in TensorBoard:

  Time Series   loss and accuracy, of training and validation; the distribution of every layer's
                weights, gradients and activations after each epoch
  Graphs        the model, with the shapes of what flows between its layers
  Projector     the embedding: 2,000 points that are words, with their counts
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add where to log, how to train, and TensorBoard's address."""
    parser.add_argument("--logdir", help="a new directory for the logs (default: runs/demo-TIME)")
    parser.add_argument("--epochs", type=positive, default=15, help="default: %(default)s")
    parser.add_argument("--seed", type=natural, default=0, help="default: %(default)s")
    parser.add_argument("--no-view", action="store_true", help="end after training")
    add_address(parser)


def run(options: argparse.Namespace) -> None:
    """Train, and show the logs unless `--no-view` was given.

    Raises:
        EventWriterError: As in `eventwriter.demo.run.run` and `view.run`.
    """
    # These checks come before the training. Otherwise the user would wait for an error.
    require("tqdm", "demo")
    require("threadpoolctl", "demo")
    if not options.no_view:
        require("tensorboard", "view")
    with importing():
        from eventwriter.demo.run import run as train  # noqa: PLC0415 - see the folder's docstring

    logdir = train(options.logdir, epochs=options.epochs, seed=options.seed)
    if options.no_view:
        print(f"See it with: eventwriter view {logdir}")
    else:
        show(logdir, host=options.host, port=options.port)
