"""Small models whose predictions depend on more than their weights, to be saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from flax import linen, nnx
from flax.training.train_state import TrainState

from eventwriter.integrations.jax import JaxView
from eventwriter.training.find_view import view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.callbacks import ModelView

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, (32, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)


class Saver(NamedTuple):
    """A model, and what a training does with it.

    Attributes:
        view: The view of the model and its optimizer.
        train: Takes one training step.
        predict: Returns the model's predictions for `X` in evaluation mode.
    """

    view: ModelView
    train: Callable[[], None]
    predict: Callable[[], Any]


class TorchNet(torch.nn.Module):
    """With the statistics of BatchNorm, and a part of its own that may be compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
        self.head = torch.nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.head(torch.relu(self.body(x)))


def compiled(module: torch.nn.Module) -> Any:
    return torch.compile(module, backend="eager")


def torch_saver(wrap: Callable[[TorchNet], Any]) -> Callable[[int], Saver]:
    def make(seed: int) -> Saver:
        torch.manual_seed(seed)
        model = wrap(TorchNet())
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        x, y = torch.from_numpy(X), torch.from_numpy(Y)

        def train() -> None:
            model.train()
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

        def predict() -> Any:
            model.eval()
            with torch.no_grad():
                return model(x).numpy()

        return Saver(view_of(model, optimizer), train, predict)

    return make


def with_compiled_part(net: TorchNet) -> TorchNet:
    net.body = compiled(net.body)
    return net


def several_saver(seed: int) -> Saver:
    """Two models of torch, of which the second trains against the first."""
    torch.manual_seed(seed)
    models = {"g": TorchNet(), "d": TorchNet()}
    optimizers = {
        name: torch.optim.Adam(model.parameters(), lr=0.1) for name, model in models.items()
    }
    x, y = torch.from_numpy(X), torch.from_numpy(Y)

    def train() -> None:
        for model in models.values():
            model.train()
        for name, target in (("g", lambda: y), ("d", lambda: models["g"](x).detach())):
            optimizers[name].zero_grad()
            ((models[name](x) - target()) ** 2).mean().backward()
            optimizers[name].step()

    def predict() -> Any:
        with torch.no_grad():
            return torch.cat([model.eval()(x) for model in models.values()]).numpy()

    return Saver(view_of(models, optimizers), train, predict)


