"""Graphs of real models in both of TensorBoard's readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf import text_format
from tensorboard.compat.proto.graph_pb2 import GraphDef as StockGraphDef

from eventwriter import SummaryWriter
from eventwriter.graphs.sources import build_graph
from tests.frameworks.graphs import (
    models_jax,
    models_keras,
    models_onnx,
    models_sklearn,
    models_torch,
)
from tests.helpers.tensorboard_server import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JAX = [
    *(models_jax.mlp, models_jax.residual_convolution, models_jax.recurrent, models_jax.branches),
    *(models_jax.linen_transformer, models_jax.nnx_mlp, models_jax.equinox_transformer),
]
KERAS = [
    *(models_keras.mlp, models_keras.convnet, models_keras.residual, models_keras.transformer),
    *(models_keras.nested, models_keras.siamese, models_keras.several, models_keras.arithmetic),
]
MODELS: dict[str, Callable[[], tuple[object, object]]] = {
    **{f"torch_{make.__name__}": make for make in models_torch.EXPORTED},
    **{f"jax_{make.__name__}": make for make in JAX},
    **{f"keras_{make.__name__}": lambda make=make: (make(), None) for make in KERAS},
    "onnx_convnet": lambda: (models_onnx.residual_convnet(), None),
    "onnx_control_flow": lambda: (models_onnx.control_flow(), None),
    "sklearn_columns": models_sklearn.fitted_column_pipeline,
    "sklearn_stack": models_sklearn.stack,
}


@pytest.mark.parametrize("load_fast", [True, False], ids=["data-server", "python-reader"])
def test_each_is_served_whole(tmp_path: Path, load_fast: bool) -> None:
    """`add_graph(model, inputs)` of every framework comes back with all nodes, and no complaint."""
    expected = {}
    for name, make in MODELS.items():
        model, inputs = make()
        expected[name] = StockGraphDef.FromString(
            build_graph(model, inputs).to_graph_def().SerializeToString()
        )
        with SummaryWriter(tmp_path / name) as writer:
            writer.add_graph(model, inputs)
    with serve(tmp_path, load_fast=load_fast) as server:
        for name, graph in expected.items():

            def served(name: str = name) -> bytes:
                return server.get_bytes("/data/plugin/graphs/graph", run=name)

            text = server.wait_for(served, f"graph of run {name!r}")
            assert graph == text_format.Parse(text, StockGraphDef()), name
        assert [] == server.complaints()
