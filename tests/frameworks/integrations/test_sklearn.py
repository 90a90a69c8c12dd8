"""Callbacks with scikit-learn's estimators."""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from eventwriter.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    LambdaCallback,
    Loop,
    ModelCheckpoint,
    TensorBoard,
)
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    EventWriterWarning,
    MissingDependencyError,
)
from eventwriter.integrations import sklearn as for_sklearn
from eventwriter.integrations.sklearn import Callbacks, SklearnView, replay
from tests.frameworks.integrations.adapters import X, Y
from tests.helpers import children
from tests.helpers.runs import steps, values

if TYPE_CHECKING:
    from pathlib import Path


def test_weights_and_state() -> None:
    """Fitted arrays are weights; a state brings all of an estimator back."""
    model = SGDClassifier(random_state=0).partial_fit(X, Y, classes=[0, 1])
    view = SklearnView(model)
    state, before = view.get_state(), model.coef_.copy()
    model.partial_fit(X, 1 - Y)
    view.set_state(state)

    assert {"coef", "intercept"} <= view.weights().keys()
    assert np.array_equal(before, model.coef_)


def test_layers() -> None:
    """Lists of arrays are numbered."""
    model = MLPClassifier((3,), max_iter=1, random_state=0).partial_fit(X, Y, classes=[0, 1])

    assert (4, 3) == SklearnView(model).weights()["coefs/0"].shape
    assert 1e-3 == SklearnView(model).get_learning_rate()


def test_early_stopping() -> None:
    """A loop of partial fits is stopped, and the best estimator is left."""
    model = SGDClassifier(random_state=0)
    with Loop(model, [EarlyStopping("error", patience=1, restore_best_weights=True)], 9) as loop:
        for epoch in loop:
            model.partial_fit(X, Y, classes=[0, 1])
            loop.log(error=epoch)

    assert 1 == loop.epoch
    assert "t_" in vars(model)


def test_replay(tmp_path: Path) -> None:
    """Curves that a fit kept are shown afterwards."""
    model = GradientBoostingClassifier(n_estimators=4, random_state=0).fit(X, Y)
    replay(model, tmp_path)

    assert {"train:epoch/loss": [0, 1, 2, 3]} == steps(tmp_path)
    assert model.train_score_ == pytest.approx(values(tmp_path / "train", "epoch/loss"))


def test_replay_of_validation(tmp_path: Path) -> None:
    """Scores of held-out data are a curve of validation."""
    model = MLPClassifier((3,), max_iter=2, early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, Y)
    replay(model, tmp_path)

    assert {"train:epoch/loss": [0, 1], "validation:epoch/score": [0, 1]} == steps(tmp_path)


@pytest.mark.parametrize("kind", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
@pytest.mark.parametrize(("scoring", "metric", "sign"), [("loss", "loss", -1), (None, "score", 1)])
def test_replay_of_histogram_boosting(
    tmp_path: Path, kind: Any, scoring: str | None, metric: str, sign: int
) -> None:
    """A loss falls, and a score is called a score, in training and in validation."""
    model = kind(max_iter=5, early_stopping=True, scoring=scoring, random_state=0).fit(X, Y)
    replay(model, tmp_path)

    rounds = list(range(len(model.train_score_)))
    assert {f"{run}:epoch/{metric}": rounds for run in ("train", "validation")} == steps(tmp_path)
    for run, scores in (("train", model.train_score_), ("validation", model.validation_score_)):
        assert sign * scores == pytest.approx(values(tmp_path / run, f"epoch/{metric}"))
    if metric == "loss":
        first, *_, last = values(tmp_path / "train", "epoch/loss")
        assert 0 < last < first


def make_boosting() -> GradientBoostingClassifier:
    return GradientBoostingClassifier(n_estimators=3, random_state=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(StandardScaler(), make_boosting()),
        lambda: make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), make_boosting())),
        lambda: GridSearchCV(make_boosting(), {"max_depth": [1]}, cv=2),
        lambda: GridSearchCV(make_pipeline(make_boosting()), {}, cv=2),
        lambda: SelectFromModel(make_boosting()),
    ],
    ids=["pipeline", "nested pipelines", "search", "search of a pipeline", "selection"],
)
def test_replay_of_the_inner_estimator(tmp_path: Path, make: Any) -> None:
    """The estimator that keeps the curves may be within others that fit it."""
    replay(make().fit(X, Y), tmp_path)

    assert {"train:epoch/loss": [0, 1, 2]} == steps(tmp_path)


def test_replay_of_an_empty_pipeline(tmp_path: Path) -> None:
    """The error names the estimator that was looked at last."""
    with pytest.raises(ArgumentTypeError, match=r"got sklearn.*LogisticRegression that has none"):
        replay(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), tmp_path)


