"""What the integrations offer has the same names and the same arguments in all of them."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from eventwriter import _frameworks, callbacks, integrations
from eventwriter.training.model_view import ModelView

PARTS = {"graph", "profile", "view", "callbacks", "replay"}
FOLDER = Path(integrations.__file__).parent
FRAMEWORKS = sorted(path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists())


def part(framework: str, name: str) -> Any:
    return importlib.import_module(f"eventwriter.integrations.{framework}.{name}")


def arguments(function: Any) -> list[tuple[str, Any, Any]]:
    """Name, kind and default of each argument."""
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters]


POSITIONAL, KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
EMPTY = inspect.Parameter.empty


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_folders(name: str) -> None:
    """A folder holds the parts that are the same everywhere, and helpers with an underscore."""
    files = {path.stem for path in (FOLDER / name).glob("*.py")} - {"__init__"}

    assert {file for file in files if not file.startswith("_")} <= PARTS
    assert files & {"graph", "view"}


@pytest.mark.parametrize("name", _frameworks.names("graph"))
def test_graphs(name: str) -> None:
    """`build_graph(model, inputs=None, *, strict=True)`."""
    assert [
        ("model", POSITIONAL, EMPTY),
        ("inputs", POSITIONAL, None),
        ("strict", KEYWORD, True),
    ] == arguments(part(name, "graph").build_graph)


@pytest.mark.parametrize("name", _frameworks.names("profile"))
def test_profiles(name: str) -> None:
    """`profile_graph(model, inputs, *, strict=True)`."""
    assert [
        ("model", POSITIONAL, EMPTY),
        ("inputs", POSITIONAL, EMPTY),
        ("strict", KEYWORD, True),
    ] == arguments(part(name, "profile").profile_graph)


@pytest.mark.parametrize("name", _frameworks.names("view"))
def test_views(name: str) -> None:
    """`View(model, optimizer=None, *, ...)`, which the folder shows under a name of its own."""
    view = part(name, "view").View
    first, second, *others = arguments(view)

    assert issubclass(view, ModelView)
    assert ("model", POSITIONAL) == first[:2]
    assert ("optimizer", POSITIONAL, None) == second
    assert all(kind is KEYWORD for _, kind, _ in others)
    assert view is getattr(
        importlib.import_module(f"eventwriter.integrations.{name}"), view.__name__
    )
    # A question has the arguments that ModelView gives it, by the same names.
    for method, function in vars(ModelView).items():
        if inspect.isfunction(function):
            assert arguments(function) == arguments(getattr(view, method)), method


@pytest.mark.parametrize("name", _frameworks.names("callbacks"))
def test_callbacks(name: str) -> None:
    """`Callbacks(callbacks, *, validation_data=None)`, and `TensorBoard` with the same options."""
    face = importlib.import_module(f"eventwriter.integrations.{name}")

    assert [
        ("callbacks", POSITIONAL, EMPTY),
        ("validation_data", KEYWORD, None),
    ] == arguments(face.Callbacks)
    log_dir, *options = arguments(face.TensorBoard)
    assert ("log_dir", POSITIONAL, "logs") == log_dir
    assert all(kind is KEYWORD for _, kind, _ in options)
    assert inspect.signature(face.TensorBoard) == inspect.signature(FIRST.TensorBoard)
    assert issubclass(face.TensorBoard, face.Callbacks)
    assert face.Callbacks is part(name, "callbacks").Callbacks
    assert all(hasattr(face.Callbacks, method) for method in ("__enter__", "__exit__"))


FIRST = importlib.import_module(f"eventwriter.integrations.{_frameworks.names('callbacks')[0]}")


def test_options_of_tensorboard() -> None:
    """Every option of `callbacks.TensorBoard` is one of each integration's."""
    ours = {name for name, _, _ in arguments(callbacks.TensorBoard)}
    theirs = {name for name, _, _ in arguments(FIRST.TensorBoard)}

    assert {"validation_data", "profile_batch"} == theirs - ours
    assert set() == ours - theirs


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_public_names(name: str) -> None:
    """`__all__` of a folder is sorted, and holds exactly what the folder offers."""
    face = importlib.import_module(f"eventwriter.integrations.{name}")
    public = {
        key
        for key, value in vars(face).items()
        if not key.startswith("_") and not inspect.ismodule(value)
    }

    offered = getattr(face, "__all__", [])
    assert sorted(offered) == offered
    assert public == set(offered)
