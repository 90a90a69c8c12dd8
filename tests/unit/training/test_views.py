"""Views of models that are of no framework, and how a view is found."""

from __future__ import annotations

from collections import UserDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import Loop, NumpyView
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.find_view import METHODS, view_of
from eventwriter.training.model_view import ModelView, require
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


def test_numpy_file_of_another_model(tmp_path: Path) -> None:
    """Other names or shapes raise an error, and nothing is changed."""
    NumpyView({"a": np.zeros(3)}).save(str(tmp_path / "a.npz"), False)

    with pytest.raises(ArgumentValueError, match=r"expected arrays.*\(2,\).*\(3,\)"):
        NumpyView({"a": np.ones(2)}).load(str(tmp_path / "a.npz"))


def test_nested_numpy(tmp_path: Path) -> None:
    """Arrays in nested dicts and lists have paths as names, and are saved and read back."""
    weights = {"dense": {"kernel": np.arange(3.0)}, "layers": [np.ones(2)]}
    view = view_of(weights)
    view.save(str(tmp_path / "a.npz"), False)
    weights["layers"][0][:] = 0  # type: ignore[index]
    view.load(str(tmp_path / "a.npz"))

    assert {"dense/kernel", "layers/0"} == set(view.weights() or {})
    assert [1, 1] == weights["layers"][0].tolist()  # type: ignore[index]


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
        (lambda: view_of(object()), r"expected a model of .*torch.*get_state.*got object"),
        (lambda: Loop("model"), r"expected a model of .*got str.*Pass view="),
    ],
)
def test_what_no_view_knows(make: Any, match: str) -> None:
    """It is refused at once, with what to pass instead."""
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=match):
        make()


def test_nested_gradients() -> None:
    """Gradients in nests are named by their paths, as weights are."""
    assert {"a/b": 1, "a/c/0": 2, "d": 3} == NumpyView({}).names({"a": {"b": 1, "c": [2]}, "d": 3})


QUESTIONS = {
    "weights": (),
    "gradients": (None,),
    "activations": (np.zeros(1),),
    "embeddings": (),
    "numbers": (),
    "graph": (None,),
    "names": ({},),
    "get_learning_rate": (),
    "get_state": (),
    "version": (),
    "suffix": (False,),
    "backup_suffix": (),
    "get_learning_rates": (),
    "filters_first": (),
}
ACTIONS = {
    "set_learning_rate": (0.1,),
    "set_state": (None,),
    "save": ("a", False),
    "load": ("a",),
}


class Own:
    """Has some methods of a view, and derives from nothing."""

    extra = 3

    def __init__(self) -> None:
        self.closed = False

    def get_state(self) -> int:
        return 1

    def set_state(self, state: int) -> None:
        self.extra = state

    def close(self) -> None:
        self.closed = True


def test_questions_are_all_methods() -> None:
    """The tables above name every method of a view."""
    assert {*QUESTIONS, *ACTIONS, "can_load", "save_backup", "close"} == set(METHODS)


@pytest.mark.parametrize(
    "view", [ModelView(), view_of(None, view=object())], ids=["own", "wrapped"]
)
def test_view_that_can_tell_nothing(view: ModelView) -> None:
    """It answers every question with None, and refuses every action with what to do."""
    for question, arguments in QUESTIONS.items():
        assert getattr(view, question)(*arguments) is None
    assert not view.can_load()
    view.close()
    for action, arguments in ACTIONS.items():
        with pytest.raises(ArgumentTypeError, match=rf"\.{action}: expected.*Override `{action}`"):
            getattr(view, action)(*arguments)
    with pytest.raises(ArgumentTypeError, match=r"\.save: expected.*Override `save`"):
        view.save_backup("a")


def test_own_view() -> None:
    """An object with any method of a view answers what it can; what it cannot, with None."""
    own = Own()
    view = view_of(own)
    view.set_state(4)

    assert own is view.model
    assert 1 == view.get_state()
    assert 4 == own.extra == view.extra  # type: ignore[attr-defined] # its own attributes too
    assert view.weights() is None
    assert view.suffix(False) is None


def test_view_that_is_given() -> None:
    """It wins over what would be found; its `close` is called at the end."""
    own, model = Own(), {"a": np.zeros(1)}
    loop = Loop(model, view=own)
    with loop:
        pass

    assert 1 == loop.view.get_state()
    assert model is loop.model
    assert own.closed
    assert loop.view is view_of(loop.view)


def test_state_that_cannot_be_put_back() -> None:
    """A question whose answer would be of no use has none: a state, or a suffix without `save`."""

    class Half:
        def get_state(self) -> int:
            return 1

        def suffix(self, weights_only: bool) -> str:
            return ".a"

    view = view_of(Half())
    assert view.get_state() is None
    assert view.suffix(False) is None


def test_view_of_a_subclass() -> None:
    """A view of the user's own derives from `ModelView`, and overrides what it can answer."""

    class Mine(ModelView):
        def weights(self) -> dict[str, Any]:
            return {"a": 1}

    model = object()
    loop = Loop(model, view=Mine())
    assert model is loop.model
    assert {"a": 1} == require(loop.view, "weights", "A")


def test_missing_answer() -> None:
    """The error names the callback, the question, the view and what to do."""
    with pytest.raises(ArgumentTypeError, match=r"A needs `graph`.*NumpyView.*view="):
        require(NumpyView({}), "graph", "A", None)
    with pytest.raises(ArgumentTypeError, match=r"A needs `get_state`.*Half.*view="):
        require(view_of(None, view=type("Half", (), {})()), "get_state", "A")
    with pytest.raises(ArgumentTypeError, match=r"A needs `get_learning_rate`.*the optimizer"):
        require(NumpyView({}), "get_learning_rate", "A")


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
        ([{"a": X, "y": Y}], ({"a": X[:2], "y": Y[:2]}, None, None)),
        ([{"a": X, "names": list("abcde"), "n": 5}], ({"a": X[:2]}, None, None)),
        ([UserDict({"a": X})], ({"a": X[:2]}, None, None)),
    ],
)
def test_samples(data: Any, expected: Any) -> None:
    """Arrays, nests of them, and batches of either are cut to the requested rows."""
    sample = sample_of(data, 2)

    assert repr(expected) == repr(tuple(sample))  # type: ignore[arg-type]


def test_no_sample() -> None:
    """Without data there is none."""
    assert sample_of(None, 2) is None


@pytest.mark.parametrize(
    "data",
    [
        *(iter([(X, Y)]), "text", 3, X[0, 0], (X, Y[:3]), {"x": X}, [], [{}]),
        *([{"x": X, "y": Y[:3]}], [{"names": list("ab")}]),
    ],
)
def test_wrong_validation_data(data: Any) -> None:
    """Data of another form, or data that can be read only once, raise an error that names them."""
    with pytest.raises(ArgumentTypeError, match=r"validation_data: expected \(inputs, targets\)"):
        sample_of(data, 2)
