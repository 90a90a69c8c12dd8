"""Callbacks with parameters in JAX, and modules of Flax and Equinox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from eventwriter.callbacks import EarlyStopping, Loop, ModelCheckpoint, TensorBoard
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.integrations.jax import JaxView, layer_outputs
from eventwriter.training.find_view import view_of
from tests.helpers.runs import steps

if TYPE_CHECKING:
    from pathlib import Path

X = np.ones((5, 3), np.float32)


def apply(params: Any, x: Any) -> Any:
    with jax.named_scope("first"):
        x = jax.nn.relu(x @ params["first"]["w"])
    for _ in range(2):
        with jax.named_scope("second"):
            x = x @ params["second"]["w"]
        x = jnp.tanh(x)
    return x.sum()


class Store:
    """Parameters that training replaces."""

    def __init__(self) -> None:
        self.params: Any = {
            "first": {"w": jnp.full((3, 4), 2.0)},
            "second": {"w": jnp.eye(4, dtype=jnp.bfloat16)},
        }

    def set(self, params: Any) -> None:
        self.params = params

    def view(self, **options: Any) -> JaxView:
        return JaxView(get=lambda: self.params, set=self.set, apply=apply, **options)


@pytest.mark.parametrize("function", [apply, jax.jit(apply)])
def test_layer_outputs(function: Any) -> None:
    """What a scope computes last is its output; a scope that comes again is another call."""
    found = layer_outputs(function, (Store().params, X))

    means = {name: float(value.mean()) for name, value in found.items()}
    assert pytest.approx({"first": 6, "second": 6, "second_1": np.tanh(6)}) == means
    assert {(5, 4)} == {value.shape for value in found.values()}


def test_own_activations() -> None:
    """A function of one's own is asked instead."""
    view = Store().view(activations=lambda params, x: {"a": x + 1})

    assert 2 == float(view.activations(X)["a"].mean())


def test_state() -> None:
    """A state survives that a step donates the memory of the parameters."""
    store = Store()
    state = store.view().get_state()
    store.params["first"]["w"].delete()
    store.view().set_state(state)

    assert 2 == float(store.params["first"]["w"].mean())
    assert jnp.bfloat16 == store.params["second"]["w"].dtype


def test_file(tmp_path: Path) -> None:
    """Parameters are npz without pickle, of the same dtypes when they are read back."""
    store = Store()
    store.view().save(str(tmp_path / "a.npz"), False)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert {"first/w", "second/w"} == set(file.files)
    store.params = jax.tree.map(lambda leaf: leaf * 0, store.params)
    store.view().load(str(tmp_path / "a.npz"))

    assert 2 == float(store.params["first"]["w"].mean())
    assert jnp.bfloat16 == store.params["second"]["w"].dtype


def test_file_of_another_model(tmp_path: Path) -> None:
    """Weights of other shapes raise an error that names them."""
    store = Store()
    store.view().save(str(tmp_path / "a.npz"), False)
    store.params["first"]["w"] = jnp.zeros((3, 5))

    with pytest.raises(ArgumentValueError, match=r"first/w.*\(3, 5\)"):
        store.view().load(str(tmp_path / "a.npz"))


def test_nothing_can_be_set() -> None:
    """Without `set`, restoring is refused when training begins."""
    view = JaxView(get=lambda: {"a": jnp.zeros(1)})
    loop = Loop(None, [EarlyStopping(restore_best_weights=True)], view=view)

    with pytest.raises(ArgumentTypeError, match="`get_state`"):
        loop.__enter__()


class Nnx(nnx.Module):
    """Words `[n]` -> `[n, 4]`, with a layer that is called twice."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.embed = nnx.Embed(7, 4, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.dense = nnx.Linear(4, 4, rngs=rngs)

    def __call__(self, words: Any) -> Any:
        return self.dense(jax.nn.relu(self.dense(self.dropout(self.embed(words)))))


WORDS = np.arange(5) % 7


def test_nnx(tmp_path: Path) -> None:
    """A Flax NNX module is known as it is: weights, layers, embeddings, states, files, graph."""
    model = Nnx()
    view = view_of(model, {"learning_rate": 0.1})
    found = view.activations(WORDS)
    assert {"embed", "dense", "dense_1"} <= found.keys()
    assert np.allclose(model.embed(WORDS), found["embed"])
    assert {"embed": (7, 4)} == {name: value.shape for name, value in view.embeddings().items()}
    before = np.asarray(model.dense.kernel[...])
    state = view.get_state()
    view.save(str(tmp_path / "a.npz"), False)
    for put_back in (lambda: view.set_state(state), lambda: view.load(str(tmp_path / "a.npz"))):
        model.dense.kernel[...] = jnp.zeros((4, 4))
        put_back()
        assert np.array_equal(before, model.dense.kernel[...])
    assert not model.dropout.deterministic  # as it was
    assert "embed/embedding" in view.weights()


class Eqx(equinox.Module):
    """Words -> `[1]`."""

    embed: equinox.nn.Embedding
    mlp: equinox.nn.MLP

    def __call__(self, word: Any) -> Any:
        return self.mlp(self.embed(word))


def test_equinox() -> None:
    """An Equinox module: its layers by their paths, with the function that maps it over a batch."""
    key = jax.random.key(0)
    model = Eqx(equinox.nn.Embedding(7, 3, key=key), equinox.nn.MLP(3, 1, 4, 1, key=key))
    view = JaxView(model, apply=lambda model, x: jax.vmap(model)(x))
    found = view.activations(WORDS)

    assert {(5, 1)} == {value.shape for name, value in found.items() if name.endswith("layers/1")}
    assert ["embed"] == list(view.embeddings())
    assert {"embed/weight", "mlp/layers/0/bias"} <= view.weights().keys()


def test_all_of_it(tmp_path: Path) -> None:
    """Weights, gradients, activations, embeddings and the graph are in the log."""
    store = Store()
    view = store.view(embeddings=("first/w",), optimizer={"learning_rate": 0.1})
    log = TensorBoard(tmp_path / "log", histogram_freq=1, embeddings_freq=1)
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}")
    data = (X, np.zeros(5))
    with Loop(None, [log, checkpoint], 2, view=view, validation_data=data) as loop:
        for _ in loop:
            loss, gradients = jax.value_and_grad(apply)(store.params, X)
            loop.record_gradients(gradients)
            loop.log(loss=loss)

    found = steps(tmp_path / "log")
    assert [0] == found["train:graph"]
    for tag in ("first/w/histogram", "second/w/grad", "first/out", "second_1/out"):
        assert [0, 1] == found[f"train:{tag}"]
    assert (tmp_path / "2.npz").exists()


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (JaxView, "get="),
        (lambda: JaxView(linen.Dense(3)), "linen"),
        (lambda: Store().view(embeddings=("a",)).embeddings(), "got 'a'"),
    ],
)
def test_wrong_arguments(make: Any, match: str) -> None:
    """They are refused with what to pass."""
    with pytest.raises(ArgumentTypeError, match=match):
        make()
