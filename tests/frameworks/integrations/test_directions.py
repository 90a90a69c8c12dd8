"""The directions of metrics, asked of the frameworks that name them."""

from __future__ import annotations

import inspect

import keras
import pytest
import sklearn.metrics

from eventwriter.training.metric_directions import direction_of


def keras_metrics() -> dict[str, str]:
    """Return the directions that metrics of Keras tell, by the names that `logs` has."""
    found = {}
    for kind in vars(keras.metrics).values():
        if inspect.isclass(kind) and issubclass(kind, keras.metrics.Metric):
            parameters = list(inspect.signature(kind).parameters.values())
            if all(each.default is not inspect.Parameter.empty for each in parameters):
                metric = kind()
                direction = getattr(metric, "_direction", None)
                if direction is not None:
                    found[metric.name] = {"up": "max", "down": "min"}[direction]
    return found


@pytest.mark.parametrize("name", sklearn.metrics.get_scorer_names())
def test_scorers(name: str) -> None:
    """A scorer of scikit-learn is high where it is good, also the ones that begin with "neg_"."""
    assert "max" == direction_of(name) == direction_of(f"val_{name}")


def test_metrics_of_keras() -> None:
    """Where a metric of Keras tells its direction, its name tells the same."""
    expected = keras_metrics()

    assert len(expected) > 15
    assert expected == {name: direction_of(name) for name in expected}


@pytest.mark.parametrize(
    ("ending", "direction"), [("_score", "max"), ("_loss", "min"), ("_error", "min")]
)
def test_functions_of_sklearn(ending: str, direction: str) -> None:
    """The ending of a function tells its direction, but for the one whose own page says so."""
    names = [name for name in sklearn.metrics.__all__ if name.endswith(ending)]
    wrong = {name for name in names if direction_of(name) != direction}

    assert len(names) > 4
    assert wrong == ({"davies_bouldin_score"} if ending == "_score" else set())
