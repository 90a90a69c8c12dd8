"""Keras has one backend in a process; the other is tested in a process of its own."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
