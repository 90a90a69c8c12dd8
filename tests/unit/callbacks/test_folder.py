"""The folder of callbacks: each file is one callback, and the table of contents lists all."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from eventwriter import callbacks
from eventwriter.callbacks import Callback

MODULES = sorted(info.name for info in pkgutil.iter_modules(callbacks.__path__))


def callbacks_of(name: str) -> list[type[Callback]]:
    """Return the callbacks that a file of the folder, or a folder in it, defines."""
    module = importlib.import_module(f"eventwriter.callbacks.{name}")
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Callback)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    ]


@pytest.mark.parametrize("name", MODULES)
def test_a_file_is_one_callback(name: str) -> None:
    """It has the name of its callback, which the table of contents has too."""
    (callback,) = callbacks_of(name)

    assert name.replace("_", "") == callback.__name__.lower()
    assert callback is getattr(callbacks, callback.__name__)


def test_table_of_contents() -> None:
    """Every callback in the table has a file here, but for those that every training needs."""
    public = {name: getattr(callbacks, name) for name in callbacks.__all__}
    listed = {name for name, value in public.items() if issubclass(value, Callback)}
    found = {callback.__name__ for name in MODULES for callback in callbacks_of(name)}

    assert sorted(callbacks.__all__) == callbacks.__all__
    assert found | {"Callback", "History", "Recorder"} == listed
