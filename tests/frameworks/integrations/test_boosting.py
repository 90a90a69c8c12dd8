"""Callbacks in XGBoost and LightGBM."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
import xgboost

from eventwriter.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations import lightgbm as for_lightgbm
from eventwriter.integrations import xgboost as for_xgboost
from eventwriter.integrations._boosting import metric_names
from tests.frameworks.integrations.adapters import X, Y, train_lightgbm, train_xgboost
from tests.helpers.runs import steps

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("sets", "names"),
    [
        (["train"], ["m"]),
        (["valid"], ["val_m"]),
        (["train", "valid"], ["m", "val_m"]),
        (["valid", "train"], ["val_m", "m"]),
        (["a", "b"], ["m", "val_m"]),
        (["train", "a", "b"], ["m", "val_m", "b_m"]),
        (["validation_0", "validation_1"], ["m", "val_m"]),
    ],
)
def test_metric_names(sets: list[str], names: list[str]) -> None:
    """The training set's metrics have their own names, the first other set's "val_"."""
    assert names == list(metric_names((name, "m", 1.0) for name in sets))


def test_xgboost_checkpoints(tmp_path: Path) -> None:
    """They are XGBoost's own files."""
    train_xgboost([ModelCheckpoint(tmp_path / "{epoch}", "logloss")], 2)

    assert 2 == xgboost.Booster(model_file=tmp_path / "2.ubj").num_boosted_rounds()


def test_lightgbm_checkpoints(tmp_path: Path) -> None:
    """They are LightGBM's own files."""
    train_lightgbm([ModelCheckpoint(tmp_path / "{epoch}", "binary_logloss")], 2)

    assert 2 == lightgbm.Booster(model_file=tmp_path / "2.txt").num_trees()


@pytest.mark.parametrize(
    ("train", "metric"), [(train_xgboost, "val_logloss"), (train_lightgbm, "val_binary_logloss")]
)
def test_early_stopping(train: Any, metric: str) -> None:
    """Rounds end when the held-out metric gets no better."""
    callback = EarlyStopping(metric, min_delta=100, patience=2)
    train([callback], 9)

    assert 2 == callback.stopped_epoch


def test_xgboost_estimator(tmp_path: Path) -> None:
    """Its scikit-learn face takes the callback too."""
    log = for_xgboost.TensorBoard(tmp_path)
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1, callbacks=[log])
    model.fit(X, Y, eval_set=[(X, Y), (X[:9], Y[:9])], verbose=False)

    found = steps(tmp_path)
    assert [0, 1, 2] == found["train:epoch_logloss"] == found["validation:epoch_logloss"]
    assert for_xgboost.XGBoostView(model).weights()


def test_xgboost_state() -> None:
    """A state is put back, and the learning rate of trees to come is set."""
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, Y), 1)
    view = for_xgboost.XGBoostView(booster)
    state = view.get_state()
    assert 0.3 == pytest.approx(view.get_learning_rate())
    view.set_learning_rate(0.5)
    assert 0.5 == view.get_learning_rate()
    booster.update(xgboost.DMatrix(X, Y), 1)
    view.set_state(state)

    assert 1 == booster.num_boosted_rounds()


@pytest.mark.parametrize(
    ("booster", "weights"),
    [("gbtree", {"gain", "weight"}), ("dart", {"gain", "weight"}), ("gblinear", {"weight"})],
)
def test_kinds_of_boosters(tmp_path: Path, booster: str, weights: set[str]) -> None:
    """Each kind tells its learning rate, and its weights after the first round."""
    log = for_xgboost.TensorBoard(tmp_path, histogram_freq=1)
    params = {"nthread": 1, "booster": booster, "eta": 0.25}
    model = xgboost.train(params, xgboost.DMatrix(X, Y), 2, callbacks=[log])

    assert {f"feature_importance/{kind}" for kind in weights} == set(
        for_xgboost.XGBoostView(model).weights()
    )
    found = steps(tmp_path)
    assert [0, 1] == found["train:epoch_learning_rate"]
    for kind in weights:
        assert [0, 1] == found[f"train:feature_importance/{kind}/histogram"]


