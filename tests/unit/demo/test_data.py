"""The demo's text: what the passages are, and that validation is honest."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from eventwriter.demo import data
from tests.helpers.patience import LONG_SECS


@pytest.fixture(scope="module")
def corpus() -> data.Corpus:
    return data.load_corpus(seed=0)


def numbers_of_topic(topics: int = 3, words: int = 1000) -> dict[str, str]:
    """Topics of words that occur once each, so that a passage tells where it comes from."""

    def word(number: int) -> str:
        return "".join(chr(ord("a") + int(digit)) for digit in f"{number:06}")

    return {f"topic{t}": " ".join(word(t * words + i) for i in range(words)) for t in range(topics)}


def test_passages_of_real_text(corpus: data.Corpus) -> None:
    """Both parts hold 25-word passages of most topics, in a 2,000-word vocabulary with counts."""
    assert len(corpus.topics) > 60
    for part in (corpus.train, corpus.validation):
        assert part.words.shape == (len(part), 25)
        assert part.words.dtype == part.topics.dtype == np.int32
        assert 0 <= part.words.min() <= part.words.max() < len(corpus.vocabulary) == 2000
        assert 0 <= part.topics.min() <= part.topics.max() < len(corpus.topics)
    fifth = (len(corpus.train) + len(corpus.validation)) // 5
    assert fifth - 3 <= len(corpus.validation) <= fifth


def test_counts_are_those_of_the_training_passages(corpus: data.Corpus) -> None:
    """Each word's count is how often its index occurs in training, the unknown word's included."""
    expected = np.bincount(corpus.train.words.ravel(), minlength=len(corpus.vocabulary)).tolist()

    assert expected == corpus.counts
    assert corpus.vocabulary[0] == data.UNKNOWN
    assert len(set(corpus.vocabulary)) == len(corpus.vocabulary)


def test_no_text_is_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every word occurs once, validation and training have no word in common."""
    monkeypatch.setattr(data, "VOCABULARY_WORDS", 10_000)
    corpus = data.split(numbers_of_topic(), np.random.default_rng(0))

    assert [len(corpus.train), len(corpus.validation)] == [96, 24]
    # Every word of training is in the vocabulary, so a known word of validation would be shared.
    assert len(corpus.vocabulary) == 96 * 25 + 1
    assert not corpus.validation.words.any()


def test_real_validation_passages_were_not_trained_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No validation passage occurs, in whole, in the training text, wherever passages begin."""
    monkeypatch.setattr(data, "VOCABULARY_WORDS", 100_000)
    corpus = data.load_corpus(seed=0)

    def text(words: np.ndarray) -> str:
        return " " + " ".join(corpus.vocabulary[index] for index in words.ravel()) + " "

    trained = text(corpus.train.words)
    shared = [text(words) for words in corpus.validation.words if text(words) in trained]
    assert shared == []


def test_a_paragraph_of_two_topics_belongs_to_the_shorter() -> None:
    """Text that one topic includes from another is taken once, where it is most specific."""
    own, included = (" ".join(f"{letter}{letter}" for _ in range(25)) for letter in "ab")
    corpus = data.split(
        {"whole": f"{own}\n\n{included}", "part": included}, np.random.default_rng(0)
    )

    assert corpus.topics == ["part", "whole"]
    assert len(corpus.train) + len(corpus.validation) == 2


def test_same_seed_same_corpus() -> None:
    """The split is determined by its seed, and another seed gives another."""
    first, same, other = (data.load_corpus(seed) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first.validation.words, same.validation.words)
    assert first.vocabulary == same.vocabulary
    assert not np.array_equal(first.validation.words, other.validation.words)


def test_python_without_its_documentation_says_so() -> None:
    """Where pydoc_data is left out, the error names the module, the interpreter and what to do."""
    script = (
        "import sys; sys.modules['pydoc_data.topics'] = None\n"
        "from eventwriter.demo.data import load_corpus\n"
        "try: load_corpus(0)\n"
        "except ImportError as error: print(type(error).__name__, error)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG_SECS,
    ).stdout

    assert printed.startswith(f"MissingDependencyError {sys.executable}: expected ")
    assert "module pydoc_data.topics" in printed
    assert "Use a complete Python" in printed
