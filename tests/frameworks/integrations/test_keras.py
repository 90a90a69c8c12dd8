"""Callbacks in Keras 3: on JAX in this process, and on torch in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from eventwriter.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from eventwriter.callbacks import TensorBoard as PlainTensorBoard
from eventwriter.errors import ArgumentTypeError, EventWriterWarning
from eventwriter.integrations.keras import Callbacks, KerasView, TensorBoard
from tests.helpers.patience import LONG_SECS
from tests.helpers.runs import steps

# Keras's own, where it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
X = RNG.integers(0, 7, (32, 5))
Y = (X[:, 0] > 3).astype(np.float32)
ROOT = Path(__file__).parents[3]
# Trains with all that there is, and prints the steps of every tag.
SCRIPT = """
import json, sys
from tests.frameworks.integrations.test_keras import *
log = TensorBoard(sys.argv[1], histogram_freq=1, embeddings_freq=1, validation_data=(X, Y))
fit(make_model(), log)
assert "tensorflow" not in sys.modules
assert keras.backend.backend() == "torch"
print(json.dumps(steps(Path(sys.argv[1]))))
"""


def make_model() -> Any:
    """A model with an embedding, a shared layer and dropout."""
    words = keras.Input((5,), dtype="int32")
    shared = keras.layers.Dense(3, activation="relu", name="shared")
    x = keras.layers.Embedding(7, 3, name="embed")(words)
    x = shared(shared(keras.layers.Flatten(name="flat")(x)[:, :3]))
    x = keras.layers.Dropout(0.5, name="drop")(x)
    model = keras.Model(words, keras.layers.Dense(1, activation="sigmoid", name="head")(x))
    model.compile("rmsprop", "binary_crossentropy", metrics=["acc"])
    return model


def fit(model: Any, *callbacks: Any, epochs: int = 2, **options: Any) -> Any:
    return model.fit(
        X,
        Y,
        batch_size=16,
        epochs=epochs,
        validation_data=(X, Y),
        callbacks=list(callbacks),
        verbose=0,
        **options,
    )


EXPECTED = {
    "train:epoch_loss": [0, 1],
    "train:epoch_acc": [0, 1],
    "train:epoch_learning_rate": [0, 1],
    "validation:epoch_loss": [0, 1],
    "validation:evaluation_loss_vs_iterations": [2, 4],
    "train:embed/embeddings/histogram": [0, 1],
    "train:embed/embeddings/grad": [0, 1],
    "train:shared/kernel/grad": [0, 1],
    "train:embed/out": [0, 1],
    "train:shared/out": [0, 1],
    "train:shared_1/out": [0, 1],
    "train:head/out": [0, 1],
    "train:graph": [0],
    "train:finished": [0],
}


def test_all_of_it(tmp_path: Path) -> None:
    """On JAX: curves, weights, gradients, activations, embeddings with labels, and the graph."""
    log = TensorBoard(
        tmp_path,
        histogram_freq=1,
        embeddings_freq=1,
        embeddings_metadata=pd.DataFrame({"word": list("abcdefg"), "rank": range(7)}),
        validation_data=(X, Y),
    )
    fit(make_model(), log)

    found = steps(tmp_path)
    assert EXPECTED == {name: found.get(name) for name in EXPECTED}
    assert 2 == (tmp_path / "train/projector_config.pbtxt").read_text().count("tensor_name")
    (labels,) = tmp_path.glob("train/projector/metadata-*.tsv")
    assert ["word\trank", "a\t0"] == labels.read_text().splitlines()[:2]


def test_all_of_it_on_torch(tmp_path: Path) -> None:
    """On torch the same, without TensorFlow."""
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * LONG_SECS,
        check=False,
    )
    assert 0 == child.returncode, child.stderr
    found = json.loads(child.stdout)
    assert EXPECTED == {name: found.get(name) for name in EXPECTED}


def test_without_validation_data(tmp_path: Path) -> None:
    """One warning, and no activations."""
    with pytest.warns(EventWriterWarning, match="validation_data") as told:
        fit(make_model(), TensorBoard(tmp_path, histogram_freq=1))

    assert 1 == len([each for each in told if each.category is EventWriterWarning])
    assert "train:embed/out" not in steps(tmp_path)
    assert "train:embed/embeddings/histogram" in steps(tmp_path)


def test_looking_changes_nothing() -> None:
    """Activations and gradients leave the weights, the layers and the random state alone."""
    model = make_model()
    before = [np.array(variable) for variable in model.get_weights()]
    seeds = [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.non_trainable_variables]
    view = KerasView(model)
    view.activations(X)
    view.gradients((X, Y))

    assert all(map(np.array_equal, before, model.get_weights()))
    after = [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.non_trainable_variables]
    assert all(map(np.array_equal, seeds, after))
    assert not any("call" in vars(layer) for layer in model.layers)


def test_gradients_are_the_losses() -> None:
    """They agree with a small step along one weight."""
    model = make_model()
    view = KerasView(model)
    gradient = float(np.asarray(view.gradients((X, Y))["head/bias"])[0])
    losses = []
    for step in (-1e-2, 2e-2):
        bias = model.get_layer("head").bias
        bias.assign_add([step])
        outputs = model(X, training=False)
        losses.append(float(model.compute_loss(X, keras.ops.convert_to_tensor(Y), outputs)))

    assert gradient == pytest.approx((losses[1] - losses[0]) / 2e-2, rel=1e-2, abs=1e-4)


def test_gradients_of_a_model_without_a_loss() -> None:
    """There are none."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])

    assert {} == KerasView(model).gradients((X, Y))


