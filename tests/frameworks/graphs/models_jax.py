"""Models in JAX, Flax and Equinox, each with example inputs."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import linen, nnx
from jax import lax


def mlp():
    """Three layers in pure JAX, each in a named scope."""

    def predict(params, x):
        for k, (weights, bias) in enumerate(params):
            with jax.named_scope(f"layer_{k}"):
                x = jnp.tanh(x @ weights + bias)
        return x

    sizes = [4, 8, 8, 2]
    params = [
        (jnp.ones((rows, columns)), jnp.zeros(columns))
        for rows, columns in itertools.pairwise(sizes)
    ]
    return predict, (params, jnp.ones((3, 4)))


def residual_convolution():
    """A convolution whose input is added to its result."""

    def block(params, image):
        with jax.named_scope("conv"):
            y = lax.conv(image, params["kernel"], (1, 1), "SAME")
        return jax.nn.relu(image + y)

    return block, ({"kernel": jnp.ones((3, 3, 3, 3))}, jnp.ones((1, 3, 8, 8)))


def recurrent():
    """A recurrent net as a scan over time; its weights are constants of the scan."""

    def run(params, sequence):
        def step(state, x):
            with jax.named_scope("cell"):
                state = jnp.tanh(x @ params["input"] + state @ params["state"])
            return state, state * 2

        return lax.scan(step, jnp.zeros(5), sequence)

    return run, ({"input": jnp.ones((3, 5)), "state": jnp.ones((5, 5))}, jnp.ones((7, 3)))


def branches():
    """`cond` and `while_loop`."""

    def run(x, limit):
        x = lax.cond(limit > 2, jnp.sin, lambda x: x * 3, x)
        return lax.while_loop(lambda s: s[1] < limit, lambda s: (s[0] * 2, s[1] + 1), (x, 0))[0]

    return run, (jnp.ones(3), jnp.int32(4))


def called():
    """`jit` inside `jit`, `custom_jvp`, `custom_vjp` and `checkpoint`."""

    @jax.custom_jvp
    def own_sin(x):
        return jnp.sin(x)

    own_sin.defjvp(lambda primals, tangents: (own_sin(*primals), tangents[0]))

    @jax.custom_vjp
    def own_cos(x):
        return jnp.cos(x)

    own_cos.defvjp(lambda x: (own_cos(x), x), lambda x, g: (g,))

    @jax.jit
    def inner(x):
        return jnp.exp(x)

    @jax.jit
    def outer(x):
        return inner(x) + inner(x * 2)

    def run(x):
        return jax.checkpoint(outer)(own_cos(own_sin(x)))

    return run, (jnp.ones(3),)


class Attention(linen.Module):
    """A transformer's block."""

    @linen.compact
    def __call__(self, x, train=False):
        y = linen.LayerNorm()(x)
        y = linen.MultiHeadDotProductAttention(num_heads=2)(y)
        x = x + linen.Dropout(0.5, deterministic=not train)(y)
        y = linen.Dense(16, name="up")(linen.LayerNorm()(x))
        return x + linen.Dense(8, name="down")(linen.gelu(y))


class Transformer(linen.Module):
    """Blocks, one after another."""

    blocks: int

    @linen.compact
    def __call__(self, x, train=False):
        for _ in range(self.blocks):
            x = Attention()(x, train)
        return linen.Dense(3, name="head")(x)


def linen_transformer(blocks: int = 2):
    return Transformer(blocks), jax.ShapeDtypeStruct((2, 4, 8), jnp.float32)


class Normalised(linen.Module):
    """Batch normalization, whose statistics change while it trains."""

    @linen.compact
    def __call__(self, x, train):
        scale = self.param("scale", linen.initializers.ones, (4,))
        return linen.BatchNorm(use_running_average=not train)(x * scale)


def linen_batch_norm():
    return Normalised(), {"x": jnp.ones((2, 4)), "train": True}


class ScannedCell(linen.Module):
    """A recurrent net whose cell's parameters are the same at each step."""

    @linen.compact
    def __call__(self, sequence):
        return linen.RNN(linen.SimpleCell(5))(sequence)


def linen_recurrent():
    return ScannedCell(), jnp.ones((2, 7, 3))


class Perceptron(nnx.Module):
    """Layers in a list, one of them used twice."""

    def __init__(self, rngs):
        self.first = nnx.Linear(4, 8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])
        self.shared = self.layers[0]

    def __call__(self, x):
        x = self.dropout(nnx.relu(self.first(x)))
        for layer in self.layers:
            x = layer(x)
        return self.shared(x)


def nnx_mlp():
    return Perceptron(nnx.Rngs(0)), jnp.ones((2, 4))


def equinox_mlp():
    return eqx.nn.MLP(4, 2, 8, 2, key=jax.random.key(0)), jnp.ones(4)


class Block(eqx.Module):
    """A transformer's block."""

    attention: eqx.nn.MultiheadAttention
    norms: list[eqx.nn.LayerNorm]
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.attention = eqx.nn.MultiheadAttention(2, 8, key=keys[0])
        self.norms = [eqx.nn.LayerNorm(8), eqx.nn.LayerNorm(8)]
        self.up = eqx.nn.Linear(8, 16, key=keys[1])
        self.down = eqx.nn.Linear(16, 8, key=keys[2])

    def __call__(self, x, mask=None):
        y = jax.vmap(self.norms[0])(x)
        x = x + self.attention(y, y, y, mask=mask)
        y = jax.vmap(self.norms[1])(x)
        return x + jax.vmap(self.down)(jax.nn.gelu(jax.vmap(self.up)(y)))


class Blocks(eqx.Module):
    """Blocks, one after another."""

    blocks: list[Block]

    def __call__(self, x, mask=None):
        for block in self.blocks:
            x = block(x, mask)
        return x


def equinox_transformer(blocks: int = 2):
    keys = jax.random.split(jax.random.key(0), blocks)
    model = Blocks([Block(key) for key in keys])
    return model, {"x": jnp.ones((5, 8)), "mask": jnp.ones((5, 5), bool)}