class Rates(Callback):
    """Notes the learning rate of every round."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.rates.append(self.view.get_learning_rate())


@pytest.mark.parametrize(
    ("train", "metric"), [(train_xgboost, "val_logloss"), (train_lightgbm, "val_binary_logloss")]
)
def test_reduced_learning_rate(train: Any, metric: str) -> None:
    """A callback lowers the learning rate of the rounds that follow."""
    rates = Rates()
    train([rates, ReduceLROnPlateau(metric, patience=1, min_delta=100, factor=0.5)], 4)

    first = rates.rates[0]
    assert [first, first, first / 2, first / 4] == pytest.approx(rates.rates)


@pytest.mark.parametrize("train", [train_xgboost, train_lightgbm])
def test_scheduled_learning_rate(train: Any) -> None:
    """A schedule counts for each round, in LightGBM from the second on: the trees show it."""
    booster: list[Any] = []

    class Keep(Callback):
        def on_train_end(self, logs: Any) -> None:
            booster.append(self.model)

    train([LearningRateScheduler(lambda epoch: [0.5, 1e-6, 0.5][epoch]), Keep()], 3)
    if train is train_lightgbm:
        _, *trees = booster[0].dump_model()["tree_info"]
        assert [1e-6, 0.5] == [tree["shrinkage"] for tree in trees]
    else:
        sizes = [
            max(abs(float(leaf)) for leaf in _leaves(tree))
            for tree in booster[0].get_dump(dump_format="json")
        ]
        assert sizes[1] < 1e-4 < min(sizes[0], sizes[2])


def _leaves(tree: str) -> list[str]:
    return re.findall(r'"leaf": *([-\d.e]+)', tree)


def test_early_stopping_of_lightgbm(tmp_path: Path) -> None:
    """The round in which LightGBM's own callback stops is logged, and training ended well."""
    train = lightgbm.Dataset(X, Y)
    stop = lightgbm.early_stopping(1, verbose=False)
    stop.min_delta = 100
    with for_lightgbm.TensorBoard(tmp_path) as log:
        model = lightgbm.train(
            {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 2},
            train,
            9,
            valid_sets=[lightgbm.Dataset(X[:9], Y[:9], reference=train)],
            callbacks=[log, stop],
        )

    assert 1 == model.best_iteration
    found = steps(tmp_path)
    assert [0, 1] == found["validation:epoch_binary_logloss"]
    assert [0] == found["train:finished"]


# Its newer arguments are not there in all versions that are supported.
@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
def test_lightgbm_estimator(tmp_path: Path) -> None:
    """Its scikit-learn face takes the callback too."""
    log = for_lightgbm.TensorBoard(tmp_path)
    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbosity=-1)
    model.fit(X, Y, eval_set=[(X, Y), (X[:9], Y[:9])], callbacks=[log])

    assert [0, 1, 2] == steps(tmp_path)["train:epoch_binary_logloss"]
    assert for_lightgbm.LightGBMView(model).weights()


def test_lightgbm_plain_callback() -> None:
    """A callback that is not wrapped is refused, with the name of the adapter."""
    data = lightgbm.Dataset(X, Y)
    with pytest.raises(ArgumentTypeError, match=r"integrations\.lightgbm\.Callbacks"):
        lightgbm.train({"verbosity": -1}, data, 2, callbacks=[EarlyStopping()])


def test_xgboost_cross_validation(tmp_path: Path) -> None:
    """Of several boosters' metrics the mean is logged."""
    log = for_xgboost.TensorBoard(tmp_path)
    data = xgboost.DMatrix(X, Y)
    with pytest.raises(ArgumentTypeError, match=r"XGBoostView: expected an xgboost\.Booster"):
        xgboost.cv({"nthread": 1}, data, 2, nfold=2, callbacks=[log], as_pandas=False)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("view", [for_xgboost.XGBoostView, for_lightgbm.LightGBMView])
def test_what_is_no_booster(view: Any) -> None:
    """It is refused by its type."""
    with pytest.raises(ArgumentTypeError, match="ndarray"):
        view(np.zeros(3))
