"""Graphs of scikit-learn's models: the steps, their columns and what fitting has told."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.ensemble import RandomForestRegressor, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from eventwriter.graphs.plot import plot_graph
from eventwriter.graphs.sources import build_graph
from eventwriter.integrations.sklearn.graph import build_graph as build
from tests.frameworks.graphs.models_sklearn import (
    column_pipeline,
    fitted_column_pipeline,
    passengers,
    search_over_union,
    stack,
)
from tests.helpers.patience import LONG_SECS

if TYPE_CHECKING:
    from pathlib import Path

    from eventwriter._proto.graph_pb2 import NodeDef
    from eventwriter.graphs import GraphBuilder


def nodes_of(graph: GraphBuilder) -> dict[str, NodeDef]:
    return {node.name: node for node in graph.to_graph_def().node}


def edges_of(graph: GraphBuilder) -> dict[str, list[str]]:
    """What each node takes, without parameters."""
    nodes = nodes_of(graph)
    return {
        name: [source for source in node.input if nodes[source].op != "Parameter"]
        for name, node in nodes.items()
        if node.op != "Parameter"
    }


def shape(node: NodeDef) -> list[int] | None:
    found = node.attr["_output_shapes"].list.shape
    return [dim.size for dim in found[0].dim] if found else None


def estimators_within(scope: str, estimator: Any) -> dict[str, str]:
    """Scope -> class name of what scikit-learn itself says that a model is made of."""
    names = [name for name in estimator.get_params(deep=True) if "__" not in name]
    params = estimator.get_params(deep=False)
    found = {}
    for name in names:
        part = estimator.get_params()[name]
        if hasattr(part, "fit"):
            inner = f"{scope}{name}"
            found[inner] = type(part).__name__
            found |= estimators_within(f"{inner}/", part)
    assert params
    return found


@pytest.mark.parametrize("make", [column_pipeline, fitted_column_pipeline, stack])
def test_layers_are_the_estimators(make: Any) -> None:
    """Every estimator in a model, however deep, is a scope and a layer with its class."""
    model, data = make()

    assert estimators_within("", model) == {
        name: layer.class_name for name, layer in build(model, data).layers.items()
    }


@pytest.mark.parametrize("make", [column_pipeline, fitted_column_pipeline])
def test_column_transformer(make: Any) -> None:
    """Branches select their columns, are passed on or dropped, and meet in one node."""
    model, data = make()
    graph = build(model, data)

    assert {
        "input/X": [],
        "prepare/numbers/columns": ["input/X"],
        "prepare/numbers/impute/transform": ["prepare/numbers/columns"],
        "prepare/numbers/scale/transform": ["prepare/numbers/impute/transform"],
        "prepare/categories/columns": ["input/X"],
        "prepare/categories/transform": ["prepare/categories/columns"],
        "prepare/counts": ["input/X"],
        "prepare/ids": ["input/X"],
        "prepare/concatenate": [
            "prepare/numbers/scale/transform",
            "prepare/categories/transform",
            "prepare/counts",
        ],
        "classify/predict": ["prepare/concatenate"],
        "output/y": ["classify/predict"],
    } == edges_of(graph)
    found = nodes_of(graph)
    for name, _, columns in model.named_steps["prepare"].transformers:
        node = found.get(f"prepare/{name}/columns") or found[f"prepare/{name}"]

        assert columns == [one.decode() for one in node.attr["columns"].list.s]
        assert [-1, len(columns)] == shape(node)
    assert ("passthrough", "drop") == (found["prepare/counts"].op, found["prepare/ids"].op)
    assert "LogisticRegression" == found["classify/predict"].op


def test_shapes_of_a_fitted_model() -> None:
    """Each step's shape is that of what it gives for the data."""
    model, data = fitted_column_pipeline()
    found = nodes_of(build(model))
    prepare = model.named_steps["prepare"]
    numbers = prepare.named_transformers_["numbers"]
    impute = numbers.named_steps["impute"].transform(data[["age", "fare"]])
    prepared = prepare.transform(data)

    assert [-1, data.shape[1]] == shape(found["input/X"])
    assert [-1, impute.shape[1]] == shape(found["prepare/numbers/impute/transform"])
    assert [-1, prepared.shape[1]] == shape(found["prepare/concatenate"])
    assert [-1] == shape(found["classify/predict"]) == shape(found["output/y"])
    coefficients = model.named_steps["classify"].coef_

    assert list(coefficients.shape) == shape(found["classify/coef_"])
    assert list(data.columns) == [one.decode() for one in found["input/X"].attr["columns"].list.s]


