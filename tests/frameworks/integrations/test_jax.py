"""Callbacks with parameters in JAX, and modules of Flax and Equinox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from flax.core import FrozenDict
from flax.training.train_state import TrainState

from eventwriter.callbacks import EarlyStopping, Loop, ModelCheckpoint, TensorBoard
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from eventwriter.integrations.jax import JaxView, layer_outputs
from eventwriter.training.find_view import view_of
from tests.frameworks.integrations import several_devices
from tests.helpers import children
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


def test_state_that_was_split_off() -> None:
    """A state of NNX that training carries is given to `apply` and to `set` as the state it is."""
    definition, state = nnx.split(nnx.Linear(3, 1, rngs=nnx.Rngs(0)))

    def put(new: Any) -> None:
        nonlocal state
        state = new

    def call(state: Any, x: Any) -> Any:
        with jax.named_scope("all"):
            return nnx.merge(definition, state)(x)

    view = JaxView(get=lambda: state, set=put, apply=call)
    kept, before = view.get_state(), call(state, X)
    put(jax.tree.map(lambda leaf: leaf * 0, state))
    view.set_state(kept)

    assert {"kernel", "bias"} == view.weights().keys()
    assert np.allclose(before, call(state, X))
    assert ["all"] == list(view.activations(X) or {})


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
    view = JaxView(get=lambda: model, apply=lambda model, x: jax.vmap(model)(x))
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
            store.params = jax.tree.map(lambda p, g: p - 0.1 * g, store.params, gradients)
            loop.record_gradients(gradients)
            loop.log(loss=loss)

    found = steps(tmp_path / "log")
    assert [0] == found["train:graph"]
    for tag in ("weights/first/w", "gradients/second/w", "outputs/first", "outputs/second_1"):
        assert [0, 1] == found[f"train:{tag}"]
    assert (tmp_path / "2.npz").exists()


def test_dict_that_training_changes() -> None:
    """Nested dicts of arrays are a model as they stand: they are changed, and restored, in place.

    Catches: `Loop({"dense": {"kernel": ...}})`, which was refused as no dict of numpy arrays.
    """
    params = {"dense": {"kernel": jnp.zeros(3)}, "layers": [jnp.ones(2)]}
    weights: list[float] = []
    losses = [3.0, 1.0, 2.0]
    best = EarlyStopping("loss", patience=9, restore_best_weights=True)
    with Loop(params, [best], 3) as loop:
        for epoch in loop:
            params["dense"]["kernel"] = params["dense"]["kernel"] + 1  # type: ignore[call-overload]
            weights += [float(loop.view.weights()["dense/kernel"][0])]  # type: ignore[index]
            loop.log(loss=losses[epoch])

    assert [1, 2, 3] == weights
    assert 2 == float(params["dense"]["kernel"][0])  # type: ignore[call-overload]
    assert {"dense/kernel", "layers/0"} == set(view_of(params).weights() or {})


def train_state() -> Any:
    tx = optax.inject_hyperparams(optax.sgd)(learning_rate=0.1)
    return TrainState.create(apply_fn=apply, params=Store().params, tx=tx)


@pytest.mark.parametrize(
    "make",
    [
        lambda: equinox.nn.Linear(2, 1, key=jax.random.key(0)),
        train_state,
        lambda: FrozenDict(w=jnp.zeros(2)),
    ],
    ids=["equinox", "TrainState", "FrozenDict"],
)
def test_model_that_no_step_can_change(make: Any) -> None:
    """It is refused, with what to pass: a step makes a new one, and the loop would keep the old.

    Catches: the checkpoints of an Equinox module, which held the untrained weights for ever.
    """
    with pytest.raises(ArgumentTypeError, match=r"stays untrained.*JaxView\(get="):
        Loop(make(), [ModelCheckpoint("unused")])


def test_array_on_several_devices() -> None:
    """What is put back is spread over the devices as it was."""
    assert "[0.0, 1.0, 2.0, 3.0] True\n" == children.run(several_devices.restore)[0]


def train_elsewhere(model: Any) -> None:
    """Train copies of a model that the loop does not see."""
    with Loop(model, epochs=3) as loop:
        for _ in loop:
            loop.log(loss=1.0)


@pytest.mark.parametrize(
    "model",
    [{"w": jnp.zeros(3)}, nnx.Linear(3, 1, rngs=nnx.Rngs(0))],
    ids=["dict", "an nnx module whose state was split off"],
)
def test_model_that_stays_untrained(model: Any) -> None:
    """Where steps make new arrays and the view has the old ones, one warning says so."""
    with pytest.warns(EventWriterWarning, match=r"untrained.*get=lambda.*nnx\.update") as warned:
        train_elsewhere(model)

    assert 1 == len(warned)


def test_epochs_without_training() -> None:
    """An epoch that only validates may leave the arrays as they are."""
    with Loop({"w": jnp.zeros(3)}) as loop:
        for _ in loop:
            loop.log(val_loss=1.0)


class Batch(linen.Module):
    """Linen's layers, one in another."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.BatchNorm(use_running_average=True)(linen.Dense(4)(x))
        return linen.Sequential([linen.Dense(2)])(x)


