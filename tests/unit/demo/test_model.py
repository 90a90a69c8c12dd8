"""The demo's layers, against finite differences and against what they are defined to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from eventwriter.demo.model import (
    Adam,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    GlobalMaxPooling1D,
    Layer,
    TextClassifier,
    accuracy,
    cross_entropy,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter.demo.model import Array

TOPICS = 5
WORDS = 11


def small_model(seed: int = 0, dropout: float = 0.0) -> TextClassifier:
    """In float64, where a finite difference is exact to eight digits."""
    model = TextClassifier(
        WORDS,
        TOPICS,
        np.random.default_rng(seed),
        embedding_width=4,
        filters=6,
        kernel_size=3,
        dropout=dropout,
    )
    for layer in model.layers:
        layer.weights = {name: weight.astype(np.float64) for name, weight in layer.weights.items()}
    # Away from 0, where the relu has no derivative.
    model.embed.weights["embeddings"] *= 20
    return model


def numeric_gradient(loss: Callable[[], float], weight: Array) -> Array:
    """Central differences, one entry after the other."""
    gradient = np.zeros_like(weight)
    for index in np.ndindex(weight.shape):
        kept = weight[index]
        weight[index] = kept + 1e-6
        above = loss()
        weight[index] = kept - 1e-6
        below = loss()
        weight[index] = kept
        gradient[index] = (above - below) / 2e-6
    return gradient


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_every_weight_are_those_of_the_loss(seed: int) -> None:
    """Every layer's backward pass equals finite differences of the whole model's loss."""
    model = small_model(seed)
    rng = np.random.default_rng(seed)
    # 8 positions from 11 words: a word occurs several times, and its gradients must add up.
    words = rng.integers(0, WORDS, (4, 8)).astype(np.int32)
    topics = rng.integers(0, TOPICS, 4).astype(np.int32)

    def loss() -> float:
        return cross_entropy(model.forward(words, training=True), topics)[0]

    _, gradient = cross_entropy(model.forward(words, training=True), topics)
    model.backward(gradient)

    weights = [(layer, name) for layer in model.layers for name in layer.weights]
    assert len(weights) == 5
    for layer, name in weights:
        expected = numeric_gradient(loss, layer.weights[name])
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(
            layer.gradients[name], expected, rtol=1e-5, atol=1e-8, err_msg=f"{layer.name} {name}"
        )


def test_gradient_goes_through_dropout_as_the_values_did() -> None:
    """What was set to zero gets no gradient; what was scaled up, a gradient scaled up alike."""
    layer = Dropout("dropout", 0.5, np.random.default_rng(0))
    outputs = layer.forward(np.ones((50, 40)), training=True)

    assert {0.0, 2.0} == set(np.unique(outputs))
    assert 0.4 < (outputs == 0).mean() < 0.6
    np.testing.assert_array_equal(outputs * 3, layer.backward(np.full((50, 40), 3.0)))


def test_dropout_does_nothing_outside_training() -> None:
    """Validation sees every input as it is, and two passes agree."""
    inputs = np.random.default_rng(1).normal(size=(3, 4))
    layer = Dropout("dropout", 0.9, np.random.default_rng(0))

    np.testing.assert_array_equal(inputs, layer.forward(inputs, training=False))


def test_convolution_is_a_sliding_dot_product() -> None:
    """Conv1D equals its definition, written as loops."""
    rng = np.random.default_rng(0)
    layer = Conv1D("conv", 3, 2, 4, rng)
    layer.weights["bias"][:] = [0.5, -0.25]
    inputs = rng.normal(size=(2, 6, 3)).astype(np.float32)
    kernel, bias = layer.weights["kernel"], layer.weights["bias"]
    expected = [
        [
            [
                max(0.0, float((row[start : start + 4] * kernel[:, :, f]).sum() + bias[f]))
                for f in range(2)
            ]
            for start in range(3)
        ]
        for row in inputs
    ]

    np.testing.assert_allclose(layer.forward(inputs, training=False), expected, rtol=1e-5)


def test_every_layer_works_in_float32() -> None:
    """Nothing in the model falls back to float64: outputs, gradients and weights stay float32."""
    model = TextClassifier(WORDS, TOPICS, np.random.default_rng(0), embedding_width=4, filters=6)
    words = np.arange(10, dtype=np.int32).reshape(2, 5)
    _, gradient = cross_entropy(model.forward(words, training=True), np.array([0, 1], np.int32))
    model.backward(gradient)
    Adam(model.layers, 0.01).step()

    arrays = [
        array
        for layer in model.layers
        for array in (layer.output, *layer.weights.values(), *layer.gradients.values())
    ]
    assert {np.dtype(np.float32)} == {array.dtype for array in arrays}


@pytest.mark.parametrize(
    ("layer", "inputs", "shape"),
    [
        (Embedding("e", 7, 4, np.random.default_rng(0)), np.zeros((2, 5), np.int32), (2, 5, 4)),
        (Conv1D("c", 4, 6, 3, np.random.default_rng(0)), np.zeros((2, 5, 4)), (2, 3, 6)),
        (GlobalMaxPooling1D("p"), np.zeros((2, 3, 6)), (2, 6)),
        (Dense("d", 6, 5, np.random.default_rng(0)), np.zeros((2, 6)), (2, 5)),
    ],
    ids=lambda value: value.name if isinstance(value, Layer) else "",
)
def test_shapes(layer: Layer, inputs: Array, shape: tuple[int, ...]) -> None:
    """Each layer's output has the shape that its docstring states."""
    assert shape == layer.forward(inputs, training=False).shape


def test_cross_entropy_of_known_probabilities() -> None:
    """The loss is the mean of -log p(true topic), for logits of any size."""
    logits = np.log([[0.25, 0.75], [0.5, 0.5]]) + np.array([[1000.0], [-1000.0]])
    loss, _ = cross_entropy(logits, np.array([1, 0], np.int32))

    assert loss == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2)


def test_accuracy_counts_the_largest_logit() -> None:
    """One of the two rows has its largest entry at the true topic."""
    logits = np.array([[0.1, 0.9], [0.8, 0.2]])

    assert accuracy(logits, np.array([1, 1], np.int32)) == 0.5


def test_adam_moves_every_weight_by_the_learning_rate_at_first() -> None:
    """Bias-corrected, the first step is the learning rate against the gradient's sign."""
    layer = Dense("dense", 2, 2, np.random.default_rng(0))
    before = layer.weights["kernel"].copy()
    layer.gradients = {
        "kernel": np.array([[1e-3, -5.0], [100.0, -1e-2]], np.float32),
        "bias": np.zeros(2, np.float32),
    }
    Adam([layer], 0.125).step()

    np.testing.assert_allclose(
        layer.weights["kernel"] - before,
        -0.125 * np.sign(layer.gradients["kernel"]),
        rtol=1e-4,
    )
