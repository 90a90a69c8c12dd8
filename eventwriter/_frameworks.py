"""Finds the framework of a model, and the part of our integration that a caller asks for.

Every folder in `eventwriter/integrations` is one framework. A file in it is one part, such as
`graph` or `view`. There is no list of frameworks in this package: the folders are the list.

Rooms below `integrations` need these parts too. They get them from here, because a part must be
imported only when a model of its framework is there: importing it imports the framework.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import sys
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing, missing_extra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_ALIASES = {"jaxlib": "jax", "flax": "jax", "equinox": "jax"}
"""Packages whose models are handled in the folder of another package."""

FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, functools.partial)
_FOLDER = os.path.join(os.path.dirname(__file__), "integrations")  # noqa: PTH118, PTH120 - may be in a zip


def find(model: Any, part: str) -> ModuleType | None:
    """Return a module of the integration that can handle a model, or None if there is none.

    The classes from which the class of the model is derived are walked in the order of its MRO.
    The first class decides whose package has a folder with the part. Two examples: a Keras layer
    on the torch backend is also a torch.nn.Module, but `keras` comes first. An XGBClassifier is
    also a scikit-learn estimator: it has a view from `xgboost`, and a graph from `sklearn`,
    because `xgboost` has no part `graph`.

    A function has no framework. It counts as JAX's if JAX has been imported. The path of an .onnx
    file counts as ONNX's.

    Args:
        model: Any object.
        part: The name of a file in the folders, without ".py".

    Raises:
        MissingDependencyError: The framework is not installed.
    """
    for framework in _frameworks_of(model):
        if part in _parts(framework):
            return _load(framework, part)
    return None


def names(part: str) -> list[str]:
    """Return the names of all frameworks that have a part, sorted."""
    folders = sorted(info.name for info in pkgutil.iter_modules([_FOLDER]) if info.ispkg)
    return [name for name in folders if part in _parts(name)]


def _frameworks_of(model: Any) -> Iterator[str]:
    """Yield the names of the frameworks that a model may belong to, the most likely one first."""
    if isinstance(model, type):
        return
    if isinstance(model, (str, os.PathLike)):
        if os.fspath(model).lower().endswith(".onnx"):
            yield "onnx"
        return
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        yield _ALIASES.get(package, package)
    if isinstance(model, FUNCTIONS) and "jax" in sys.modules:
        yield "jax"


@functools.cache
def _parts(framework: str) -> frozenset[str]:
    """Return the names of the files in a folder, without ".py"; none without such a folder."""
    return frozenset(info.name for info in pkgutil.iter_modules([f"{_FOLDER}/{framework}"]))


def _load(framework: str, part: str) -> ModuleType:
    try:
        with importing():
            return importlib.import_module(f"eventwriter.integrations.{framework}.{part}")
    except ModuleNotFoundError as error:
        if error.name != framework:
            raise
        raise missing_extra(part, framework, framework) from error
