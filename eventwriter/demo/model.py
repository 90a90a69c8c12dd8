"""A small text classifier in numpy: layers with hand-written gradients, and Adam.

    words [n, 25] -> embed [n, 25, 128] -> dropout -> conv [n, 23, 128] -> pool [n, 128] -> dropout
                  -> dense [n, topics] -> softmax

Every layer computes in the dtype of its weights, which is float32 unless they are replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

Array = np.ndarray[Any, np.dtype[Any]]


class Layer:
    """A function with weights.

    Attributes:
        name: Unique within a model.
        weights: The trained arrays by name. An optimizer changes them in place.
        gradients: The gradient of the loss to each of `weights`, from the latest `backward`.
        output: What the latest `forward` returned.
    """

    def __init__(self, name: str, **weights: Array) -> None:
        self.name = name
        self.weights = weights
        self.gradients: dict[str, Array] = {}
        self.output: Array = np.empty(0, np.float32)

    def forward(self, inputs: Array, *, training: bool) -> Array:
        """Return the outputs, `[n, ...]`, for a batch of inputs, `[n, ...]`."""
        raise NotImplementedError

    def backward(self, gradient: Array) -> Array:
        """Set `gradients`, given the loss's gradient to `output`; return that to the inputs."""
        raise NotImplementedError


