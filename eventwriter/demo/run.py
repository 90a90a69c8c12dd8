"""The demo as a whole: load, train, log. Importing this module needs the extra `demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from eventwriter.callbacks import LambdaCallback, ProgressBar, TensorBoard
from eventwriter.demo.data import load_corpus
from eventwriter.demo.model import TextClassifier
from eventwriter.demo.training import train
from eventwriter.errors import ArgumentValueError

if TYPE_CHECKING:
    from eventwriter.demo.data import Corpus
    from eventwriter.typing import PathLike


def run(logdir: PathLike | None = None, *, epochs: int = 15, seed: int = 0) -> Path:
    """Train the demo's model with a progress bar on stderr, and log the training.

    Args:
        logdir: A directory that is new or holds no training run. By default `runs/demo-` with the
            time.
        epochs: At least 1. Fifteen take about ten seconds on one core.
        seed: Decides the split, the initial weights, the batches and the dropout. The same seed
            gives the same training on the same machine.

    Returns:
        `logdir`, which now holds the runs `train` and `validation`.

    Raises:
        MissingDependencyError: This Python came without its documentation.
        ArgumentValueError: `logdir` already holds a training run.
        WriteError: `logdir` cannot be written.
    """
    directory = Path(logdir or time.strftime("runs/demo-%Y%m%d-%H%M%S"))
    _check_new(directory)
    corpus = load_corpus(seed)
    rng = np.random.default_rng(seed)
    model = TextClassifier(len(corpus.vocabulary), len(corpus.topics), rng)
    print(
        f"{len(corpus.train):,} passages to train on, {len(corpus.validation):,} to validate with, "
        f"{len(corpus.topics)} topics; logs in {directory}"
    )
    log = TensorBoard(directory, histogram_freq=1, update_freq="batch")
    # The embedding after the last epoch, with a word and a count for every row.
    embedding = LambdaCallback(on_train_end=lambda _: add_embedding(log, model, corpus))
    # A second thread gains nothing with matrices as small as these. Where another program uses the
    # second core, the two threads wait for each other, and training is many times slower.
    with threadpool_limits(1):
        loop = train(model, corpus, epochs, rng, [log, embedding, ProgressBar()])
    accuracy = loop.history["val_accuracy"][-1]
    majority = np.bincount(corpus.validation.topics).max() / len(corpus.validation)
    print(
        f"The right topic for {accuracy:.0%} of the validation passages; "
        f"always guessing the commonest would give {majority:.0%}."
    )
    return directory


def add_embedding(log: TensorBoard, model: TextClassifier, corpus: Corpus) -> None:
    """Log the embedding to the run of training, each row with its word and its count."""
    log.writer("train").add_embedding(
        model.embed.weights["embeddings"],
        metadata=[list(pair) for pair in zip(corpus.vocabulary, corpus.counts, strict=True)],
        metadata_header=["word", "count"],
        global_step=log.training.epoch,
        tag=model.embed.name,
    )


def _check_new(directory: Path) -> None:
    """Raise if there is a training run: the callback would continue its curves."""
    for run_name in ("train", "validation"):
        if next(Path(directory, run_name).glob("*tfevents*"), None):
            raise ArgumentValueError(
                f"{directory / run_name}: expected no training run, got one. "
                "Choose another --logdir."
            )
