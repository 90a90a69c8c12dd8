"""Names of hooks: Keras's names, misspelt names, and names that other frameworks call."""

from __future__ import annotations

import abc
import inspect
import warnings
from typing import Any

import pytest

from eventwriter.callbacks import Callback, CallbackList, EarlyStopping, LambdaCallback, Loop
from eventwriter.callbacks import TensorBoard as TensorBoardCallback
from eventwriter.errors import ArgumentTypeError, ArgumentValueError, EventWriterWarning
from tests.helpers.trainings import train_on


class Notes(Callback):
    """Notes the calls of the hooks of a training batch."""

    def __init__(self) -> None:
        self.calls: list[Any] = []


class Short(Notes):
    def on_batch_begin(self, batch: int, logs: Any) -> None:
        self.calls.append(("short begin", batch, dict(logs)))

    def on_batch_end(self, batch: int, logs: Any) -> None:
        self.calls.append(("short end", batch, dict(logs)))


class Long(Notes):
    def on_train_batch_begin(self, batch: int, logs: Any) -> None:
        self.calls.append(("long begin", batch, dict(logs)))

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        self.calls.append(("long end", batch, dict(logs)))


class Both(Short):
    """The long name of the end alone is called, as in Keras."""

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        self.calls.append(("long end", batch, dict(logs)))


class BothAndSuper(Both):
    """Here the long name calls the short one itself."""

    def on_train_batch_end(self, batch: int, logs: Any) -> None:
        self.calls.append(("long end", batch, dict(logs)))
        Callback.on_train_batch_end(self, batch, logs)


@pytest.mark.parametrize(
    ("kind", "begin", "end"),
    [
        (Short, ["short begin"], ["short end"]),
        (Long, ["long begin"], ["long end"]),
        (Both, ["short begin"], ["long end"]),
        (BothAndSuper, ["short begin"], ["long end", "short end"]),
    ],
)
def test_both_names_of_a_batch(kind: type[Notes], begin: list[str], end: list[str]) -> None:
    """A class overrides either name of a batch's hook; of both, the long name is called."""
    callback = kind()
    train_on([callback], [1.0, 3.0])

    assert [
        *((name, 0, {}) for name in begin),
        *((name, 0, {"loss": 1.0}) for name in end),
        *((name, 1, {}) for name in begin),
        *((name, 1, {"loss": 2.0}) for name in end),
    ] == callback.calls


def test_default_of_the_long_name_calls_the_short_one() -> None:
    """Who calls a callback by Keras's names reaches a callback that overrides the short ones."""
    callback = Short()
    callback.on_train_batch_begin(0, {})
    callback.on_train_batch_end(0, {})

    assert [("short begin", 0, {}), ("short end", 0, {})] == callback.calls


@pytest.mark.parametrize("kind", [Short, Long])
def test_listeners_by_either_name(kind: type[Notes]) -> None:
    """A list knows and calls the hook by both names, once."""
    callback = kind()
    callbacks = CallbackList([callback])
    for hook in ("on_batch_end", "on_train_batch_end"):
        assert callbacks.has_listeners(hook)
        callbacks.call(hook, 0, {})

    assert 2 == len(callback.calls)
    assert not CallbackList([Callback()]).has_listeners("on_train_batch_end")
    assert not CallbackList([Callback()]).has_listeners("on_batch_end")


@pytest.mark.parametrize("name", ["on_batch_end", "on_train_batch_end"])
def test_lambda_with_either_name(name: str) -> None:
    """A function is given by either name."""
    seen: list[Any] = []
    hooks = {name: lambda batch, logs: seen.append((batch, logs["loss"]))}
    train_on([LambdaCallback(**hooks)], [1.0, 3.0])

    assert [(0, 1.0), (1, 2.0)] == seen


