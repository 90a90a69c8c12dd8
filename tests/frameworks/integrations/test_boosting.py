"""Callbacks in XGBoost and LightGBM."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.metrics import log_loss

from eventwriter.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    History,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from eventwriter.callbacks import TensorBoard as CallbackTensorBoard
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations import lightgbm as for_lightgbm
from eventwriter.integrations import xgboost as for_xgboost
from eventwriter.integrations._boosting_names import Result, likely_training, metric_names
from eventwriter.integrations._importances import importance_numbers
from eventwriter.integrations.xgboost.view import _find_learning_rate
from tests.frameworks.integrations.adapters import X, Y, train_lightgbm, train_xgboost
from tests.helpers.runs import steps
from tests.helpers.runs import values as values_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("sets", "names"),
    [
        (["train"], ["m"]),
        (["valid"], ["val_m"]),
        (["train", "valid"], ["m", "val_m"]),
        (["valid", "train"], ["val_m", "m"]),
        (["Valid", "Train"], ["val_m", "m"]),
        (["X_test", "X_train"], ["val_m", "m"]),
        (["dTest", "dtrain"], ["val_m", "m"]),
        (["a", "b"], ["m", "val_m"]),
        (["valid", "a"], ["val_m", "m"]),
        (["valid", "test"], ["val_m", "test_m"]),
        (["test", "valid"], ["test_m", "val_m"]),
        (["validation", "val", "train"], ["validation_m", "val_m", "m"]),
        (["train", "a", "b"], ["m", "val_m", "b_m"]),
        (["constraint"], ["val_m"]),
        (["validation_0"], ["val_m"]),
        (["validation_0", "validation_1"], ["m", "val_m"]),
    ],
)
def test_metric_names(sets: list[str], names: list[str]) -> None:
    """The training set's metrics have their own names, the validation set's "val_"."""
    results = [Result(name, "m", 1.0) for name in sets]

    assert names == list(metric_names(results, likely_training(sets)))


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
    assert [0, 1, 2] == found["train:epoch/logloss"] == found["validation:epoch/logloss"]
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
    assert [0, 1] == found["train:epoch/learning_rate"]
    for kind in weights:
        assert [0, 1] == found[f"train:weights/feature_importance/{kind}"]


def test_learning_rate_of_an_updater() -> None:
    """It is found where a configuration lists its updaters, too."""
    config = {
        "name": "gbtree",
        "updater": [{"name": "a"}, {"train_param": {"learning_rate": "0.5"}}],
    }

    assert 0.5 == _find_learning_rate(config)


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
    assert [0, 1] == found["validation:epoch/binary_logloss"]
    assert [0] == found["train:finished"]


# Its newer arguments are not there in all versions that are supported.
@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
def test_lightgbm_estimator(tmp_path: Path) -> None:
    """Its scikit-learn face takes the callback too."""
    log = for_lightgbm.TensorBoard(tmp_path)
    model = lightgbm.LGBMClassifier(n_estimators=3, n_jobs=1, verbosity=-1)
    model.fit(X, Y, eval_set=[(X, Y), (X[:9], Y[:9])], callbacks=[log])

    assert [0, 1, 2] == steps(tmp_path)["train:epoch/binary_logloss"]
    assert for_lightgbm.LightGBMView(model).weights()


def test_lightgbm_plain_callback() -> None:
    """A callback that is not wrapped is refused, with the name of the adapter."""
    data = lightgbm.Dataset(X, Y)
    with pytest.raises(ArgumentTypeError, match=r"integrations\.lightgbm\.Callbacks"):
        lightgbm.train({"verbosity": -1}, data, 2, callbacks=[EarlyStopping()])


def test_xgboost_only_set_is_held_out(tmp_path: Path) -> None:
    """A set that is alone is validation, whatever XGBoost calls it, so that it stops training."""
    stop = EarlyStopping("val_logloss", min_delta=100, patience=2)
    callbacks = for_xgboost.Callbacks([CallbackTensorBoard(tmp_path), stop])
    model = xgboost.XGBClassifier(n_estimators=9, n_jobs=1, callbacks=[callbacks])
    model.fit(X, Y, eval_set=[(X[:9], Y[:9])], verbose=False)

    assert 2 == stop.stopped_epoch
    found = steps(tmp_path)
    assert [0, 1, 2] == found["validation:epoch/logloss"]
    assert "train:epoch/logloss" not in found


def lightgbm_data(reference: Any = None) -> Any:
    return lightgbm.Dataset(X, Y, reference=reference, free_raw_data=False)


LIGHTGBM = {"objective": "binary", "num_threads": 1, "verbosity": -1, "min_data_in_leaf": 2}
XGBOOST = {"objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1}


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("tv", ["anything", "train"]),  # the name of the other set does not mislead
        ("vt", ["Valid", "Train"]),
        ("vt", None),
        ("v", None),
        ("v", ["a"]),
        ("vw", None),
    ],
)
def test_lightgbm_knows_its_training_set(order: str, names: list[str] | None) -> None:
    """It is the set that is trained on, by whatever name. Others are held out."""
    seen = History()
    data = lightgbm_data()
    sets = {"t": data, "v": lightgbm_data(data), "w": lightgbm_data(data)}
    lightgbm.train(
        LIGHTGBM,
        data,
        1,
        valid_sets=[sets[letter] for letter in order],
        valid_names=names,
        callbacks=[for_lightgbm.Callbacks([seen])],
    )

    expected = {"t": "binary_logloss", "v": "val_binary_logloss", "w": "valid_1_binary_logloss"}
    assert {expected[letter] for letter in order} == set(seen.history)


class Best(Callback):
    """Adds the metric "own", which is lowest in one round."""

    def __init__(self, best: int) -> None:
        self._best = best

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        logs["own"] = abs(epoch - self._best)


def stopping(best: int, **options: Any) -> list[Callback]:
    """Return callbacks that stop two rounds after the best one."""
    return [Best(best), EarlyStopping("own", mode="min", patience=2, **options)]


BOTH = pytest.mark.parametrize("train", [train_xgboost, train_lightgbm])


@BOTH
@pytest.mark.parametrize("epochs", [4, 9])
def test_best_round(train: Any, epochs: int) -> None:
    """After an early stop, and also at the last round, the booster knows its best round."""
    kept: list[Any] = []
    train([*stopping(2), KeepModel(kept)], epochs)

    # XGBoost counts rounds from 0, LightGBM from 1.
    assert kept[0].best_iteration == (2 if train is train_xgboost else 3)


@BOTH
def test_no_best_round(train: Any) -> None:
    """A training without EarlyStopping says nothing of a best round."""
    kept: list[Any] = []
    train([KeepModel(kept)], 3)

    if train is train_xgboost:
        with pytest.raises(AttributeError, match="only defined when early stopping"):
            _ = kept[0].best_iteration
    else:
        assert 0 == kept[0].best_iteration


class KeepModel(Callback):
    """Gives the booster away."""

    def __init__(self, kept: list[Any]) -> None:
        self._kept = kept

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self._kept[:] = [self.model]


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_predictions_of_the_best_round(framework: str) -> None:
    """An estimator predicts with the rounds up to the best one, as after its own early stopping."""
    folder = for_xgboost if framework == "xgboost" else for_lightgbm
    callbacks = folder.Callbacks(stopping(2))
    data = {"eval_set": [(X[:32], Y[:32])]}
    if framework == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=9, n_jobs=1, callbacks=[callbacks])
        model.fit(X, Y, **data, verbose=False)
        found = model.predict_proba(X)
        short = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, Y)
    else:
        options = {"n_jobs": 1, "verbosity": -1}
        model = lightgbm.LGBMClassifier(n_estimators=9, **options)
        model.fit(X, Y, **data, callbacks=[callbacks])
        found = model.predict_proba(X)
        short = lightgbm.LGBMClassifier(n_estimators=3, **options).fit(X, Y)
        # The scores are those of the best round too.
        assert model.best_score_["valid_0"]["binary_logloss"] == pytest.approx(
            log_loss(Y[:32], found[:32])
        )

    assert np.array_equal(short.predict_proba(X), found)


def test_xgboost_continued(tmp_path: Path) -> None:
    """The best round of a booster that is trained on counts its earlier rounds."""
    data = xgboost.DMatrix(X, Y)
    first = xgboost.train(XGBOOST, data, 4)
    callbacks = for_xgboost.Callbacks(stopping(2))
    model = xgboost.train(
        XGBOOST,
        data,
        9,
        evals=[(data, "train")],
        xgb_model=first,
        callbacks=[callbacks],
        verbose_eval=False,
    )

    assert 4 + 2 == model.best_iteration


@BOTH
def test_restored_rounds(train: Any) -> None:
    """`restore_best_weights` leaves the rounds up to the best one."""
    kept: list[Any] = []
    train([*stopping(2, restore_best_weights=True), KeepModel(kept)], 9)

    if train is train_xgboost:
        assert 3 == kept[0].num_boosted_rounds()
    else:
        assert 3 == kept[0].num_trees()


@pytest.mark.parametrize(
    ("face", "remedy"), [(for_xgboost, "xgb_model="), (for_lightgbm, "init_model=")]
)
def test_backups_are_refused(face: Any, remedy: str, tmp_path: Path) -> None:
    """Before a round is trained, with the framework's own way to continue."""
    with pytest.raises(ArgumentTypeError, match=f"got BackupAndRestore.*{remedy}"):
        face.Callbacks([[BackupAndRestore(tmp_path)]])


