"""A program that has two devices of JAX, which must be said before JAX is imported."""

from __future__ import annotations

import os


def restore() -> None:
    """Restore an array that is spread over both devices, and print how it is spread then."""
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    import jax

    from eventwriter.integrations.jax import JaxView

    mesh = jax.sharding.Mesh(jax.devices(), ("x",))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    params = {"w": jax.device_put(jax.numpy.arange(4.0), spread)}
    view = JaxView(params)
    state = view.get_state()
    params["w"] = params["w"] * 0
    view.set_state(state)
    print(params["w"].tolist(), params["w"].sharding == spread)
