"""The demo as a whole: load, train, log.

Importing this needs the extra `demo`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from eventwriter.demo.data import load_corpus
from eventwriter.demo.log import TensorBoardLog
from eventwriter.demo.model import TextClassifier
from eventwriter.demo.progress import ProgressBar
from eventwriter.demo.training import train

if TYPE_CHECKING:
    import os


def run(logdir: str | os.PathLike[str] | None = None, *, epochs: int = 15, seed: int = 0) -> Path:
    """Trains the demo's model, with a progress bar on stderr, and logs the training.

    Args:
        logdir: A directory that is new or holds no training run; by default `runs/demo-` with the
            time.
        epochs: At least 1. Fifteen take about five seconds on one core.
        seed: Of the split, the initial weights, the batches and the dropout; the same seed gives
            the same training on the same machine.

    Returns:
        `logdir`, which now holds the runs `train` and `validation`.

    Raises:
        MissingDependencyError: This Python came without its documentation.
        ArgumentValueError: `logdir` holds a training run already.
        WriteError: `logdir` cannot be written.
    """
    directory = Path(logdir or time.strftime("runs/demo-%Y%m%d-%H%M%S"))
    corpus = load_corpus(seed)
    rng = np.random.default_rng(seed)
    model = TextClassifier(len(corpus.vocabulary), len(corpus.topics), rng)
    print(
        f"{len(corpus.train):,} passages to train on, {len(corpus.validation):,} to validate with, "
        f"{len(corpus.topics)} topics; logs in {directory}"
    )
    with (
        # The matrices are small. A second thread gains nothing, and where another program wants the
        # core, the two wait for each other: many times slower.
        threadpool_limits(1),
        ProgressBar(len(corpus.train), epochs) as progress,
        TensorBoardLog(directory, model, corpus) as log,
    ):
        # The log first: what the bar shows is logged.
        validation = train(model, corpus, epochs, rng, [log, progress])
        log.train_end(epochs - 1)
    majority = np.bincount(corpus.validation.topics).max() / len(corpus.validation)
    print(
        f"The right topic for {validation.accuracy:.0%} of the validation passages; "
        f"always guessing the commonest would give {majority:.0%}."
    )
    return directory
