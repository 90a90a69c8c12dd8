"""Several models that are trained together, and their optimizers."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import EarlyStopping, Loop, ModelCheckpoint, ModelView, ReduceLROnPlateau
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.training.find_view import view_of
from eventwriter.training.numpy_view import NumpyView
from eventwriter.training.several_view import SeveralView

if TYPE_CHECKING:
    from pathlib import Path


def models() -> dict[str, Any]:
    return {"g": {"w": np.ones(2)}, "d": {"w": np.full(3, 2.0)}}


def optimizers() -> dict[str, Any]:
    return {"g": {"learning_rate": 0.1}, "d": {"learning_rate": 0.4}}


def test_weights() -> None:
    """The name of a model comes before those of its parts; gradients are named so too."""
    view = view_of(models(), optimizers())

    assert {"g/w": 2, "d/w": 3} == {name: len(w) for name, w in (view.weights() or {}).items()}
    assert {"d/w": 5} == view.names({"d": {"w": 5}})
    assert view.names({"w": 5}) is None


def test_learning_rates() -> None:
    """Each model has its own; one that is set is the first one's, and the others keep their ratio.

    Catches: the second optimizer of a GAN, which was dropped without a word.
    """
    given = optimizers()
    view = view_of(models(), given)
    assert {"g": 0.1, "d": 0.4} == view.get_learning_rates()
    view.set_learning_rate(0.01)

    assert pytest.approx(0.01) == given["g"]["learning_rate"] == view.get_learning_rate()
    assert pytest.approx(0.04) == given["d"]["learning_rate"]


def test_a_callback_that_sets_the_learning_rate() -> None:
    """ReduceLROnPlateau reduces it in both optimizers."""
    given = optimizers()
    with Loop(models(), [ReduceLROnPlateau("loss", 0.5, 1)], 3, optimizer=given) as loop:
        for _ in loop:
            loop.log(loss=1.0)

    assert pytest.approx(0.025) == given["g"]["learning_rate"]
    assert pytest.approx(0.1) == given["d"]["learning_rate"]


def test_restored_models() -> None:
    """The best of all models is put back."""
    both = models()
    losses = [2.0, 1.0, 3.0]
    best = EarlyStopping("loss", patience=9, restore_best_weights=True)
    with Loop(both, [best], 3, optimizer=optimizers()) as loop:
        for epoch in loop:
            both["g"]["w"][:], both["d"]["w"][:] = epoch, -epoch
            loop.log(loss=losses[epoch])

    assert [1, 1] == both["g"]["w"].tolist()
    assert [-1, -1, -1] == both["d"]["w"].tolist()


def test_file(tmp_path: Path) -> None:
    """A file is a zip of each model's own file, and is read back."""
    with Loop(models(), [ModelCheckpoint(tmp_path / "a")], optimizer=optimizers()) as loop:
        for _ in loop:
            loop.log(loss=1.0)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert ["g.npz", "d.npz"] == archive.namelist()
    other = models()
    other["d"]["w"][:] = 0
    view_of(other, optimizers()).load(str(tmp_path / "a.zip"))

    assert [2, 2, 2] == other["d"]["w"].tolist()


def test_file_of_other_models(tmp_path: Path) -> None:
    """It is refused with the names of both."""
    view_of(models(), optimizers()).save(str(tmp_path / "a.zip"), False)
    other = SeveralView({}, {"g": NumpyView({}), "e": NumpyView({})}, shared=False)

    with pytest.raises(ArgumentValueError, match=r"'g', 'e'.*'d.npz', 'g.npz'"):
        other.load(str(tmp_path / "a.zip"))


class Own(ModelView):
    """A view that can answer little, and keeps what it is asked."""

    def __init__(self) -> None:
        self.closed = False
        self.seen: Any = None

    def activations(self, inputs: Any) -> Any:
        self.seen = inputs
        return {"out": inputs}

    def close(self) -> None:
        self.closed = True


def test_views_as_models() -> None:
    """Views can stand for models. What one of them cannot answer is left out."""
    own = Own()
    view = view_of({"a": own, "b": NumpyView({"w": np.ones(1)})})

    assert ["b/w"] == list(view.weights() or {})
    assert {"a/out": 1} == view.activations({"a": 1})
    assert view.activations(1) is None
    assert view.get_state() is None
    assert view.suffix(False) is None
    assert not view.can_load()
    with pytest.raises(ArgumentTypeError, match=r"SeveralView\.save"):
        view.save("unused", False)
    view.close()
    assert own.closed


def test_one_optimizer_for_all() -> None:
    """It is asked once, and has one learning rate."""
    optimizer = {"learning_rate": 0.1}
    own = NumpyView({"w": np.ones(1)}, optimizer), NumpyView({"v": np.ones(1)}, optimizer)
    view = SeveralView({}, dict(zip("ab", own, strict=True)), shared=True)
    view.set_learning_rate(0.2)

    assert 0.2 == view.get_learning_rate() == optimizer["learning_rate"]
    assert view.get_learning_rates() is None


def test_optimizer_of_no_model() -> None:
    """It is refused, with the names that there are."""
    with pytest.raises(ArgumentTypeError, match=r"expected names among \['a'\], got 'b'"):
        view_of({"a": Own()}, {"b": {"learning_rate": 0.1}})