def test_lambda_with_both_names() -> None:
    """Two functions for one hook are refused: a function cannot call the other one."""
    with pytest.raises(ArgumentValueError, match="on_batch_end and on_train_batch_end, got two"):
        LambdaCallback(on_batch_end=print, on_train_batch_end=print)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("on_epoch_ends", r"Did you mean on_epoch_end\?"),
        ("on_train_start", r"Did you mean on_train_batch_start|Did you mean on_train_"),
        ("on_batches_end", r"Did you mean on_batch_end\?"),
        ("on_predict_start", r"Did you mean on_predict_"),
        ("on_zzz", r"Hooks are on_train_begin, .*does not begin with on_"),
    ],
)
def test_unknown_hook(name: str, remedy: str) -> None:
    """A class with a method that no loop calls warns when it is defined."""
    with pytest.warns(EventWriterWarning, match=rf"Own\.{name}: expected .*{remedy}") as caught:
        type("Own", (Callback,), {name: lambda self, *arguments: None})

    assert 1 == len(caught)


@pytest.mark.parametrize("bases", [(Callback,), (Callback, abc.ABC)])
def test_warning_names_the_class_line(bases: Any) -> None:
    """The warning points at the line of the user's class."""
    with pytest.warns(EventWriterWarning, match="on_epoch_ends") as caught:

        class Own(*bases):  # type: ignore[misc]
            def on_epoch_ends(self, epoch: int, logs: Any) -> None: ...

    assert __file__ == caught[0].filename
    lines, first = inspect.getsourcelines(test_warning_names_the_class_line)
    line = next(number for number, line in enumerate(lines, first) if "class Own" in line)
    assert line == caught[0].lineno


def test_known_names_do_not_warn() -> None:
    """Hooks, values, other names, and hooks of another base class are no mistakes."""

    class Lightning:
        def on_fit_start(self) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Own(Callback, Lightning):
            on_gpu = True

            def on_train_batch_end(self, batch: int, logs: Any) -> None: ...

            def on_fit_start(self) -> None: ...

            def _on_improvement(self) -> None: ...

        class Abstract(Callback, abc.ABC):
            @abc.abstractmethod
            def on_epoch_end(self, epoch: int, logs: Any) -> None: ...


def test_loop_is_the_training() -> None:
    """Callbacks of users may call the training `self.loop`."""

    class Stops(Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            assert self.loop is self.training
            self.loop.stop_training = True

    callback = Stops()
    train_on([callback], [1.0, 3.0])
    assert "stopped" == callback.training.status  # type: ignore[attr-defined]

    callback.loop = other = Loop(None)
    assert other is callback.training


@pytest.mark.parametrize("call", ["set_model", "set_params"])
def test_callback_in_keras(call: str) -> None:
    """Keras calls these first; the error says how to take part in its `fit`."""
    with pytest.raises(ArgumentTypeError, match=r"keras\.Callbacks\(\[EarlyStopping\(\.\.\.\)\]\)"):
        getattr(EarlyStopping(), call)({})


def test_tensorboard_in_keras() -> None:
    """TensorBoard has an adapter of its own there."""
    with pytest.raises(ArgumentTypeError, match=r"or eventwriter\.integrations\.keras\.TensorB"):
        TensorBoardCallback().set_model(None)


def test_callback_that_is_called() -> None:
    """LightGBM calls its callbacks; the error says how to take part in its training."""
    with pytest.raises(ArgumentTypeError, match=r"integrations\.lightgbm\.Callbacks\(\[EarlySt"):
        EarlyStopping()(object())


def test_every_error_of_closing_is_told() -> None:
    """The first error is raised, and a warning tells of the second."""

    class Fails(Callback):
        def __init__(self, text: str) -> None:
            self._text = text

        def close(self, status: str) -> None:
            raise OSError(self._text)

    callbacks = CallbackList([Fails("first"), Fails("second")])
    with (
        pytest.warns(EventWriterWarning, match=r"closing Fails failed: .*second"),
        pytest.raises(OSError, match="first"),
    ):
        callbacks.close("finished")
