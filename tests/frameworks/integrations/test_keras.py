"""Callbacks in Keras 3, on the backend of this process: see `test_keras_on_torch` for torch."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

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
from tests.helpers.runs import steps

if TYPE_CHECKING:
    from pathlib import Path

# Keras's own, where it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
X = RNG.integers(0, 7, (32, 5))
Y = (X[:, 0] > 3).astype(np.float32)


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
    """Curves, weights, gradients, activations, embeddings with labels, and the graph."""
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
    assert "tensorflow" not in sys.modules
    (labels,) = tmp_path.glob("train/projector/metadata-*.tsv")
    assert ["word\trank", "a\t0"] == labels.read_text().splitlines()[:2]


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
        loss = model.compute_loss(X, keras.ops.convert_to_tensor(Y), outputs)
        losses.append(float(keras.ops.convert_to_numpy(loss)))

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


def test_several_batches_in_one_call(tmp_path: Path) -> None:
    """With `steps_per_execution`, batches are counted as they are without it.

    12 batches an epoch are calls of 5, 5 and 2 batches, so calls end at 5, 10, 12, 17, 22 and 24.
    On torch, Keras refuses `steps_per_execution`.
    """
    rows = np.concatenate([X, X, X])
    calls = []

    class Note(Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            calls.append((batch, self.training.step, self.training.batches_in_call))

    model = make_model()
    model.compile("sgd", "mse", steps_per_execution=5)
    callbacks = Callbacks(
        [
            Note(),
            ModelCheckpoint(tmp_path / "models/{epoch}-{batch}", save_freq=10),
            PlainTensorBoard(tmp_path, update_freq=5),
        ]
    )
    refused = pytest.raises(ValueError, match="steps_per_execution")
    with refused if keras.backend.backend() == "torch" else contextlib.nullcontext():
        model.fit(
            rows,
            np.concatenate([Y, Y, Y]),
            batch_size=8,
            epochs=2,
            validation_data=(X, Y),
            verbose=0,
            callbacks=[callbacks],
        )
    if keras.backend.backend() == "torch":
        return

    assert [(4, 5, 5), (9, 10, 5), (11, 12, 2), (4, 17, 5), (9, 22, 5), (11, 24, 2)] == calls
    assert {"1-10.keras", "2-10.keras"} == {path.name for path in tmp_path.glob("models/*")}
    found = steps(tmp_path)
    assert [5, 10, 17, 22] == found["train:batch_loss"]
    assert [12, 24] == found["validation:evaluation_loss_vs_iterations"]


def test_logs_are_shared(tmp_path: Path) -> None:
    """What our callbacks put in `logs` reaches Keras's later callbacks and its History."""
    seen = {}

    class Put(Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            logs["own"] = 1.0

        def on_test_batch_end(self, batch: int, logs: Any) -> None:
            logs["own"] = 2.0

        def on_test_end(self, logs: Any) -> None:
            logs["own"] = 3.0

        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            del logs["val_loss"]

    class Later(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen["batch"] = logs

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            seen["test batch"] = logs

        def on_test_end(self, logs: Any = None) -> None:
            seen["test"] = logs

    callbacks = Callbacks([LearningRateScheduler(lambda epoch: 0.5**epoch), Put()])
    history = fit(make_model(), callbacks, Later()).history

    assert [1.0, 0.5] == history["learning_rate"]
    assert "val_loss" not in history
    assert {"batch": 1.0, "test batch": 2.0, "test": 3.0} == {
        name: logs["own"] for name, logs in seen.items()
    }


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