def test_replay_of_nothing(tmp_path: Path) -> None:
    """An estimator that kept no curve raises an error that says so."""
    with pytest.raises(
        ArgumentTypeError, match=r"expected an estimator with one of loss_curve_.*SGDClassifier"
    ):
        replay(SGDClassifier(), tmp_path)
    assert [] == list(tmp_path.iterdir())


def logistic_regression(*callbacks: object) -> LogisticRegression:
    return LogisticRegression(max_iter=50).set_callbacks(*callbacks)


def test_fit_callback(tmp_path: Path) -> None:
    """An estimator with callbacks logs each iteration: scores, and its weights."""
    log = TensorBoard(tmp_path, histogram_freq=1, write_gradients=False, write_activations=False)
    for _ in range(2):
        logistic_regression(Callbacks([log], validation_data=(X[:9], Y[:9]))).fit(X, Y)

    found = steps(tmp_path)
    scores = found["train:epoch/score"]
    assert list(range(len(scores))) == scores == found["validation:epoch/score"]
    assert scores == found["train:weights/coef"]
    assert [0, 0] == found["train:finished"]


def test_tensorboard_alone(tmp_path: Path) -> None:
    """The short form logs the same, and warns of nothing that an estimator cannot have."""
    log = for_sklearn.TensorBoard(tmp_path, histogram_freq=1, validation_data=(X[:9], Y[:9]))
    logistic_regression(log).fit(X, Y)

    found = steps(tmp_path)
    assert found["train:epoch/score"] == found["validation:epoch/score"]
    assert found["train:epoch/score"] == found["train:weights/coef"]


def test_fit_callback_that_raises(tmp_path: Path) -> None:
    """An exception passes through as it is, and what was logged before is there."""
    error = RuntimeError("own")

    def fail(epoch: int, logs: object) -> None:
        if epoch == 1:
            raise error

    callbacks = Callbacks([TensorBoard(tmp_path), LambdaCallback(on_epoch_end=fail)])
    with pytest.raises(RuntimeError) as caught:
        logistic_regression(callbacks).fit(X, Y)

    assert error is caught.value
    found = steps(tmp_path)
    assert [0, 1] == found["train:epoch/score"]
    assert [0] == found["train:failed"]


def statuses(found: dict[str, list[int]]) -> set[str]:
    return {tag for tag in found if tag.rpartition(":")[2] in {"finished", "failed", "left"}}


def test_step_of_a_pipeline(tmp_path: Path) -> None:
    """Its fit is logged as if it stood alone."""
    for name, wrap in (
        ("alone", lambda estimator: estimator),
        ("within", lambda estimator: make_pipeline(FunctionTransformer(), estimator)),
    ):
        wrap(logistic_regression(Callbacks([TensorBoard(tmp_path / name)]))).fit(X, Y)

    alone, within = (
        values(tmp_path / name / "train", "epoch/score") for name in ("alone", "within")
    )
    assert alone == within
    assert len(alone) > 1
    assert {"alone/train:finished", "within/train:finished"} == statuses(steps(tmp_path))


@pytest.mark.parametrize("jobs", [1, 2])
def test_fits_of_a_search(tmp_path: Path, jobs: int) -> None:
    """Each of the fits is a training that ends well, in this process and in others."""
    search = GridSearchCV(
        make_pipeline(StandardScaler(), logistic_regression(Callbacks([Note(tmp_path)]))),
        {"logisticregression__C": [0.5, 1.0]},
        cv=2,
        n_jobs=jobs,
    )
    search.fit(X, Y)

    notes = [path.read_text().split() for path in tmp_path.iterdir()]
    assert 2 * 2 + 1 == len(notes)  # each candidate and fold, and the best candidate again
    for *epochs, status in notes:
        assert [str(number) for number in range(len(epochs))] == epochs
        assert epochs
        assert "finished" == status


class Note(Callback):
    """Writes the epochs of each training, and how it ended, to a file of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def on_train_begin(self, logs: Any) -> None:
        self._seen: list[str] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self._seen.append(str(epoch))

    def close(self, status: str) -> None:
        path = self._directory / uuid.uuid4().hex
        path.write_text(" ".join([*self._seen, status]))


def test_no_iterations(tmp_path: Path) -> None:
    """Callbacks that nobody tells of iterations say so, and where they belong."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.set_callbacks(Callbacks([TensorBoard(tmp_path)]))
    with pytest.warns(EventWriterWarning, match=r"got .*Pipeline.*the last step of a pipeline"):
        model.fit(X, Y)

    assert {"train:finished"} == statuses(steps(tmp_path))


