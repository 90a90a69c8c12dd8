"""Callbacks with scikit-learn's estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from eventwriter.callbacks import EarlyStopping, LambdaCallback, Loop, TensorBoard
from eventwriter.errors import ArgumentTypeError
from eventwriter.integrations import sklearn as for_sklearn
from eventwriter.integrations.sklearn import Callbacks, SklearnView, replay
from tests.frameworks.integrations.adapters import X, Y
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

    assert {"train:epoch_loss": [0, 1, 2, 3]} == steps(tmp_path)
    assert model.train_score_ == pytest.approx(values(tmp_path / "train", "epoch_loss"))


def test_replay_of_validation(tmp_path: Path) -> None:
    """Scores of held-out data are a curve of validation."""
    model = MLPClassifier((3,), max_iter=2, early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X, Y)
    replay(model, tmp_path)

    assert {"train:epoch_loss": [0, 1], "validation:epoch_score": [0, 1]} == steps(tmp_path)


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
    scores = found["train:epoch_score"]
    assert list(range(len(scores))) == scores == found["validation:epoch_score"]
    assert scores == found["train:coef/histogram"]
    assert [0, 0] == found["train:finished"]


def test_tensorboard_alone(tmp_path: Path) -> None:
    """The short form logs the same, and warns of nothing that an estimator cannot have."""
    log = for_sklearn.TensorBoard(tmp_path, histogram_freq=1, validation_data=(X[:9], Y[:9]))
    logistic_regression(log).fit(X, Y)

    found = steps(tmp_path)
    assert found["train:epoch_score"] == found["validation:epoch_score"]
    assert found["train:epoch_score"] == found["train:coef/histogram"]


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
    assert [0, 1] == found["train:epoch_score"]
    assert [0] == found["train:failed"]
