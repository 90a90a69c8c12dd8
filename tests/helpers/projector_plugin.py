"""The Projector plugin of the installed TensorBoard, asked without a server."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from tests.helpers.projector import runs

if TYPE_CHECKING:
    from pathlib import Path


class Plugin:
    """TensorBoard's own plugin, with the runs that its readers would find now."""

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
