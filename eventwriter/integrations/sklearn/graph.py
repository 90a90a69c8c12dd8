"""Graphs of scikit-learn's estimators: pipelines, column transformers, unions, meta-estimators.

    in the model                          in the graph
    the data                              Placeholder `input/X`
    step "scale" of a Pipeline            scope and layer `scale`, with a node `transform`
    the last step                         the same, with a node `predict`
    a transformer of a ColumnTransformer  the same, after a node `columns` that selects them
      or of a FeatureUnion                the same; then one node `concatenate`
    "passthrough", "drop"                 one node of that op
    estimator=..., estimators=[...]       scopes in the scope of the meta-estimator
    learned array, such as `coef_`        Parameter `coef_` in the scope of its estimator
    parameters that are no defaults       attributes of the estimator's node
    the result                            Output `output/y`, or `output/X` of a transformer

Nothing is fitted or run. Some facts are known only after fitting, such as the number of columns of
a result. The graph shows them if the model is fitted.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.utils import get_tags

from eventwriter._values.type_name import type_name
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.builder import GraphBuilder, Layer, Output
from eventwriter.graphs.call_arguments import call_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Methods of the last step of a pipeline. All other steps, and the parts of a union, transform.
_METHODS = ("predict", "fit_predict", "transform", "fit_transform")
_TRANSFORMS = ("transform", "fit_transform")
# Parts of a meta-estimator whose input is the result of its other parts, not the data.
_LATER_PARTS = frozenset({"final_estimator", "transformer"})
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_LONGEST_TEXT = 200


class _Data(NamedTuple):
    """The data between two steps.

    Attributes:
        output: The node whose result it is.
        shape: (None, columns) or (None,). None if it is known only after fitting.
        dtype: The dtype, or None if unknown.
    """

    output: Output
    shape: tuple[int | None, ...] | None = None
    dtype: Any = None


def build_graph(
    model: BaseEstimator,
    inputs: Any = None,
    *,
    strict: bool = True,  # noqa: ARG001
) -> GraphBuilder:
    """Return the graph of an estimator. It need not be fitted, and it is not changed.

    Args:
        model: Any estimator. The graph is most useful for an estimator that is made of others.
        inputs: Data, `[samples, columns]`: an array or a data frame, or (X, y), or {"X": ...}. It
            tells the columns of a model that is not fitted.
        strict: Not used: scikit-learn has one way of reading.

    Raises:
        ArgumentTypeError: `model` is no estimator, or is a class, or `inputs` is no data.
        ArgumentValueError: The model was fitted with another number of columns.
    """
    if not _is_estimator(model):
        raise ArgumentTypeError(
            f"scikit-learn model: expected an estimator, got {type_name(model)}. Pass an object "
            "such as make_pipeline(StandardScaler(), LogisticRegression())."
        )
    reader = _Reader()
    x = reader.input(model, inputs)
    result = reader.estimator(model, x, _METHODS)
    name = "X" if _method(model, _METHODS) in _TRANSFORMS else "y"
    reader.graph.node(
        f"output/{name}", "Output", result.output, shape=result.shape, dtype=result.dtype
    )
    return reader.graph


class _Reader:
    """Reads one model, with the estimators inside it."""

    def __init__(self) -> None:
        self.graph = GraphBuilder()

    def input(self, model: Any, inputs: Any) -> _Data:
        """Add the node of the data."""
        count = getattr(model, "n_features_in_", None)
        names = getattr(model, "feature_names_in_", None)
        shape: tuple[int | None, ...] | None = None if count is None else (None, count)
        dtype = None
        if inputs is not None:
            data = _first_argument(inputs)
            shape, dtype, names = _described(data, names)
            # A data frame may have columns that the model does not use.
            by_name = hasattr(data, "columns")
            if count is not None and shape != (None, count) and not by_name:
                raise ArgumentValueError(
                    f"scikit-learn model: inputs: expected data with {count} columns, with which "
                    f"{type_name(model)} was fitted, got shape {np.shape(data)}. Pass such "
                    "data."
                )
        attrs = None if names is None else {"columns": _shown(list(names))}
        output = self.graph.node("input/X", "Placeholder", shape=shape, dtype=dtype, attrs=attrs)
        return _Data(output, shape, dtype)

    def step(self, name: str, estimator: Any, data: _Data, methods: tuple[str, ...]) -> _Data:
        """Add an estimator, or a word such as "passthrough" instead of one, under its name."""
        if estimator is None or isinstance(estimator, str):
            return self._node(name, estimator or "passthrough", [data], data.shape, data.dtype)
        activation = getattr(estimator, "activation", None)
        layer = Layer(type(estimator).__name__, activation if isinstance(activation, str) else None)
        with self.graph.scope(name, layer=layer):
            return self.estimator(estimator, data, methods)

    def estimator(self, estimator: Any, data: _Data, methods: tuple[str, ...]) -> _Data:
        """Add the parts of an estimator to the current scope."""
        if isinstance(estimator, Pipeline):
            last = len(estimator.steps) - 1
            for index, (name, step) in enumerate(estimator.steps):
                data = self.step(name, step, data, methods if index == last else _TRANSFORMS)
            return data
        if isinstance(estimator, ColumnTransformer):
            results = list(self._column_transformers(estimator, data))
        elif isinstance(estimator, FeatureUnion):
            results = [
                self.step(name, part, data, _TRANSFORMS)
                for name, part in estimator.transformer_list
                if not _is_drop(part)
            ]
        else:
            return self._single(estimator, data, methods)
        attrs = _changed_params(estimator)
        return self._node("concatenate", "Concatenate", results, _width(estimator), attrs=attrs)

    def _column_transformers(self, estimator: ColumnTransformer, data: _Data) -> Iterator[_Data]:
        fitted = {name: (part, columns) for name, part, columns in _fitted_transformers(estimator)}
        rest = [("remainder", estimator.remainder, None)]
        for name, given, given_columns in [*estimator.transformers, *rest]:
            part, columns = fitted.get(name, (given, given_columns))
            if name == "remainder" and not _has_columns(columns, default=not _is_drop(given)):
                continue
            attrs = {"columns": _shown_columns(columns)}
            selected = _columns_shape(columns, data.shape)
            if isinstance(given, str):
                result = self._node(name, given, [data], selected, data.dtype, attrs)
                if not _is_drop(given):
                    yield result
                continue
            with self.graph.scope(name):
                chosen = self._node("columns", "Columns", [data], selected, data.dtype, attrs)
            yield self.step(name, part, chosen, _TRANSFORMS)

    def _single(self, estimator: Any, data: _Data, methods: tuple[str, ...]) -> _Data:
        """Add the node of an estimator. The parts of a meta-estimator come before it."""
        method = _method(estimator, methods)
        results: list[_Data] = []
        for name, part in sorted(_parts(estimator), key=lambda item: item[0] in _LATER_PARTS):
            if name in _LATER_PARTS and results:
                taken = self._gathered(results, data, estimator)
                results = [self.step(name, part, taken, _METHODS)]
            else:
                results.append(self.step(name, part, data, _METHODS))
        if method in _TRANSFORMS or not results:
            results.insert(0, data)
        learned = [
            _Data(self.graph.node(name, "Parameter", shape=array.shape, dtype=array.dtype))
            for name, array in _learned(estimator)
        ]
        transforms = method in _TRANSFORMS
        shape, dtype = (_width(estimator), None) if transforms else _prediction(estimator)
        op = type(estimator).__name__
        attrs = _changed_params(estimator)
        return self._node(method, op, [*results, *learned], shape, dtype, attrs)

    def _gathered(self, results: list[_Data], data: _Data, estimator: Any) -> _Data:
        """Return the results of several parts as one, with the data if it is passed on."""
        taken = [*results, data] if getattr(estimator, "passthrough", False) else results
        return taken[0] if len(taken) == 1 else self._node("concatenate", "Concatenate", taken)

    def _node(
        self,
        name: str,
        op: str,
        inputs: Iterable[_Data],
        shape: tuple[int | None, ...] | None = None,
        dtype: Any = None,
        attrs: dict[str, Any] | None = None,
    ) -> _Data:
        taken = [data.output for data in inputs]
        output = self.graph.node(name, op, taken, shape=shape, dtype=dtype, attrs=attrs)
        return _Data(output, shape, dtype)


def _is_estimator(value: Any) -> TypeGuard[BaseEstimator]:
    return not isinstance(value, type) and hasattr(value, "get_params") and hasattr(value, "fit")


def _is_drop(part: Any) -> bool:
    return isinstance(part, str) and part == "drop"


def _method(estimator: Any, methods: tuple[str, ...]) -> str:
    """Return the first of `methods` that the estimator has; "fit" if it has none."""
    return next((method for method in methods if hasattr(estimator, method)), "fit")


def _first_argument(inputs: Any) -> Any:
    """Return X of (X, y), of {"X": X}, or of X itself."""
    args, kwargs = call_arguments(inputs)
    return args[0] if args else kwargs.get("X", inputs)


def _described(data: Any, names: Any) -> tuple[tuple[int | None, ...], Any, Any]:
    """Return shape, dtype and column names of an array or a data frame."""
    try:
        shape = getattr(data, "shape", None) or np.shape(data)
    except ValueError:
        shape = ()
    if not shape:
        raise ArgumentTypeError(
            "scikit-learn model: inputs: expected data of shape [samples, columns], an array or a "
            f"data frame, got {type_name(data)}."
        )
    dtype = getattr(data, "dtype", None)
    columns = getattr(data, "columns", None)
    if columns is not None:
        dtypes = {str(one) for one in data.dtypes}
        dtype = dtypes.pop() if len(dtypes) == 1 else None
    return (None, *shape[1:]), dtype, names if columns is None else columns


def _fitted_transformers(estimator: ColumnTransformer) -> list[tuple[str, Any, Any]]:
    return list(getattr(estimator, "transformers_", ()))


def _has_columns(columns: Any, *, default: bool) -> bool:
    """Return whether there is any column, or `default` before fitting."""
    return default if columns is None else bool(len(columns))


def _columns_shape(
    columns: Any, shape: tuple[int | None, ...] | None
) -> tuple[int | None, ...] | None:
    """Return the shape of selected columns. One column that is not in a list becomes 1-D."""
    if isinstance(columns, (str, int)):
        return (None,)
    if isinstance(columns, slice):
        every = shape[1] if shape is not None and len(shape) == 2 else None
        if every is None or isinstance(columns.start, str) or isinstance(columns.stop, str):
            return (None, None)
        return (None, len(range(every)[columns]))
    if columns is None or callable(columns):
        return (None, None)
    chosen = list(columns)
    masks = bool(chosen) and all(isinstance(one, (bool, np.bool_)) for one in chosen)
    return (None, sum(map(bool, chosen)) if masks else len(chosen))


def _shown_columns(columns: Any) -> Any:
    if columns is None or isinstance(columns, (str, int)):
        return columns
    if isinstance(columns, slice) or callable(columns):
        return _shown(columns)
    return _shown(list(columns))


def _width(estimator: Any) -> tuple[None, int] | None:
    """Return the shape of a fitted transformer's result; None if it is unknown."""
    places = getattr(estimator, "output_indices_", None)
    if places is not None:
        return None, max((place.stop for place in places.values()), default=0)
    try:
        return None, len(estimator.get_feature_names_out())
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # not fitted, or a step that does not name its columns