def test_restored_after_fit() -> None:
    """What the best iteration had is put back into the estimator itself."""
    found: list[np.ndarray] = []

    class Best(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            logs["own"] = abs(epoch - 1)
            found.append(self.view.weights()["coef"].copy())

    stop = EarlyStopping("own", mode="min", patience=99, restore_best_weights=True)
    callbacks = Callbacks([Best(), stop])
    model = logistic_regression(callbacks).fit(X, Y)

    assert len(found) > 2
    assert np.array_equal(found[1], model.coef_)
    assert [callbacks] == model._skl_callbacks
    model.fit(X, Y)  # and once more


def test_backups_within_fit_are_refused(tmp_path: Path) -> None:
    """A fit cannot begin in its middle, so this is said at once."""
    with pytest.raises(ArgumentTypeError, match=r"got BackupAndRestore.*partial_fit"):
        Callbacks([BackupAndRestore(tmp_path)])


ESTIMATORS: dict[str, Any] = {
    "sgd": lambda: SGDClassifier(random_state=0),
    "averaged sgd": lambda: SGDClassifier(loss="log_loss", average=True, random_state=0),
    "perceptron": lambda: MLPClassifier((3,), random_state=0),
    "bayes": GaussianNB,
    "perceptron with momentum": lambda: MLPClassifier((3,), solver="sgd", random_state=0),
}


def train_partly(model: Any, callbacks: list[Any], epochs: int) -> None:
    with Loop(model, callbacks, epochs) as loop:
        for _ in loop:
            model.partial_fit(X, Y, classes=[0, 1])
            loop.log(score=model.score(X, Y))


def predict_in_a_new_process(name: str, path: str) -> None:
    model = ESTIMATORS[name]()
    SklearnView(model).load(path)
    print(*(float(value).hex() for value in model.predict(X)))
    # It can be trained on, too.
    model.partial_fit(X, Y)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_checkpoint(name: str, tmp_path: Path) -> None:
    """Loaded into a new estimator in a new process, it predicts the same."""
    model = ESTIMATORS[name]()
    callbacks = [ModelCheckpoint(tmp_path / "{epoch}", "score")]
    train_partly(model, callbacks, 2)

    out, _ = children.run(predict_in_a_new_process, name, str(tmp_path / "2.skops"))
    assert [float(value).hex() for value in model.predict(X)] == out.split()


def test_backup(tmp_path: Path) -> None:
    """An interrupted training goes on in a new estimator, and ends as if it had not stopped."""

    def interrupt(epoch: int, logs: object) -> None:
        if epoch == 2:
            raise RuntimeError("power cut")

    whole, first, second = (ESTIMATORS["perceptron"]() for _ in range(3))
    train_partly(whole, [], 4)
    interrupted = [BackupAndRestore(tmp_path), LambdaCallback(on_epoch_begin=interrupt)]
    with pytest.raises(RuntimeError, match="power cut"):
        train_partly(first, interrupted, 4)
    train_partly(second, [BackupAndRestore(tmp_path)], 4)

    assert whole.t_ == second.t_
    for expected, found in zip(whole.coefs_, second.coefs_, strict=True):
        assert np.array_equal(expected, found)


def test_without_skops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would save or load names the extra, before anything is trained."""
    monkeypatch.setitem(sys.modules, "skops", None)
    expected = r"skops.*eventwriter\[sklearn\]"
    view = SklearnView(GaussianNB())
    for ask in (lambda: view.save(str(tmp_path / "a"), False), lambda: view.load("a")):
        with pytest.raises(MissingDependencyError, match=expected):
            ask()
    for callback in (ModelCheckpoint(tmp_path / "b"), BackupAndRestore(tmp_path / "c")):
        with (
            pytest.raises(MissingDependencyError, match=expected),
            Loop(view.model, [callback]) as loop,
        ):
            list(loop)
    assert [] == list(tmp_path.iterdir())


def test_checkpoint_of_another_class(tmp_path: Path) -> None:
    """It is refused, and the model stays as it is. So is a class of the user's own."""
    path = str(tmp_path / "model.skops")
    model = GaussianNB()
    SklearnView(SGDClassifier(alpha=0.25)).save(path, False)
    with pytest.raises(ArgumentValueError, match=r"class .*GaussianNB, got .*SGDClassifier"):
        SklearnView(model).load(path)
    assert {"priors", "var_smoothing"} == vars(model).keys()

    SklearnView(GaussianNB(priors=Own())).save(path, False)
    with pytest.raises(TypeError, match="Own"):
        SklearnView(model).load(path)
    SklearnView(GaussianNB(priors=Own())).load(path)


class Own:
    """A class that a file must not bring."""