class NnxNet(nnx.Module):
    """With the statistics of BatchNorm, random keys, and what a training step leaves behind."""

    def __init__(self, seed: int) -> None:
        rngs = nnx.Rngs(seed)
        self.dense = nnx.Linear(4, 8, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.head = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.head(self.dropout(jax.nn.relu(self.norm(self.dense(x)))))


def nnx_saver(*, random_keys: bool) -> Callable[[int], Saver]:
    def make(seed: int) -> Saver:
        model = NnxNet(seed)
        optimizer = nnx.Optimizer(model, adam(), wrt=nnx.Param)

        def train() -> None:
            model.train()
            model.dropout.deterministic = not random_keys
            gradients = nnx.grad(lambda model: ((model(X) - Y) ** 2).mean())(model)
            optimizer.update(model, gradients)
            model.seen = nnx.Intermediate(jnp.asarray(X))

        def predict() -> Any:
            model.eval()
            return model(X)

        return Saver(JaxView(model, optimizer, random_keys=random_keys), train, predict)

    return make


def adam() -> Any:
    return optax.inject_hyperparams(optax.adam)(learning_rate=0.1)


class LinenNet(linen.Module):
    """With the statistics of BatchNorm."""

    @linen.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = linen.BatchNorm(use_running_average=not train)(linen.Dense(8)(x))
        return linen.Dense(1)(jax.nn.relu(x))


class LinenState(TrainState):
    """Linen's state, with the statistics."""

    batch_stats: Any


def linen_saver(seed: int) -> Saver:
    model = LinenNet()
    variables = model.init(jax.random.key(seed), X)
    state = LinenState.create(apply_fn=model.apply, tx=adam(), **variables)

    def set_state(new: Any) -> None:
        nonlocal state
        state = new

    def loss_of(params: Any, batch_stats: Any) -> Any:
        variables = {"params": params, "batch_stats": batch_stats}
        found, changed = model.apply(variables, X, train=True, mutable=["batch_stats"])
        return ((found - Y) ** 2).mean(), changed["batch_stats"]

    @jax.jit
    def step(state: Any) -> Any:
        gradients, statistics = jax.grad(loss_of, has_aux=True)(state.params, state.batch_stats)
        return state.apply_gradients(grads=gradients, batch_stats=statistics)

    def predict() -> Any:
        return model.apply({"params": state.params, "batch_stats": state.batch_stats}, X)

    view = JaxView(get=lambda: state, set=set_state)
    return Saver(view, lambda: set_state(step(state)), predict)


class EquinoxNet(equinox.Module):
    """With the statistics of BatchNorm, which stand beside it."""

    dense: equinox.nn.Linear
    norm: equinox.nn.BatchNorm
    head: equinox.nn.Linear

    def __init__(self, key: Any) -> None:
        first, second = jax.random.split(key)
        self.dense = equinox.nn.Linear(4, 8, key=first)
        self.norm = equinox.nn.BatchNorm(8, axis_name="batch", mode="batch")
        self.head = equinox.nn.Linear(8, 1, key=second)

    def __call__(self, x: Any, state: Any) -> Any:
        x, state = self.norm(self.dense(x), state)
        return self.head(jax.nn.relu(x)), state


def over_batch(model: Any, state: Any) -> Any:
    return jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(X, state)


def equinox_saver(seed: int) -> Saver:
    model, statistics = equinox.nn.make_with_state(EquinoxNet)(jax.random.key(seed))
    tx = adam()
    everything = model, statistics, tx.init(equinox.filter(model, equinox.is_inexact_array))

    def set_all(new: Any) -> None:
        nonlocal everything
        everything = new

    def loss_of(model: Any, statistics: Any) -> Any:
        found, statistics = over_batch(model, statistics)
        return ((found - Y) ** 2).mean(), statistics

    @equinox.filter_jit
    def step(model: Any, statistics: Any, opt_state: Any) -> Any:
        gradients, statistics = equinox.filter_grad(loss_of, has_aux=True)(model, statistics)
        updates, opt_state = tx.update(gradients, opt_state)
        return equinox.apply_updates(model, updates), statistics, opt_state

    def predict() -> Any:
        model, statistics, _ = everything
        return over_batch(equinox.nn.inference_mode(model), statistics)[0]

    view = JaxView(get=lambda: everything, set=set_all)
    return Saver(view, lambda: set_all(step(*everything)), predict)


def jax_saver(seed: int) -> Saver:
    kernel = jax.random.normal(jax.random.key(seed), (4, 1))
    params = {"dense": {"kernel": kernel, "bias": jnp.zeros(1, jnp.bfloat16)}}
    tx = optax.adam(0.1)
    state = {"params": params, "opt_state": tx.init(params), "key": jax.random.key(seed)}

    def apply(params: Any) -> Any:
        return X @ params["dense"]["kernel"] + params["dense"]["bias"]

    def train() -> None:
        state["key"], noise = jax.random.split(state["key"])
        targets = Y + jax.random.normal(noise, Y.shape)
        gradients = jax.grad(lambda params: ((apply(params) - targets) ** 2).mean())(
            state["params"]
        )
        updates, state["opt_state"] = tx.update(gradients, state["opt_state"])
        state["params"] = optax.apply_updates(state["params"], updates)

    return Saver(view_of(state), train, lambda: apply(state["params"]))


def numpy_saver(seed: int) -> Saver:
    weights = {"dense": {"kernel": np.random.default_rng(seed).normal(size=(4, 1))}}

    def train() -> None:
        kernel = weights["dense"]["kernel"]
        kernel -= 0.01 * X.T @ (X @ kernel - Y) / len(X)

    return Saver(view_of(weights), train, lambda: X @ weights["dense"]["kernel"])


SAVERS: dict[str, Callable[[int], Saver]] = {
    "torch": torch_saver(lambda net: net),
    "torch, compiled": torch_saver(compiled),
    "torch, a part compiled": torch_saver(with_compiled_part),
    "torch, DataParallel": torch_saver(torch.nn.DataParallel),
    "torch, compiled DataParallel": torch_saver(lambda net: compiled(torch.nn.DataParallel(net))),
    "torch, several models": several_saver,
    "nnx": nnx_saver(random_keys=False),
    "nnx, random keys": nnx_saver(random_keys=True),
    "linen": linen_saver,
    "equinox": equinox_saver,
    "jax": jax_saver,
    "numpy": numpy_saver,
}
LOADERS = {name: name for name in SAVERS} | {
    "torch": "torch, compiled DataParallel",
    "torch, compiled": "torch",
    "torch, a part compiled": "torch",
    "torch, DataParallel": "torch",
    "torch, compiled DataParallel": "torch, a part compiled",
}
"""Which model reads the file of each."""


def load_and_go_on(directory: str) -> None:
    """Load each file into a new model; save its predictions, and those after three more steps."""
    for name, loader in LOADERS.items():
        saver = SAVERS[loader](1)
        saver.view.load(f"{directory}/{name}{saver.view.suffix(False)}")
        loaded = np.array(saver.predict())
        for _ in range(3):
            saver.train()
        later = np.array(saver.predict())
        np.savez(f"{directory}/{name} loaded.npz", loaded=loaded, later=later)