def test_nested_models() -> None:
    """Their layers are named within them."""
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2, name="d")], name="inner")
    model = keras.Sequential([keras.Input((5,)), inner, keras.layers.Dense(1, name="out")])

    assert ["inner/d", "out"] == list(KerasView(model).activations(X.astype(np.float32)))


def test_control(tmp_path: Path) -> None:
    """Callbacks steer Keras: they stop it, restore, save, and set the learning rate."""
    model = make_model()
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}")
    weights = ModelCheckpoint(tmp_path / "w{epoch}", save_weights_only=True)
    rates = []

    class Note(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            rates.append(self.view.get_learning_rate())

    control = Callbacks(
        [
            ReduceLROnPlateau("val_loss", patience=1, min_delta=100, factor=0.5),
            Note(),
            EarlyStopping("val_loss", patience=3, min_delta=100, restore_best_weights=True),
            checkpoint,
            weights,
        ]
    )
    fit(model, control, epochs=9)

    assert [1e-3, 5e-4, 2.5e-4, 1.25e-4] == pytest.approx(rates)
    assert {f"{kind}" for n in range(1, 5) for kind in (f"{n}.keras", f"w{n}.weights.h5")} == {
        path.name for path in tmp_path.iterdir()
    }
    first = keras.saving.load_model(tmp_path / "1.keras")
    assert all(map(np.array_equal, first.get_weights(), model.get_weights()))


def test_files(tmp_path: Path) -> None:
    """What is saved is read back, with the optimizer's state."""
    model = make_model()
    fit(model)
    view = KerasView(model)
    view.save(str(tmp_path / "a.keras"), False)
    view.save(str(tmp_path / "a.weights.h5"), True)
    for name in ("a.keras", "a.weights.h5"):
        other = make_model()
        KerasView(other).load(str(tmp_path / name))
        assert all(map(np.array_equal, model.get_weights(), other.get_weights()))
    other = make_model()
    KerasView(other).load(str(tmp_path / "a.keras"))
    assert 4 == int(keras.ops.convert_to_numpy(other.optimizer.iterations.value))


def test_backup(tmp_path: Path) -> None:
    """An interrupted `fit` goes on in the epoch that it left."""

    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Callbacks([BackupAndRestore(tmp_path)]) as backup:
        fit(make_model(), backup, Interrupt(), epochs=4)
    history = fit(make_model(), Callbacks([BackupAndRestore(tmp_path)]), epochs=4)

    assert [2, 3] == history.epoch


def test_schedules() -> None:
    """A learning rate that Keras itself schedules is told, and cannot be set."""
    model = make_model()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    model.compile(keras.optimizers.SGD(schedule), "mse")

    assert 0.5 == KerasView(model).get_learning_rate()
    with pytest.raises(ArgumentTypeError, match="schedule"):
        fit(model, Callbacks([LearningRateScheduler(lambda epoch: 0.1)]))


def test_evaluate_alone(tmp_path: Path) -> None:
    """Evaluation outside of `fit` is left alone."""
    model = make_model()
    log = TensorBoard(tmp_path)
    model.evaluate(X, Y, verbose=0, callbacks=[log])

    assert {} == steps(tmp_path)


@pytest.mark.parametrize("plain", [EarlyStopping, PlainTensorBoard])
def test_plain_callback(plain: Any) -> None:
    """A callback that is not wrapped is refused before training, with the name of the adapter."""
    expected = rf"expected a callback of keras.*{plain.__name__}.*integrations\.keras\.Callbacks"
    with pytest.raises(ArgumentTypeError, match=expected):
        fit(make_model(), plain())


def test_writer(tmp_path: Path) -> None:
    """Records of one's own go to the callback's runs, at its steps, from other callbacks too."""
    log = TensorBoard(tmp_path, write_graph=False)

    class Own(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            log.writer("train").add_scalar("own", 1.0, log.epoch_step)

    for _ in range(2):
        fit(make_model(), log, Own())

    found = steps(tmp_path)
    assert [0, 1, 2, 3] == found["train:own"] == found["train:epoch_loss"]


def test_profile_batch(tmp_path: Path) -> None:
    """Keras's argument is taken, and told to be without effect."""
    with pytest.warns(EventWriterWarning, match="profile_batch"):
        TensorBoard(tmp_path, profile_batch=2)


def test_what_is_no_model() -> None:
    """It is refused by its type."""
    with pytest.raises(ArgumentTypeError, match="int"):
        KerasView(3)
