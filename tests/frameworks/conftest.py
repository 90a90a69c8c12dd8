"""Keras reads its backend once, when it is imported. Here that is JAX, unless the caller chose one.

The other backend, torch, is tested in a process of its own.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
