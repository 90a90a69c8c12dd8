"""JAX, Flax and Equinox: views and graphs of parameters, modules and functions."""

from eventwriter.integrations.jax.view import JaxView, layer_outputs

__all__ = ["JaxView", "layer_outputs"]
