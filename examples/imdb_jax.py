"""A convnet for film reviews, in plain JAX with callbacks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from reviews import WORDS, arguments, load_reviews

from eventwriter.callbacks import (
    EarlyStopping,
    Loop,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TensorBoard,
)
from eventwriter.integrations.jax import JaxView

BATCH_SIZE = 128


def init(key: jax.Array) -> dict[str, dict[str, jax.Array]]:
    """Return the parameters that training begins with."""
    keys = jax.random.split(key, 4)
    glorot = jax.nn.initializers.glorot_uniform()
    return {
        "embed": {"table": jax.random.uniform(keys[0], (WORDS, 128), minval=-0.05, maxval=0.05)},
        "conv1": {"kernel": glorot(keys[1], (7, 128, 32)), "bias": jnp.zeros(32)},
        "conv2": {"kernel": glorot(keys[2], (7, 32, 32)), "bias": jnp.zeros(32)},
        "dense": {"kernel": glorot(keys[3], (32, 1)), "bias": jnp.zeros(1)},
    }


def convolution(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Convolution, then relu: `[n, length, channels]` -> `[n, length - 6, 32]`."""
    y = jax.lax.conv_general_dilated(
        x, layer["kernel"], (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
    )
    return jax.nn.relu(y + layer["bias"])


def predict(params: dict[str, dict[str, jax.Array]], words: jax.Array) -> jax.Array:
    """Return the logits `[n]` of words `[n, 500]`. TensorBoard shows the scopes as layers."""
    with jax.named_scope("embed"):
        x = params["embed"]["table"][words]
    with jax.named_scope("conv1"):
        x = convolution(params["conv1"], x)
    with jax.named_scope("pool"):
        x = x[:, : x.shape[1] // 5 * 5].reshape(len(x), -1, 5, x.shape[2]).max(2)
    with jax.named_scope("conv2"):
        x = convolution(params["conv2"], x)
    with jax.named_scope("largest"):
        x = x.max(1)
    with jax.named_scope("dense"):
        return (x @ params["dense"]["kernel"] + params["dense"]["bias"])[:, 0]


def loss_and_accuracy(params: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the cross entropy, and the share of reviews that were classified correctly."""
    logits = predict(params, x)
    loss = jnp.mean(jnp.logaddexp(0, logits) - y * logits)
    return loss, jnp.mean((logits > 0) == (y > 0.5))


@jax.jit
def step(params: Any, squares: Any, x: jax.Array, y: jax.Array, learning_rate: float) -> Any:
    """Take one step of RMSprop."""
    (loss, acc), gradients = jax.value_and_grad(loss_and_accuracy, has_aux=True)(params, x, y)
    squares = jax.tree.map(lambda s, g: 0.9 * s + 0.1 * g * g, squares, gradients)
    params = jax.tree.map(
        lambda p, s, g: p - learning_rate * g / (jnp.sqrt(s) + 1e-7), params, squares, gradients
    )
    return params, squares, gradients, loss, acc


def main() -> None:
    """Train, validate, and log."""
    options = arguments(__doc__)
    reviews = load_reviews(options.reviews)
    rng = np.random.default_rng(0)
    params = init(jax.random.key(0))
    squares = jax.tree.map(jnp.zeros_like, params)
    optimizer = {"learning_rate": 1e-3}
    evaluate = jax.jit(loss_and_accuracy)

    def set_params(new: Any) -> None:
        nonlocal params
        params = new

    view = JaxView(
        optimizer=optimizer,
        get=lambda: params,
        set=set_params,
        apply=predict,
        embeddings=("embed/table",),
    )
    callbacks = [
        TensorBoard(
            options.logdir,
            histogram_freq=1,
            embeddings_freq=1,
            embeddings_metadata=reviews.vocabulary,
        ),
        EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        ModelCheckpoint(
            f"{options.logdir}/checkpoints/{{epoch:02d}}-{{val_loss:.3f}}", save_best_only=True
        ),
        ReduceLROnPlateau("val_loss", factor=0.1, patience=1),
        ProgressBar(),
    ]
    validation = (reviews.x_val, reviews.y_val)
    with Loop(
        None, callbacks, epochs=options.epochs, view=view, validation_data=validation
    ) as loop:
        for _ in loop:
            order = rng.permutation(len(reviews.x_train))
            # Whole batches only: JAX would compile the step again for another shape.
            batches = order[: len(order) // BATCH_SIZE * BATCH_SIZE].reshape(-1, BATCH_SIZE)
            for batch in loop.batches(batches):
                params, squares, gradients, loss, acc = step(
                    params,
                    squares,
                    reviews.x_train[batch],
                    reviews.y_train[batch],
                    optimizer["learning_rate"],
                )
                loop.record_gradients(gradients)
                loop.log(loss=loss, acc=acc)
            for start in range(0, len(reviews.x_val), 400):
                part = slice(start, start + 400)
                loss, acc = evaluate(params, reviews.x_val[part], reviews.y_val[part])
                loop.log(val_loss=loss, val_acc=acc, size=len(reviews.x_val[part]))
    print(f"best validation accuracy: {max(loop.history['val_acc']):.3f}")
    print(f"now run: tensorboard --logdir {options.logdir}")


if __name__ == "__main__":
    main()