@BOTH
def test_no_warning_of_layers(train: Any, tmp_path: Path) -> None:
    """Nobody is told that trees have neither activations nor gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train([CallbackTensorBoard(tmp_path, histogram_freq=1)], 2)

    assert [0, 1] == steps(tmp_path)["train:epoch/learning_rate"]


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_importances_have_names(framework: str, tmp_path: Path) -> None:
    """Each feature has a curve with its name, also a feature that no split uses."""
    names = ["age", "income", "height", "constant"]
    values = X * [1, 1, 1, 0]
    face = for_xgboost if framework == "xgboost" else for_lightgbm
    log = face.TensorBoard(tmp_path, histogram_freq=1)
    kept: list[Any] = []
    callbacks = [log, face.Callbacks([KeepModel(kept)])]
    if framework == "xgboost":
        data = xgboost.DMatrix(values, Y, feature_names=names)
        xgboost.train(XGBOOST, data, 2, callbacks=callbacks)
        expected = dict.fromkeys(names, 0.0) | kept[0].get_score(importance_type="gain")
    else:
        data = lightgbm.Dataset(values, Y, feature_name=names)
        booster = lightgbm.train(LIGHTGBM, data, 2, callbacks=callbacks)
        expected = dict(zip(names, booster.feature_importance("gain"), strict=True))

    assert 0 == expected["constant"] < max(expected.values())
    found = steps(tmp_path)
    for name in names:
        tag = f"feature_importance/gain/{name}"
        assert [0, 1] == found[f"train:{tag}"]
        assert expected[name] == pytest.approx(values_of(tmp_path / "train", tag)[-1])


def test_many_features() -> None:
    """Of many features those are shown that matter most."""
    numbers = importance_numbers({"gain": np.arange(500.0)}, [f"f{n}" for n in range(500)])

    assert {f"gain/f{n}": float(n) for n in range(400, 500)} == numbers


def cross_validate(framework: str, callbacks: list[Any], rounds: int) -> tuple[Any, Any, Any, Any]:
    """Return the means and deviations of training and of validation."""
    if framework == "xgboost":
        table = xgboost.cv(
            XGBOOST, xgboost.DMatrix(X, Y), rounds, nfold=3, callbacks=callbacks, as_pandas=False
        )
        names = [f"{data}-logloss-{kind}" for data in ("train", "test") for kind in ("mean", "std")]
    else:
        table = lightgbm.cv(
            LIGHTGBM,
            lightgbm.Dataset(X, Y),
            rounds,
            nfold=3,
            eval_train_metric=True,
            callbacks=callbacks,
        )
        names = [
            f"{data} binary_logloss-{kind}"
            for data in ("train", "valid")
            for kind in ("mean", "stdv")
        ]
    return tuple(table[name] for name in names)


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_cross_validation(framework: str, tmp_path: Path) -> None:
    """Mean and deviation of each metric are curves, and one chart with a margin."""
    face = for_xgboost if framework == "xgboost" else for_lightgbm
    metric = "logloss" if framework == "xgboost" else "binary_logloss"
    log = face.TensorBoard(tmp_path, histogram_freq=1)
    mean, deviation, val_mean, val_deviation = cross_validate(framework, [log], 3)
    log.__exit__(None)

    for run, means, deviations in (
        ("train", mean, deviation),
        ("validation", val_mean, val_deviation),
    ):
        assert means == pytest.approx(values_of(tmp_path / run, f"epoch/{metric}"))
        assert deviations == pytest.approx(values_of(tmp_path / run, f"epoch/{metric}_std"))
        lower = np.subtract(means, deviations)
        assert lower == pytest.approx(values_of(tmp_path / run, f"margin_{metric}/lower"))
    found = steps(tmp_path)
    assert [0] == found["train:custom_scalars__config__"]
    assert [0, 1, 2] == found["train:epoch/learning_rate"]
    assert [0, 1, 2] == found["train:weights/feature_importance/gain"]


def test_cross_validation_in_one_run(tmp_path: Path) -> None:
    """Where training and validation share a run, each has margins of its own."""
    with for_xgboost.TensorBoard(tmp_path, tag_style="keras2") as log:
        mean, _, val_mean, _ = cross_validate("xgboost", [log], 2)

    assert mean == pytest.approx(values_of(tmp_path, "margin_logloss/mean"))
    assert val_mean == pytest.approx(values_of(tmp_path, "margin_val_logloss/mean"))


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_cross_validation_that_stops(framework: str) -> None:
    """The results end with the best round, as after the framework's own early stopping."""
    face = for_xgboost if framework == "xgboost" else for_lightgbm

    assert 3 == len(cross_validate(framework, [face.Callbacks(stopping(2))], 9)[0])


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_cross_validation_that_another_callback_stops(framework: str) -> None:
    """Without a best round the results have all rounds."""

    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            self.training.stop_training = epoch == 3

    face = for_xgboost if framework == "xgboost" else for_lightgbm

    assert 4 == len(cross_validate(framework, [face.Callbacks([Stop()])], 9)[0])


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_cross_validation_cannot_be_saved(framework: str, tmp_path: Path) -> None:
    """There are several boosters, so a checkpoint is refused with the name of the view."""
    face = for_xgboost if framework == "xgboost" else for_lightgbm
    with pytest.raises(ArgumentTypeError, match="FoldsView, which cannot"):
        cross_validate(framework, [face.Callbacks([ModelCheckpoint(tmp_path / "m")])], 2)


@pytest.mark.parametrize("view", [for_xgboost.XGBoostView, for_lightgbm.LightGBMView])
def test_what_is_no_booster(view: Any) -> None:
    """It is refused by its type."""
    with pytest.raises(ArgumentTypeError, match="ndarray"):
        view(np.zeros(3))
