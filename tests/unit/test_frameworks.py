"""The finder: which folder of `eventwriter/integrations` handles a model."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import eventwriter
from eventwriter import _frameworks
from tests.helpers.models import instance

FOLDER = Path(eventwriter.__file__).parent / "integrations"
FRAMEWORKS = sorted(path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists())


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for all parts of all frameworks, so that no framework is needed."""
    for path in FOLDER.glob("*/*.py"):
        name = f"eventwriter.integrations.{path.parent.name}.{path.stem}"
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


def found(model: Any, part: str) -> str | None:
    """The framework whose part is found."""
    module = _frameworks.find(model, part)
    return None if module is None else module.__name__.split(".")[2]


@pytest.mark.parametrize("part", ["graph", "view", "callbacks", "replay", "profile"])
def test_names_are_the_folders(part: str) -> None:
    """The frameworks that have a part are the folders that have a file of its name."""
    assert _frameworks.names(part) == [
        name for name in FRAMEWORKS if (FOLDER / name / f"{part}.py").exists()
    ]


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("part", ["graph", "view"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_folder_is_found(name: str, part: str) -> None:
    """An object of a class of the framework is handled by its folder, if that has the part."""
    has_part = (FOLDER / name / f"{part}.py").exists()

    assert (name if has_part else None) == found(instance(f"{name}.some.module"), part)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(
    ("modules", "graph", "view"),
    [
        (["my", "keras.src.layers.layer", "torch.nn.modules.module"], "keras", "keras"),
        (["lightning.pytorch.core.module", "torch.nn.modules.module"], "torch", "torch"),
        (["my", "flax.nnx.module"], "jax", "jax"),
        (["equinox._module"], "jax", "jax"),
        (["jaxlib._jax"], "jax", "jax"),
        # XGBoost's estimators are scikit-learn's too: each part is from the nearest that has it.
        (["xgboost.sklearn", "sklearn.base"], "sklearn", "xgboost"),
        (["lightgbm.sklearn", "sklearn.base"], "sklearn", "lightgbm"),
        (["my.models"], None, None),
    ],
)
def test_nearest_class_with_the_part(
    modules: list[str], graph: str | None, view: str | None
) -> None:
    """The nearest class decides whose framework has the part."""
    model = instance(*modules)

    assert (graph, view) == (found(model, "graph"), found(model, "view"))


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("function", [lambda x: x, functools.partial(max, 1), max])
def test_functions(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    """A function is JAX's once JAX has been imported."""
    monkeypatch.setitem(sys.modules, "jax", ModuleType("jax"))
    assert "jax" == found(function, "graph")
    monkeypatch.delitem(sys.modules, "jax")
    assert found(function, "graph") is None


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(
    ("model", "expected"),
    [("a.onnx", "onnx"), (Path("b.ONNX"), "onnx"), ("a.pt", None), (type(instance("torch")), None)],
)
def test_paths_and_classes(model: Any, expected: str | None) -> None:
    """The path of an .onnx file is ONNX's; a class is no model."""
    assert expected == found(model, "graph")
