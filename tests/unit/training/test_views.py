"""Views of models that are of no framework, and how a view is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter._file.whole_file import atomic_file
from eventwriter.callbacks import Loop, NumpyView
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.model_view import part, view_of
from eventwriter.training.sample import sample_of

if TYPE_CHECKING:
    from pathlib import Path


def test_numpy_state() -> None:
    """A state is a copy, and putting it back changes the arrays in place."""
    array = np.arange(3.0)
    view = NumpyView({"a": array})
    state = view.get_state()
    array[:] = 9
    view.set_state(state)

    assert [0, 1, 2] == array.tolist()


def test_numpy_file(tmp_path: Path) -> None:
    """What is saved is read back into the arrays."""
    weights = {"a/b": np.arange(3.0), "c": np.eye(2, dtype=np.float32)}
    view = NumpyView(weights)
    view.save(str(tmp_path / "a.npz"), False)
    weights["c"][:] = 0
    view.load(str(tmp_path / "a.npz"))

    assert np.eye(2).tolist() == weights["c"].tolist()


def test_file_that_cannot_be_written_whole(tmp_path: Path) -> None:
    """The file that was there stays, and nothing else is left."""
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match="own"), atomic_file(str(path)) as file:  # noqa: PT012
        file.write(b"half")
        raise ValueError("own")

    assert b"before" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_numpy_file_of_another_model(tmp_path: Path) -> None:
    """Other names or shapes are told of, and nothing is changed."""
    NumpyView({"a": np.zeros(3)}).save(str(tmp_path / "a.npz"), False)

    with pytest.raises(ArgumentValueError, match=r"expected arrays.*\(2,\).*\(3,\)"):
        NumpyView({"a": np.ones(2)}).load(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("as_dict", [True, False])
def test_numpy_learning_rate(as_dict: bool) -> None:
    """It is an attribute or a key of the optimizer."""

    class Optimizer:
        learning_rate = 0.5

    optimizer: Any = {"learning_rate": 0.5} if as_dict else Optimizer()
    view = NumpyView({}, optimizer)
    view.set_learning_rate(0.25)

    assert 0.25 == view.get_learning_rate()
    assert 0.25 == (optimizer["learning_rate"] if as_dict else optimizer.learning_rate)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: NumpyView({"a": [1]}), "numpy arrays"),
        (lambda: NumpyView({1: np.zeros(1)}), "numpy arrays"),
        (lambda: NumpyView({}, {"lr": 1}), "learning_rate"),
        (lambda: NumpyView({}, embeddings=("a",)), "'a'"),
        (lambda: view_of(object()), r"no view knows a builtins\.object.*get_state"),
        (lambda: Loop("model"), "no view knows"),
    ],
)
def test_what_no_view_knows(make: Any, match: str) -> None:
    """It is refused at once, with what to pass instead."""
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=match):
        make()


def test_nested_gradients() -> None:
    """Gradients in nests are named by their paths, as weights are."""
    assert {"a/b": 1, "a/c/0": 2, "d": 3} == NumpyView({}).names({"a": {"b": 1, "c": [2]}, "d": 3})


def test_own_view() -> None:
    """An object with any part of a view is one; a view that is given wins."""

    class Own:
        def get_state(self) -> int:
            return 1

    own = Own()
    assert own is view_of(own)
    assert own is Loop({"a": np.zeros(1)}, view=own).view


def test_missing_part() -> None:
    """The error names who needs what, and what there is."""
    with pytest.raises(ArgumentTypeError, match=r"A needs `graph`.*NumpyView.*weights, .*view="):
        part(NumpyView({}), "graph", "A")


X, Y, W = np.arange(10.0).reshape(5, 2), np.arange(5.0), np.ones(5)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((X, Y), (X[:2], Y[:2], None)),
        ((X, Y, W), (X[:2], Y[:2], W[:2])),
        (({"a": X, "b": Y}, Y), ({"a": X[:2], "b": Y[:2]}, Y[:2], None)),
        (((X, X), Y), ((X[:2], X[:2]), Y[:2], None)),
        (([X, X], [Y, Y]), ([X[:2], X[:2]], [Y[:2], Y[:2]], None)),
        ([(X, Y), (X, Y)], (X[:2], Y[:2], None)),
        (((X[:1], Y[:1]), (X, Y)), (X[:1], Y[:1], None)),
        ((X,), (X[:2], None, None)),
    ],
)
def test_samples(data: Any, expected: Any) -> None:
    """Arrays, nests of them, and batches of either are cut to the rows that are asked for."""
    sample = sample_of(data, 2)

    assert repr(expected) == repr(tuple(sample))  # type: ignore[arg-type]


def test_no_sample() -> None:
    """Without data there is none."""
    assert sample_of(None, 2) is None


@pytest.mark.parametrize("data", [iter([(X, Y)]), "text", 3, X[0, 0], (X, Y[:3]), {"x": X}, []])
def test_wrong_validation_data(data: Any) -> None:
    """Data of another form, or that could be read only once, are told of by what was found."""
    with pytest.raises(ArgumentTypeError, match=r"validation_data: expected \(inputs, targets\)"):
        sample_of(data, 2)
