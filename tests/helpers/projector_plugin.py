"""The Projector plugin of the installed TensorBoard, asked without a server."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from eventwriter._proto.projector_pb2 import ProjectorConfig
from eventwriter.projector.files import Projector

if TYPE_CHECKING:
    from pathlib import Path

FLOATS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def add(
    projector: Projector,
    mat: Any = FLOATS,
    step: int | None = None,
    tag: str = "embed",
    **more: Any,
) -> None:
    arguments = {"metadata": None, "label_img": None, "header": None, **more}
    projector.add(mat, step=step, tag=tag, **arguments)


def write(run_dir: Path, mat: Any = FLOATS, step: int | None = None, **more: Any) -> None:
    projector = Projector(run_dir)
    add(projector, mat, step, **more)
    projector.drain()


def config(run_dir: Path) -> ProjectorConfig:
    return text_format.Parse((run_dir / "projector_config.pbtxt").read_text(), ProjectorConfig())


def names(run_dir: Path) -> list[str]:
    return [info.tensor_name for info in config(run_dir).embeddings]


def runs(logdir: Path) -> list[str]:
    """Return what both of TensorBoard's readers take for runs."""
    parents = {path.parent for path in logdir.rglob("*tfevents*")}
    return sorted(str(parent.relative_to(logdir)) for parent in parents)


class Plugin:
    """TensorBoard's own plugin, told of the runs that its readers would find now."""

    def __init__(self, logdir: Path) -> None:
        def list_runs(*args: Any, **kwargs: Any) -> list[Any]:
            return [SimpleNamespace(run_name=name) for name in runs(logdir)]

        provider = SimpleNamespace(list_runs=list_runs)
        context = SimpleNamespace(data_provider=provider, logdir=str(logdir))
        self._apps = ProjectorPlugin(context).get_plugin_apps()

    def get(self, route: str, **params: Any) -> bytes:
        response = Client(self._apps[route]).get(route, query_string=params)
        assert response.status_code == 200, response.text
        return response.data

    def names(self, run: str) -> list[str]:
        info = json.loads(self.get("/info", run=run))
        return [embedding["tensorName"] for embedding in info["embeddings"]]

    def matrix(self, run: str, name: str) -> np.ndarray:
        info = json.loads(self.get("/info", run=run))["embeddings"]
        (shape,) = (each["tensorShape"] for each in info if each["tensorName"] == name)
        return np.frombuffer(self.get("/tensor", run=run, name=name), "<f4").reshape(shape)