def test_linen_activations() -> None:
    """Each layer of linen is there once, by its path.

    Catches: scopes that linen names by itself, which came as layers of their own beside ours.
    """
    model = Batch()
    variables = model.init(jax.random.key(0), X)
    view = JaxView(get=lambda: variables, apply=model.apply)

    expected = {"Dense_0", "BatchNorm_0", "Sequential_0", "Dense_1"}
    assert expected == view.activations(X).keys()  # type: ignore[union-attr]


def test_names_beside_the_optimizer() -> None:
    """Weights are the trained part of a state, named as gradients are; the rest is in the file."""
    params = Store().params
    opt_state = optax.sgd(0.1, momentum=0.9).init(params)
    variables = {"params": params, "batch_stats": {"mean": jnp.zeros(2)}}
    # What linen's `init` returned may be the params of a state, as it is.
    whole = TrainState.create(apply_fn=apply, params={"params": params}, tx=optax.sgd(0.1))
    states = (train_state(), whole)
    for tree in (variables, (params, opt_state), (variables, opt_state), *states):
        view = JaxView(get=lambda tree=tree: tree)
        assert {"first/w", "second/w"} == view.weights().keys() == view.names(params).keys()
    assert view.weights().keys() == view.names({"params": params}).keys()


@pytest.mark.parametrize("weights_only", [True, False])
def test_file_with_an_optimizer(weights_only: bool, tmp_path: Path) -> None:
    """The optimizer's state is named as such; `weights_only` leaves it out; both can be loaded."""
    state = train_state()

    def put(new: Any) -> None:
        nonlocal state
        state = new

    view = JaxView(get=lambda: state, set=put)
    view.save(str(tmp_path / "a.npz"), weights_only)
    with np.load(tmp_path / "a.npz") as file:
        model = {name for name in file.files if not name.startswith("optimizer:")}
        rest = {*file.files} - model
    state = state.apply_gradients(grads=state.params)
    view.load(str(tmp_path / "a.npz"))

    assert {"params/first/w", "params/second/w"} == model
    assert {"optimizer:step", "optimizer:opt_state/hyperparams/learning_rate"} <= rest or (
        weights_only and not rest
    )
    assert (1 if weights_only else 0) == state.step
    assert 2 == float(state.params["first"]["w"].mean())


def nnx_optimizer(tx: Any) -> JaxView:
    model = nnx.Linear(2, 1, rngs=nnx.Rngs(0))
    return JaxView(model, nnx.Optimizer(model, tx, wrt=nnx.Param))


def in_dict(tx: Any) -> JaxView:
    params = {"w": jnp.ones(3)}
    return JaxView({"params": params, "opt_state": tx.init(params)})


@pytest.mark.parametrize("make", [nnx_optimizer, in_dict])
def test_learning_rate_of_optax(make: Any) -> None:
    """It is found where `inject_hyperparams` keeps it, and can be set; others keep their ratio."""
    view = make(optax.inject_hyperparams(optax.sgd)(learning_rate=0.5))
    view.set_learning_rate(0.25)
    assert 0.25 == view.get_learning_rate()

    adam = optax.inject_hyperparams(optax.adam)
    view = make(optax.chain(optax.clip(1.0), adam(learning_rate=0.5), adam(learning_rate=1.0)))
    view.set_learning_rate(0.25)
    rates = view.get_learning_rates()
    assert [0.25, 0.5] == list(rates.values())
    assert all(name.startswith("opt_state/") for name in rates)

    view = make(optax.adam(0.5))
    assert view.get_learning_rate() is None

    view = make(optax.inject_hyperparams(optax.sgd)(optax.linear_schedule(1.0, 0.0, 9)))
    assert view.get_learning_rate() is None
    assert {"opt_state": 1} == view.get_learning_rates()
    with pytest.raises(ArgumentTypeError, match="set_learning_rate"):
        view.set_learning_rate(0.25)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (JaxView, "get="),
        (lambda: JaxView({"a": X}, optax.sgd(0.1)), r"of optax.*get=lambda: \(params"),
        (lambda: JaxView(linen.Dense(3)), "linen"),
        (lambda: Store().view(embeddings=("a",)).embeddings(), "got 'a'"),
    ],
)
def test_wrong_arguments(make: Any, match: str) -> None:
    """They are refused with what to pass."""
    with pytest.raises(ArgumentTypeError, match=match):
        make()