class Embedding(Layer):
    """Replace each integer by a row of weights: `[n, length]` -> `[n, length, width]`."""

    def __init__(self, name: str, rows: int, width: int, rng: np.random.Generator) -> None:
        # Uniform from -0.05 to 0.05, the default of Keras.
        embeddings = rng.uniform(-0.05, 0.05, (rows, width)).astype(np.float32)
        super().__init__(name, embeddings=embeddings)

    def forward(self, inputs: Array, *, training: bool) -> Array:  # noqa: ARG002 - Layer's
        """See `Layer.forward`."""
        self._inputs = inputs
        self.output = self.weights["embeddings"][inputs]
        return self.output

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`. Integers have no gradient: return an empty array."""
        total = np.zeros_like(self.weights["embeddings"])
        np.add.at(total, self._inputs, gradient)
        self.gradients["embeddings"] = total
        return np.empty(0, gradient.dtype)


class Dropout(Layer):
    """In training, set a fraction of the inputs to zero and scale the others up to match."""

    def __init__(self, name: str, fraction: float, rng: np.random.Generator) -> None:
        super().__init__(name)
        self._fraction = fraction
        self._rng = rng
        self._scale: Array | float = 1.0

    def forward(self, inputs: Array, *, training: bool) -> Array:
        """See `Layer.forward`. Outside of training, return the inputs as they are."""
        self._scale = 1.0
        if training:
            kept = np.asarray(self._rng.random(inputs.shape, np.float32) >= self._fraction)
            self._scale = kept.astype(inputs.dtype) / (1 - self._fraction)
        self.output = inputs * self._scale
        return self.output

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        result: Array = gradient * self._scale
        return result


class Conv1D(Layer):
    """Convolution, then relu: `[n, length, inputs]` -> `[n, length - kernel_size + 1, filters]`."""

    def __init__(
        self, name: str, inputs: int, filters: int, kernel_size: int, rng: np.random.Generator
    ) -> None:
        # He et al. 2015 (arXiv:1502.01852): a relu then keeps the variance.
        kernel = rng.normal(0, (2 / (kernel_size * inputs)) ** 0.5, (kernel_size, inputs, filters))
        super().__init__(name, kernel=kernel.astype(np.float32), bias=np.zeros(filters, np.float32))

    def forward(self, inputs: Array, *, training: bool) -> Array:  # noqa: ARG002 - Layer's
        """See `Layer.forward`."""
        kernel = self.weights["kernel"]
        # One matrix product for all positions, with a matrix [n * positions, kernel_size * inputs].
        windows = sliding_window_view(inputs, len(kernel), axis=1).swapaxes(2, 3)
        self._windows = windows.reshape(-1, kernel[..., 0].size)
        outputs = self._windows @ kernel.reshape(-1, kernel.shape[2]) + self.weights["bias"]
        self.output = np.maximum(outputs, 0).reshape(len(inputs), -1, kernel.shape[2])
        return self.output

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        kernel = self.weights["kernel"]
        kernel_size, channels, filters = kernel.shape
        batch, positions, _ = gradient.shape
        flat = (gradient * (self.output > 0)).reshape(-1, filters)
        self.gradients["bias"] = flat.sum(0)
        self.gradients["kernel"] = (self._windows.T @ flat).reshape(kernel.shape)
        to_windows = (flat @ kernel.reshape(-1, filters).T).reshape(
            batch, positions, *kernel.shape[:2]
        )
        to_inputs = np.zeros((batch, positions + kernel_size - 1, channels), gradient.dtype)
        for offset in range(kernel_size):
            to_inputs[:, offset : offset + positions] += to_windows[:, :, offset]
        return to_inputs


class GlobalMaxPooling1D(Layer):
    """Take the largest along the length: `[n, length, channels]` -> `[n, channels]`."""

    def forward(self, inputs: Array, *, training: bool) -> Array:  # noqa: ARG002 - Layer's
        """See `Layer.forward`."""
        self._shape = inputs.shape
        self._largest = inputs.argmax(axis=1, keepdims=True)
        self.output = np.take_along_axis(inputs, self._largest, axis=1)[:, 0]
        return self.output

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        to_inputs = np.zeros(self._shape, gradient.dtype)
        np.put_along_axis(to_inputs, self._largest, gradient[:, None], axis=1)
        return to_inputs


class Dense(Layer):
    """A linear map: `[n, inputs]` -> `[n, units]`."""

    def __init__(self, name: str, inputs: int, units: int, rng: np.random.Generator) -> None:
        # Glorot and Bengio 2010, which is the default of Keras.
        limit = (6 / (inputs + units)) ** 0.5
        kernel = rng.uniform(-limit, limit, (inputs, units)).astype(np.float32)
        super().__init__(name, kernel=kernel, bias=np.zeros(units, np.float32))

    def forward(self, inputs: Array, *, training: bool) -> Array:  # noqa: ARG002 - Layer's
        """See `Layer.forward`."""
        self._inputs = inputs
        self.output = inputs @ self.weights["kernel"] + self.weights["bias"]
        return self.output

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        self.gradients["kernel"] = self._inputs.T @ gradient
        self.gradients["bias"] = gradient.sum(0)
        result: Array = gradient @ self.weights["kernel"].T
        return result


class TextClassifier:
    """An embedding, a convolution, a maximum over the positions, and a linear classifier.

    Attributes:
        layers: In the order in which `forward` calls them.
    """

    def __init__(
        self,
        vocabulary_size: int,
        topics: int,
        rng: np.random.Generator,
        *,
        embedding_width: int = 128,
        filters: int = 128,
        kernel_size: int = 3,
        dropout: float = 0.4,
    ) -> None:
        self.embed = Embedding("embed", vocabulary_size, embedding_width, rng)
        self.conv = Conv1D("conv", embedding_width, filters, kernel_size, rng)
        self.pool = GlobalMaxPooling1D("pool")
        self.dense = Dense("dense", filters, topics, rng)
        self.layers: list[Layer] = [
            self.embed,
            Dropout("embed_dropout", dropout, rng),
            self.conv,
            self.pool,
            Dropout("pool_dropout", dropout, rng),
            self.dense,
        ]

    @property
    def weights(self) -> dict[str, Array]:
        """The trained arrays of all layers, named `layer/weight`."""
        return self._named(lambda layer: layer.weights)

    @property
    def gradients(self) -> dict[str, Array]:
        """The gradients of the latest `backward`, named as `weights`."""
        return self._named(lambda layer: layer.gradients)

    def activations(self, words: npt.NDArray[np.int32]) -> dict[str, Array]:
        """Return each layer's output for `words`, `[n, length]`, outside of training.

        Dropout layers are left out: outside of training they return their inputs.
        """
        self.forward(words, training=False)
        return {it.name: it.output for it in self.layers if not isinstance(it, Dropout)}

    def forward(self, words: npt.NDArray[np.int32], *, training: bool) -> Array:
        """Return the logits, `[n, topics]`, for `words`, `[n, length]`."""
        outputs: Array = words
        for layer in self.layers:
            outputs = layer.forward(outputs, training=training)
        return outputs

    def backward(self, gradient: Array) -> None:
        """Set every layer's gradients, given the loss's gradient to the logits."""
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)

    def _named(self, arrays: Callable[[Layer], dict[str, Array]]) -> dict[str, Array]:
        return {
            f"{layer.name}/{name}": array
            for layer in self.layers
            for name, array in arrays(layer).items()
        }


def cross_entropy(logits: Array, topics: npt.NDArray[np.int32]) -> tuple[float, Array]:
    """Return the mean cross entropy of a softmax, and its gradient.

    Args:
        logits: `[n, topics]`.
        topics: `[n]`, the indices of the true topics.

    Returns:
        The loss in nats, and its gradient to `logits`.
    """
    count = np.arange(len(topics))
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    gradient = np.exp(log_probability)
    gradient[count, topics] -= 1
    return -float(log_probability[count, topics].mean()), gradient / len(topics)


def accuracy(logits: Array, topics: npt.NDArray[np.int32]) -> float:
    """Return the fraction of rows of `logits`, `[n, topics]`, that are largest at the truth."""
    return float((logits.argmax(axis=1) == topics).mean())


class Adam:
    """Kingma and Ba 2015 (arXiv:1412.6980), with the paper's constants.

    Args:
        layers: `step` changes their weights in place.
        learning_rate: The size of a step.
    """

    def __init__(self, layers: list[Layer], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._steps = 0
        self._moments = [
            (layer, name, np.zeros_like(weight), np.zeros_like(weight))
            for layer in layers
            for name, weight in layer.weights.items()
        ]

    def step(self) -> None:
        """Move every weight against its gradient."""
        self._steps += 1
        mean_bias = 1 - 0.9**self._steps
        square_bias = 1 - 0.999**self._steps
        for layer, name, mean, square in self._moments:
            gradient = layer.gradients[name]
            mean += 0.1 * (gradient - mean)  # noqa: PLW2901 - in place
            square += 0.001 * (gradient**2 - square)  # noqa: PLW2901 - in place
            layer.weights[name] -= (
                self.learning_rate * (mean / mean_bias) / (np.sqrt(square / square_bias) + 1e-8)
            )
