"""Pictures of kernels, whose layout each framework decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
from flax import linen, nnx

from eventwriter.callbacks import Loop, TensorBoard
from eventwriter.integrations.jax import JaxView
from tests.helpers.runs import all_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KERNEL = np.random.default_rng(0).normal(size=(16, 1, 3, 3)).astype(np.float32)
LAST = KERNEL.transpose(2, 3, 1, 0)


def make_torch() -> dict[str, Any]:
    conv = torch.nn.Conv2d(1, 16, 3, bias=False)
    conv.weight.data = torch.from_numpy(KERNEL)
    return {"model": conv}


def make_keras() -> dict[str, Any]:
    conv = keras.layers.Conv2D(16, 3, use_bias=False)
    model = keras.Sequential([keras.Input((5, 5, 1)), conv])
    conv.set_weights([LAST])
    return {"model": model}


def make_nnx() -> dict[str, Any]:
    conv = nnx.Conv(1, 16, (3, 3), use_bias=False, rngs=nnx.Rngs(0))
    conv.kernel = nnx.Param(jnp.asarray(LAST))
    return {"model": conv}


def make_linen() -> dict[str, Any]:
    conv = linen.Conv(16, (3, 3), use_bias=False)
    params = conv.init(jax.random.key(0), jnp.zeros((1, 5, 5, 1)))
    params = jax.tree.map(lambda _: jnp.asarray(LAST), params)
    return {"model": None, "view": JaxView(conv, get=lambda: params, apply=conv.apply)}


def make_equinox() -> dict[str, Any]:
    conv = equinox.nn.Conv2d(1, 16, 3, use_bias=False, key=jax.random.key(0))
    conv = equinox.tree_at(lambda conv: conv.weight, conv, jnp.asarray(KERNEL))
    return {"model": None, "view": JaxView(get=lambda: conv)}


def make_tree() -> dict[str, Any]:
    params = {"conv": {"kernel": jnp.asarray(LAST)}}
    return {"model": None, "view": JaxView(get=lambda: params)}


@pytest.mark.parametrize(
    "make", [make_torch, make_keras, make_nnx, make_linen, make_equinox, make_tree]
)
def test_filters(tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    """The same filters are the same picture in every framework: a grid of 4 x 4 of them."""
    pictures = []
    for number, options in enumerate((make_torch(), make())):
        log = TensorBoard(
            tmp_path / str(number),
            histogram_freq=1,
            write_images=True,
            write_graph=False,
            write_activations=False,
            write_gradients=False,
        )
        with Loop(callbacks=[log], **options) as loop:
            for _ in loop:
                pass
        values = [
            value
            for event in all_events(tmp_path / str(number) / "train")
            for value in event.summary.value
            if value.metadata.plugin_data.plugin_name == "images"
        ]
        (value,) = values
        assert value.tag.startswith("pictures/")
        width, height, png = value.tensor.string_val
        assert (b"15", b"15") == (width, height)
        pictures.append(png)

    assert pictures[0] == pictures[1]
