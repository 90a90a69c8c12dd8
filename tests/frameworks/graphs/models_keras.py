"""Models in Keras. Those that keep no graph of their own come with example inputs."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


def mlp():
    """Two dense layers with a dropout between them."""
    return keras.Sequential(
        [
            keras.Input((4,), name="features"),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(3, activation="softmax", name="classes"),
        ]
    )


def convnet(words: int = 500):
    """The one-dimensional convnet that classifies text by its words."""
    return keras.Sequential(
        [
            keras.Input((words,), dtype="int32", name="words"),
            layers.Embedding(2000, 128, name="embed"),
            layers.Conv1D(32, 7, activation="relu", name="conv1d"),
            layers.MaxPooling1D(5, name="pool"),
            layers.Conv1D(32, 7, activation="relu", name="conv1d_1"),
            layers.GlobalMaxPooling1D(name="global_pool"),
            layers.Dense(1, name="dense"),
        ]
    )


def residual():
    """A convolution whose input is added to its result; its batch normalization is frozen."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(3, 3, padding="same", name="conv")(image)
    x = layers.BatchNormalization(name="norm", trainable=False)(x)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([image, x]))
    return keras.Model(image, layers.Flatten(name="flatten")(x), name="residual")


def transformer(blocks: int = 1):
    """An encoder and a decoder with attention masks; tensors come as keyword arguments."""
    source = keras.Input((6,), dtype="int32", name="source")
    target = keras.Input((5,), dtype="int32", name="target")
    mask = keras.Input((5, 6), dtype="bool", name="mask")
    encoded = layers.Embedding(20, 8, name="source_embed")(source)
    for k in range(blocks):
        attended = layers.MultiHeadAttention(2, 4, name=f"encoder_attention_{k}")(
            encoded, value=encoded, key=encoded
        )
        encoded = layers.LayerNormalization(name=f"encoder_norm_{k}")(encoded + attended)
    decoded = layers.Embedding(20, 8, name="target_embed")(target)
    for k in range(blocks):
        attended = layers.MultiHeadAttention(2, 4, name=f"self_attention_{k}")(
            decoded, value=decoded, use_causal_mask=True
        )
        decoded = layers.Add(name=f"self_add_{k}")([decoded, attended])
        attended = layers.MultiHeadAttention(2, 4, name=f"cross_attention_{k}")(
            query=decoded, key=encoded, value=encoded, attention_mask=mask
        )
        decoded = layers.LayerNormalization(name=f"decoder_norm_{k}")(decoded + attended)
        hidden = layers.Dense(16, activation="gelu", name=f"up_{k}")(decoded)
        decoded = layers.Add(name=f"feed_add_{k}")(
            [decoded, layers.Dense(8, name=f"down_{k}")(hidden)]
        )
    words = layers.Dense(20, name="words")(decoded)
    return keras.Model([source, target, mask], words, name="transformer")


def nested():
    """A model of models: Sequential in Functional in Functional."""
    features = keras.Input((4,), name="features")
    head = keras.Sequential([layers.Dense(3, name="dense"), layers.ReLU(name="relu")], name="head")
    middle = keras.Model(features, head(features) + 1.0, name="middle")
    outer = keras.Input((4,), name="outer")
    return keras.Model(outer, layers.Dense(2, name="dense")(middle(outer)), name="nested")


def siamese():
    """One tower for two inputs."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    tower = layers.Dense(3, name="tower")
    distance = layers.Subtract(name="distance")([tower(left), tower(right)])
    return keras.Model([left, right], distance, name="siamese")


def several():
    """Dicts of inputs and outputs, of which one is what another is made from."""
    inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((3,), name="a")}
    joined = layers.Concatenate(name="join")([inputs["a"], inputs["b"]])
    return keras.Model(
        inputs, {"score": layers.Dense(1, name="score_dense")(joined), "joined": joined}
    )


def arithmetic():
    """Operations with numbers and arrays."""
    x = keras.Input((2,), name="x")
    return keras.Model(x, keras.ops.sum((x * 0.5 + 1) - np.float32([1, 2]), axis=1))


def recurrent():
    """A masked LSTM with its states, within both directions of another."""
    words = keras.Input((None,), dtype="int32", name="words")
    embedded = layers.Embedding(10, 4, mask_zero=True, name="embed")(words)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(embedded)
    last, hidden, cell = layers.LSTM(2, return_state=True, name="lstm")(both)
    return keras.Model(words, [last, hidden, cell])


class Block(layers.Layer):
    """A layer of layers, with a weight of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, name="inner")
        self.dropout = layers.Dropout(0.5, name="dropout")

    def build(self, shape):
        self.scale = self.add_weight(shape=(4,), name="scale")
        self.dense.build(shape)

    def call(self, x, training=False):
        return x + self.dropout(self.dense(x), training=training) * self.scale


class Subclassed(keras.Model):
    """Two blocks in a list, used in a loop."""

    def __init__(self, blocks=2):
        super().__init__(name="subclassed")
        self.blocks = [Block(name=f"block_{k}") for k in range(blocks)]
        self.head = layers.Dense(2, name="head")

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x, training=training)
        return {"logits": self.head(x) * 0.5}


def subclassed():
    """It was called once, like a model in training."""
    model, x = Subclassed(), np.ones((3, 4), np.float32)
    model(x)
    return model, x


class Untraceable(keras.Model):
    """What it computes depends on the values that it is given."""

    def __init__(self):
        super().__init__(name="untraceable")
        self.one = layers.Dense(2, name="one")
        self.two = Block(name="two")

    def call(self, x):
        if float(np.asarray(x).sum()) > 0:
            return self.one(self.two(x))
        return x


def untraceable():
    model, x = Untraceable(), np.ones((3, 4), np.float32)
    model(x)
    return model, x
