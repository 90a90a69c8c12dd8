"""JAX, Flax and Equinox: views and graphs of parameters, modules and functions."""

from eventwriter.integrations.jax._layers import layer_outputs
from eventwriter.integrations.jax.view import JaxView

__all__ = ["JaxView", "layer_outputs"]
