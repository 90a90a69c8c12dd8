"""What all tests with real frameworks share.

Keras reads its backend once, when it is imported. Here that is JAX, unless the caller chose one.
The other backend, torch, is tested in a process of its own.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ.setdefault("KERAS_BACKEND", "jax")


def state_of_frameworks() -> dict[str, Any]:
    """Return what the frameworks that are imported hold for the whole process."""
    state: dict[str, Any] = {}
    torch = sys.modules.get("torch")
    if torch is not None:
        state |= {
            f"torch, {name}": list(hooks)
            for name, hooks in vars(torch.nn.modules.module).items()
            if name.startswith("_global_") and isinstance(hooks, dict)
        }
        state |= {
            "torch, default dtype": torch.get_default_dtype(),
            "torch, default device": torch.get_default_device(),
            "torch, gradients": torch.is_grad_enabled(),
            "torch, inference mode": torch.is_inference_mode_enabled(),
            "torch, anomaly detection": torch.is_anomaly_enabled(),
            "torch, deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
            "torch, threads": torch.get_num_threads(),
            "torch, function modes": torch._C._len_torch_function_stack(),
            "torch, process group": torch.distributed.is_initialized(),
        }
    compiler = sys.modules.get("torch._dynamo.config")
    if compiler is not None:
        settings = compiler.get_config_copy()
        state |= {f"torch.compile, {name}": value for name, value in settings.items()}
    jax = sys.modules.get("jax")
    if jax is not None:
        state |= {f"jax, {name}": value for name, value in jax.config.values.items()}
    keras = sys.modules.get("keras")
    if keras is not None:
        state |= {
            "keras, backend": keras.config.backend(),
            "keras, floatx": keras.config.floatx(),
            "keras, dtype policy": keras.config.dtype_policy().name,
            "keras, image data format": keras.config.image_data_format(),
        }
    return state


@pytest.fixture(autouse=True)
def _frameworks_are_left_unchanged() -> Iterator[None]:
    """Fail the test that changes what a framework holds for all later tests, and not one of these.

    What torch.compile has made is thrown away, so that no test meets code of another one.
    """
    before = state_of_frameworks()
    yield
    compiler = sys.modules.get("torch._dynamo")
    if compiler is not None:
        compiler.reset()
    after = state_of_frameworks()
    assert before == {name: after.get(name) for name in before}