def test_parameters_are_what_fitting_left() -> None:
    """All arrays that an estimator has learned, with shape and dtype, and no values."""
    model, _ = search_over_union()
    found = nodes_of(build(model))
    pca = model.best_estimator_.named_steps["features"].transformer_list[0][1]
    learned = {
        f"estimator/features/pca/{name}": list(value.shape)
        for name, value in vars(pca).items()
        if name.endswith("_") and isinstance(value, np.ndarray)
    }

    assert learned == {
        name: shape(node)
        for name, node in found.items()
        if name.startswith("estimator/features/pca/") and node.op == "Parameter"
    }
    assert all("value" not in node.attr for node in found.values())


def test_search() -> None:
    """A search is made of its best estimator; steps that are left out take no part."""
    graph = build(search_over_union()[0])

    assert {
        "input/X": [],
        "estimator/skip": ["input/X"],
        "estimator/features/pca/transform": ["estimator/skip"],
        "estimator/features/best/transform": ["estimator/skip"],
        "estimator/features/concatenate": [
            "estimator/features/pca/transform",
            "estimator/features/best/transform",
        ],
        "estimator/forest/predict": ["estimator/features/concatenate"],
        "predict": ["estimator/forest/predict"],
        "output/y": ["predict"],
    } == edges_of(graph)
    assert [-1, 3] == shape(nodes_of(graph)["estimator/features/concatenate"])


def test_stacking() -> None:
    """The final estimator takes what the others give, and the data where it is passed on."""
    edges = edges_of(build(*stack()))

    assert ["tree/predict", "scaled/linear/predict", "input/X"] == edges["concatenate"]
    assert ["concatenate"] == edges["final_estimator/predict"]
    assert ["final_estimator/predict"] == edges["predict"]


def test_other_meta_estimators() -> None:
    """Votes take all members' predictions; a selector takes the data too; targets come back."""
    members = [("a", LogisticRegression()), ("b", KMeans()), ("c", "drop")]
    votes = edges_of(build(VotingClassifier(members)))
    selector = edges_of(build(SelectFromModel(LogisticRegression())))
    target = edges_of(
        build(TransformedTargetRegressor(LinearRegression(), transformer=StandardScaler()))
    )

    assert ["a/predict", "b/predict"] == votes["predict"]
    assert ["input/X", "estimator/predict"] == selector["transform"]
    assert "output/X" in selector
    assert ["regressor/predict"] == target["transformer/transform"]
    assert ["transformer/transform"] == target["predict"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["age", "fare"], [-1, 2]),
        ([0, 3, 4], [-1, 3]),
        (np.array(["age"]), [-1, 1]),
        ([True, False, True, False, False, True], [-1, 3]),
        (slice(1, 5), [-1, 4]),
        (slice("age", "sex"), [-1, -1]),
        ("age", [-1]),
        (2, [-1]),
        (make_column_selector("a"), [-1, -1]),
        ([], [-1, 0]),
    ],
)
def test_columns(columns: Any, expected: list[int]) -> None:
    """Every form of columns that scikit-learn takes, before fitting."""
    model = ColumnTransformer([("only", FunctionTransformer(), columns)])
    node = nodes_of(build(model, passengers()[0]))["only/columns"]

    assert expected == shape(node)
    assert "columns" in node.attr


def test_columns_chosen_when_fitting() -> None:
    """What a selector has chosen, and what remained, is there after fitting."""
    frame, _ = passengers()
    model = ColumnTransformer(
        [("text", "drop", make_column_selector(dtype_exclude=np.number))],
        remainder=StandardScaler(),
    )
    before, after = nodes_of(build(model, frame)), nodes_of(build(model.fit(frame)))

    assert b"make_column_selector" in before["text"].attr["columns"].s
    assert [b"sex", b"port", b"ticket"] == after["text"].attr["columns"].list.s
    assert [-1, 3] == shape(after["remainder/columns"])
    assert [-1, 3] == shape(after["concatenate"])


def test_params_that_differ() -> None:
    """They are attributes; defaults and addresses in memory are not there."""
    model = make_pipeline(
        FunctionTransformer(np.log1p, kw_args={"f": passengers}),
        LogisticRegression(C=0.5, tol=1e-4),
    )
    found = nodes_of(build(model))
    log, predict = found["functiontransformer/transform"], found["logisticregression/predict"]

    assert 0.5 == predict.attr["C"].f
    assert "tol" not in predict.attr
    assert b"log1p" in log.attr["func"].s
    assert b" at 0x" not in log.attr["kw_args"].s


