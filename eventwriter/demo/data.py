"""Text that every machine has: the topics of Python's own documentation.

The module `pydoc_data.topics` of Python's standard library holds the text that `help("with")`
prints: about 80 topics and 60,000 words. The task is to tell from 25 consecutive words which topic
they come from.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eventwriter._imports import importing
from eventwriter.errors import MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

PASSAGE_WORDS = 25
VOCABULARY_WORDS = 2000
VALIDATION_FRACTION = 0.2
UNKNOWN = "<unknown>"


@dataclass(frozen=True)
class Passages:
    """Passages and the topics they come from.

    Attributes:
        words: `[passages, 25]` int32, indices into `Corpus.vocabulary`.
        topics: `[passages]` int32, indices into `Corpus.topics`.
    """

    words: npt.NDArray[np.int32]
    topics: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.topics)


@dataclass(frozen=True)
class Corpus:
    """Passages for training and for validation. No text is in both.

    Attributes:
        train: Four fifths of the passages.
        validation: The other fifth, without the few passages that training also holds.
        vocabulary: The most frequent words of the training passages. The first entry stands for
            all other words.
        counts: How often each entry of `vocabulary` occurs in the training passages.
        topics: The topics' names.
    """

    train: Passages
    validation: Passages
    vocabulary: list[str]
    counts: list[int]
    topics: list[str]


def load_corpus(seed: int) -> Corpus:
    """Return Python's documentation as passages, split at random.

    Args:
        seed: Decides which passages are for validation.

    Raises:
        MissingDependencyError: This Python came without its documentation.
    """
    try:
        with importing():
            from pydoc_data.topics import topics as text_of_topic  # noqa: PLC0415 - may be missing
    except ImportError as error:
        raise MissingDependencyError(
            f"{sys.executable}: expected the standard library's module pydoc_data.topics, the text "
            "that the demo trains on, got a Python without it. Use a complete Python, such as that "
            "of python.org."
        ) from error
    return split(text_of_topic, np.random.default_rng(seed))


def split(text_of_topic: Mapping[str, str], rng: np.random.Generator) -> Corpus:
    """Cut each topic into passages, and choose at random which of them are for validation.

    Args:
        text_of_topic: The text of each topic, by the topic's name.
        rng: For the choice.
    """
    passages = [
        (words[start : start + PASSAGE_WORDS], topic)
        for topic, words in sorted(_distinct_words(text_of_topic).items())
        for start in range(0, len(words) - PASSAGE_WORDS + 1, PASSAGE_WORDS)
    ]
    topics = sorted({topic for _, topic in passages})
    order = rng.permutation(len(passages)).tolist()
    validation_count = int(VALIDATION_FRACTION * len(passages))
    train = [passages[i] for i in order[validation_count:]]
    # Paragraphs that differ in a word, on str.partition and str.rpartition, may share a passage.
    trained = _text(word for words, _ in train for word in words)
    validation = [
        passages[i] for i in order[:validation_count] if _text(passages[i][0]) not in trained
    ]

    frequency = Counter(word for words, _ in train for word in words)
    frequent = frequency.most_common(VOCABULARY_WORDS - 1)
    vocabulary = [UNKNOWN, *(word for word, _ in frequent)]
    counts = [count for _, count in frequent]
    index_of_word = {word: index for index, word in enumerate(vocabulary)}
    index_of_topic = {topic: index for index, topic in enumerate(topics)}

    def encode(part: list[tuple[list[str], str]]) -> Passages:
        words = [[index_of_word.get(word, 0) for word in words] for words, _ in part]
        labels = [index_of_topic[topic] for _, topic in part]
        return Passages(np.array(words, np.int32), np.array(labels, np.int32))

    return Corpus(
        encode(train),
        encode(validation),
        vocabulary,
        [frequency.total() - sum(counts), *counts],
        topics,
    )


def _text(words: Iterable[str]) -> str:
    """Return words as text in which a whole word has a space on each side."""
    return f" {' '.join(words)} "


def _distinct_words(text_of_topic: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the words of each topic, without the paragraphs that a shorter topic also holds.

    In the documentation some topics contain others: "if" is a part of "compound". A paragraph that
    belongs to two topics cannot be predicted. The split could also put one copy of it into training
    and the other into validation.
    """
    seen: set[tuple[str, ...]] = set()
    words_of_topic: dict[str, list[str]] = {}
    for topic in sorted(text_of_topic, key=lambda topic: (len(text_of_topic[topic]), topic)):
        words_of_topic[topic] = []
        for paragraph in re.split(r"\n\s*\n", text_of_topic[topic]):
            words = tuple(re.findall(r"[a-z_]+", paragraph.lower()))
            if words not in seen:
                seen.add(words)
                words_of_topic[topic] += words
    return words_of_topic
