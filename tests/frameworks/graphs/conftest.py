"""Keras reads its backend once, when it is imported: any that is not TensorFlow."""

import os

os.environ["KERAS_BACKEND"] = "jax"