@pytest.mark.parametrize(
    ("estimator", "node"),
    [
        (LogisticRegression(), "predict"),
        (DBSCAN(), "fit_predict"),
        (StandardScaler(), "transform"),
        (CountVectorizer(), "transform"),
    ],
)
def test_single_estimators(estimator: Any, node: str) -> None:
    """One estimator is one node, of what it does."""
    end = "output/y" if "predict" in node else "output/X"

    assert {"input/X": [], node: ["input/X"], end: [node]} == edges_of(build(estimator))


def test_predictions_of_several_outputs() -> None:
    """Where an estimator may predict several numbers a sample, the shape stays open."""
    found = nodes_of(build(RandomForestRegressor()))

    assert shape(found["predict"]) is None


def test_activation() -> None:
    """A network's activation is known to the picture."""
    model = Pipeline([("net", MLPClassifier(activation="tanh"))])

    assert "tanh" == build(model).layers["net"].activation


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (np.zeros((5, 3), np.float32), [-1, 3]),
        ([[1, 2], [3, 4]], [-1, 2]),
        ((np.zeros((5, 3)), np.zeros(5)), [-1, 3]),
        ({"X": np.zeros((5, 3))}, [-1, 3]),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}), [-1, 2]),
        (["text", "more text"], [-1]),
        (None, None),
    ],
)
def test_inputs(inputs: Any, expected: list[int] | None) -> None:
    """Arrays, lists, frames, (X, y) and {"X": X} tell the columns of an unfitted model."""
    assert expected == shape(nodes_of(build(StandardScaler(), inputs))["input/X"])


@pytest.mark.parametrize("inputs", [3, object(), {"data": 1}, [[1], [2, 3]]])
def test_inputs_that_are_no_data(inputs: Any) -> None:
    """They are refused by their type."""
    with pytest.raises(ArgumentTypeError, match=r"inputs: expected data of shape.*got"):
        build(StandardScaler(), inputs)


def test_inputs_that_do_not_fit() -> None:
    """An array with other columns than the model was fitted with is refused.

    A frame may hold more: scikit-learn finds its columns by their names.
    """
    model, frame = fitted_column_pipeline()
    with pytest.raises(
        ArgumentValueError, match=r"expected data with 6 columns.*was fitted.*shape \(2, 4\)"
    ):
        build(model, np.zeros((2, 4)))

    assert [-1, 7] == shape(nodes_of(build(model, frame.assign(more=1)))["input/X"])


@pytest.mark.parametrize("model", [LogisticRegression, object(), None])
def test_bad_models(model: Any) -> None:
    """Classes and other things are refused by name."""
    with pytest.raises(ArgumentTypeError, match=r"expected an estimator"):
        build(model)


class Untold(TransformerMixin, BaseEstimator):
    """A transformer that only fits and transforms, as users write them."""

    def fit(self, X: Any, y: Any = None) -> Untold:  # noqa: N803 - scikit-learn's names
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return X


def test_a_users_own_transformer() -> None:
    """It is a step like others; what it does not tell stays open."""
    model = make_pipeline(Untold(), LogisticRegression())
    node = nodes_of(build_graph(model.fit(np.arange(8).reshape(4, 2), [0, 1, 0, 1])))[
        "untold/transform"
    ]

    assert "Untold" == node.op
    assert shape(node) is None


@pytest.mark.parametrize(
    "make", [column_pipeline, fitted_column_pipeline, search_over_union, stack]
)
def test_model_is_left_as_it_was(make: Any) -> None:
    """Neither the model nor the random state changes."""
    model, data = make()
    before, state = pickle.dumps(model), np.random.get_state()[1].tolist()
    build(model, data)

    assert before == pickle.dumps(model)
    assert state == np.random.get_state()[1].tolist()


def test_no_other_framework_is_loaded() -> None:
    """The finder imports scikit-learn's source alone."""
    code = (
        "import sys\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from eventwriter.graphs.sources import build_graph\n"
        "build_graph(LogisticRegression())\n"
        "print(*{'torch', 'jax', 'keras', 'onnx', 'tensorflow', 'graphviz'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    child = subprocess.run(command, capture_output=True, text=True, timeout=LONG_SECS, check=True)

    assert "\n" == child.stdout


def test_picture(tmp_path: Path) -> None:
    """Expanded, the transformer is a cluster around its branches, a pipeline one within."""
    model, data = column_pipeline()
    path = plot_graph(model, tmp_path / "m.dot", expand_nested=True, input_to_model=data)
    dot = path.read_text("utf-8")

    assert '\n  subgraph "cluster_prepare" {' in dot
    assert '\n    subgraph "cluster_prepare/numbers" {' in dot
    assert "<b>scale</b> (StandardScaler)" in dot
    assert '"prepare/concatenate" -> "classify"' in dot