def _prediction(estimator: Any) -> tuple[tuple[None] | None, Any]:
    """Return shape and dtype of predictions. The shape is None if there may be several outputs."""
    classes = getattr(estimator, "classes_", None)
    several = not isinstance(estimator, BaseEstimator) or (
        get_tags(estimator).target_tags.multi_output and not isinstance(classes, np.ndarray)
    )
    dtype = classes.dtype if isinstance(classes, np.ndarray) else None
    return None if several else (None,), dtype if dtype is None or dtype.kind != "O" else "string"


def _parts(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a meta-estimator, fitted if it keeps them fitted."""
    for name, value in estimator.get_params(deep=False).items():
        fitted = getattr(estimator, f"{name}_", None)
        if name == "estimator":
            fitted = getattr(estimator, "best_estimator_", fitted)
        if _is_estimator(value) or (value is None and _is_estimator(fitted)):
            yield name, fitted if _is_estimator(fitted) else value
        elif _are_named_estimators(value):
            members = getattr(estimator, f"named_{name}_", {})
            yield from ((key, members.get(key, part)) for key, part in value if not _is_drop(part))


def _are_named_estimators(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(item, tuple) and len(item) == 2 for item in value)
        and any(_is_estimator(part) for _, part in value)
    )


def _learned(estimator: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield learned arrays: in scikit-learn, their names end with an underscore."""
    for name, value in vars(estimator).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        if isinstance(value, np.ndarray):
            arrays = {name: value}
        elif isinstance(value, list) and all(isinstance(one, np.ndarray) for one in value):
            arrays = {f"{name}/{index}": one for index, one in enumerate(value)}
        else:
            continue
        yield from ((key, array) for key, array in arrays.items() if array.dtype.kind != "O")


def _changed_params(estimator: Any) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, without those that are estimators."""
    defaults = inspect.signature(type(estimator).__init__).parameters
    return {
        name: _shown(value)
        for name, value in estimator.get_params(deep=False).items()
        if not (_is_estimator(value) or _are_named_estimators(value))
        and name not in {"transformers", "transformer_list", "remainder"}
        # Arrays and NaN are compared by their repr, as in the printing of scikit-learn itself.
        and (name not in defaults or repr(defaults[name].default) != repr(value))
    }


def _shown(value: Any) -> Any:
    """Return a value as an attribute: itself, or its text without addresses in memory."""
    if isinstance(value, (bool, int, float, str, np.generic)):
        return value
    if isinstance(value, list):
        plain = [one.item() if isinstance(one, np.generic) else one for one in value]
        if {type(one) for one in plain} in ({str}, {int}, {float}, {bool}):
            return plain
    return _ADDRESS.sub("", repr(value))[:_LONGEST_TEXT]
