"""Callbacks in Keras 3, on the backend of this process: see `test_keras_on_torch` for torch."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
from eventwriter.training.sample import sample_of
from tests.helpers.patience import LONG_SECS
from tests.helpers.runs import steps, values

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
    "train:epoch/loss": [0, 1],
    "train:epoch/acc": [0, 1],
    "train:epoch/learning_rate": [0, 1],
    "validation:epoch/loss": [0, 1],
    "train:weights/embed/embeddings": [0, 1],
    "train:gradients/embed/embeddings": [0, 1],
    "train:gradients/shared/kernel": [0, 1],
    "train:outputs/embed": [0, 1],
    "train:outputs/shared": [0, 1],
    "train:outputs/shared_1": [0, 1],
    "train:outputs/head": [0, 1],
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
    )
    fit(make_model(), log)

    found = steps(tmp_path)
    assert EXPECTED == {name: found.get(name) for name in EXPECTED}
    assert 2 == (tmp_path / "train/projector_config.pbtxt").read_text().count("tensor_name")
    assert "tensorflow" not in sys.modules
    (labels,) = tmp_path.glob("train/projector/metadata-*.tsv")
    assert ["word\trank", "a\t0"] == labels.read_text().splitlines()[:2]


@pytest.mark.parametrize("at_once", [1, 2])
def test_metrics_of_a_batch(tmp_path: Path, at_once: int) -> None:
    """They are the batch's own where Keras tells means so far, also of a smaller last batch."""
    x = np.arange(14, dtype=np.float32)[:, None]
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((1,)), layer])
    metrics = ["mae", keras.metrics.RootMeanSquaredError(name="rms")]
    optimizer = keras.optimizers.SGD(0.0)
    model.compile(optimizer, "mse", metrics=metrics, steps_per_execution=at_once)
    fits: dict[str, Any] = {"own": {}, "means": {"running_means": True}}
    is_refused = at_once > 1 and keras.backend.backend() == "torch"
    for name, options in fits.items():
        log = TensorBoard(tmp_path / name, update_freq="batch", write_graph=False, **options)
        refused = pytest.raises(ValueError, match="steps_per_execution")
        with refused if is_refused else contextlib.nullcontext():
            model.fit(x, 0 * x, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[log])
    if is_refused:
        return

    size = 4 * at_once
    parts = [x[start : start + size] for start in range(0, len(x), size)]
    sofar = [x[: start + size] for start in range(0, len(x), size)]
    found = {
        (name, metric): values(tmp_path / name / "train", f"batch/{metric}")
        for name in fits
        for metric in ("loss", "mae", "rms")
    }
    losses = 2 * [np.square(part).mean() for part in parts]
    assert losses == pytest.approx(found["own", "loss"], rel=1e-5)
    assert 2 * [part.mean() for part in parts] == pytest.approx(found["own", "mae"], rel=1e-5)
    assert 2 * [part.mean() for part in sofar] == pytest.approx(found["means", "mae"])
    assert found["means", "rms"] == found["own", "rms"]  # it is no mean


def test_metrics_of_an_own_training_step(tmp_path: Path) -> None:
    """What an own training step returns, without means, is written as it is."""

    class Own(keras.Sequential):
        def train_step(self, *arguments: Any) -> Any:
            result = super().train_step(*arguments)
            return {"own": 3.0} if keras.backend.backend() == "torch" else ({"own": 3.0}, result[1])

    model = Own([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 1), np.float32)
    log = TensorBoard(tmp_path, update_freq="batch", write_graph=False)
    model.fit(x, x, batch_size=2, verbose=0, callbacks=[log])

    assert [3.0] * 4 == values(tmp_path / "train", "batch/own")


def test_without_validation_data(tmp_path: Path) -> None:
    """One warning, and no activations."""
    with pytest.warns(EventWriterWarning, match="validation_data") as told:
        make_model().fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path, histogram_freq=1)])

    assert 1 == len([each for each in told if each.category is EventWriterWarning])
    assert "train:outputs/embed" not in steps(tmp_path)
    assert "train:weights/embed/embeddings" in steps(tmp_path)


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


class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


class Scaled(keras.layers.Layer):  # type: ignore[misc]
    """A layer with an argument that no file can hold, so that its model cannot be saved whole."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return self.function(inputs) * self.scale


class Subclass(keras.Model):  # type: ignore[misc]
    def __init__(self, *parts: Any) -> None:
        super().__init__()
        self.parts = list(parts)
        self.head = keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        for part in self.parts:
            inputs = part(inputs)
        return self.head(inputs)


def own_loss(targets: Any, outputs: Any) -> Any:
    return keras.ops.mean(keras.ops.square(targets - outputs), axis=-1)


def chain(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((5,)), *layers, keras.layers.Dense(1)])


def two_optimizers() -> Any:
    first, second = keras.optimizers.Adam(0.1, name="fast"), keras.optimizers.SGD(0.01, name="slow")
    return keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(second, {".*dense_in/.*": first})
    )


MODELS: dict[str, Any] = {
    "plain": lambda: (chain(keras.layers.Dense(3)), "adam", "mse"),
    "own loss": lambda: (chain(keras.layers.Dense(3)), "adam", own_loss),
    "loss without a name": lambda: (chain(), "adam", lambda y, out: keras.ops.abs(y - out)),
    "Lambda": lambda: (chain(keras.layers.Lambda(lambda x: x * 2.0)), "adam", "mse"),
    "custom layer": lambda: (chain(Scaled(keras.ops.tanh)), "adam", "mse"),
    "subclass": lambda: (Subclass(keras.layers.Dense(3), Scaled(keras.ops.tanh)), "adam", "mse"),
    "MultiOptimizer": lambda: (
        chain(keras.layers.Dense(3, name="dense_in")),
        two_optimizers(),
        "mse",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_backup(name: str, tmp_path: Path) -> None:
    """An interrupted `fit` goes on as if nothing had been, whatever the model is made of."""

    def trained(*callbacks: Any) -> tuple[Any, Any]:
        keras.utils.set_random_seed(0)
        model, optimizer, loss = MODELS[name]()
        model.compile(optimizer, loss)
        rows = X.astype(np.float32)
        history = model.fit(
            rows, Y[:, None], epochs=4, shuffle=False, verbose=0, callbacks=list(callbacks)
        )
        return model, history

    whole, _ = trained()
    with pytest.raises(KeyboardInterrupt), Callbacks([BackupAndRestore(tmp_path)]) as backup:
        trained(backup, Interrupt())
    resumed, history = trained(Callbacks([BackupAndRestore(tmp_path)]))

    assert [2, 3] == history.epoch
    assert 4 == KerasView(resumed).trained_batches()
    for expected, weight in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(expected, weight, rtol=1e-5, atol=1e-6)


def test_an_optimizer_of_a_loop_of_ones_own(tmp_path: Path) -> None:
    """The optimizer that the view was given is saved and loaded, also if the model has none."""
    saved = {}
    for name in ("a.keras", "b.weights.h5"):
        model = chain()
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
        optimizer.iterations.assign(7)
        view = KerasView(model, optimizer)
        path = str(tmp_path / name)
        if name.endswith(view.backup_suffix()):
            view.save_backup(path)
        else:
            view.save(path, False)
        other = KerasView(chain(), keras.optimizers.Adam())
        other.load(path)
        saved[name] = other.trained_batches()
        assert all(map(np.array_equal, model.get_weights(), other.model.get_weights()))
        # A model without an optimizer reads the same file, and so does one from before training.
        KerasView(chain()).load(path)
    KerasView(chain()).save(str(tmp_path / "c.keras"), False)
    KerasView(chain(), keras.optimizers.Adam()).load(str(tmp_path / "c.keras"))

    assert {"a.keras": 7, "b.weights.h5": 7} == saved


def test_the_next_fit_begins_anew(tmp_path: Path) -> None:
    """A training that went on from a backup and failed does not move the start of the next one."""

    class Fail(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise OSError

    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        fit(model, Callbacks([BackupAndRestore(tmp_path)]), Interrupt(), epochs=4)
    with pytest.raises(OSError):  # noqa: PT011 - our own, without a message
        fit(model, Callbacks([BackupAndRestore(tmp_path)]), Fail(), epochs=4)

    assert [0, 1] == fit(model).epoch


def test_initial_epoch(tmp_path: Path) -> None:
    """Callbacks know at the beginning which epoch is the first one. Going back is a restart."""
    seen = []

    class Note(Callback):
        def on_train_begin(self, logs: Any) -> None:
            seen.append(self.training.initial_epoch)

    log = TensorBoard(tmp_path)
    fit(make_model(), log, epochs=5)
    history = fit(make_model(), Callbacks([Note()]), log, epochs=5, initial_epoch=3)

    assert [3] == seen
    assert [3, 4] == history.epoch
    assert [0, 1, 2, 3, 4, 3, 4] == steps(tmp_path)["train:epoch/loss"]
    shown = EventAccumulator(str(tmp_path / "train")).Reload()
    tag = next(tag for tag in shown.Tags()["scalars"] if tag.endswith("loss"))
    assert [0, 1, 2, 3, 4] == [point.step for point in shown.Scalars(tag)]


class Rows(keras.utils.PyDataset):  # type: ignore[misc]
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return X[16 * index : 16 * index + 16], Y[16 * index : 16 * index + 16]


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"validation_data": (X, Y)}, 32),
        ({"validation_data": [X, Y]}, 32),
        ({"validation_data": (X, Y, np.ones(32, np.float32))}, 32),
        ({"validation_split": 0.25}, 8),
        ({"validation_data": Rows()}, 16),
        ({}, None),
    ],
)
def test_validation_data_of_fit(options: Any, rows: int | None) -> None:
    """Callbacks get the validation data that `fit` has: they need not be given twice."""
    seen = []

    class Note(Callback):
        def on_train_begin(self, logs: Any) -> None:
            seen.append(sample_of(self.validation_data, 32))

    make_model().fit(X, Y, verbose=0, callbacks=[Callbacks([Note()])], **options)
    (sample,) = seen

    assert (None if rows is None else (rows, 5)) == (sample and sample.inputs.shape)


def test_own_validation_data_come_first() -> None:
    """Data for the callbacks may be others than those of `fit`."""
    seen = []

    class Note(Callback):
        def on_train_begin(self, logs: Any) -> None:
            seen.append(self.validation_data)

    own = (X[:4], Y[:4])
    fit(make_model(), Callbacks([Note()], validation_data=own))

    assert own is seen[0]


def test_a_generator_of_validation_data_is_left_alone() -> None:
    """It can be read only once, and that is for `fit`."""
    callback = Callback()
    history = make_model().fit(
        X,
        Y,
        verbose=0,
        validation_data=((X, Y) for _ in range(3)),
        validation_steps=1,
        callbacks=[Callbacks([callback])],
    )

    assert callback.validation_data is None
    assert "val_loss" in history.history


def test_multi_optimizer(tmp_path: Path) -> None:
    """Each optimizer has a curve. Callbacks set the first one, and the others keep their ratio."""
    model = chain(keras.layers.Dense(3, name="dense_in"))
    model.compile(two_optimizers(), "mse")
    rows = X.astype(np.float32)
    callbacks = [
        LearningRateScheduler(lambda epoch, rate: rate / 2),
        PlainTensorBoard(tmp_path, tag_style="keras3"),
    ]
    model.fit(rows, Y, epochs=2, verbose=0, callbacks=[Callbacks(callbacks)])

    assert {"fast": 0.025, "slow": 0.0025} == pytest.approx(KerasView(model).get_learning_rates())
    found = steps(tmp_path)
    assert [0, 1] == found["train:epoch_learning_rate_fast"]
    assert [0, 1] == found["train:epoch_learning_rate_slow"]
    plain = make_model()
    assert KerasView(plain).get_learning_rates() is None


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
            PlainTensorBoard(tmp_path, update_freq=5, tag_style="keras3"),
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


def test_learning_rate_of_a_function() -> None:
    """A learning rate that a function returns is told, and cannot be set."""
    model = make_model()
    model.compile(keras.optimizers.SGD(lambda: 0.25), "mse")

    assert 0.25 == KerasView(model).get_learning_rate()
    with pytest.raises(ArgumentTypeError, match="function"):
        KerasView(model).set_learning_rate(0.1)


@pytest.mark.parametrize(
    ("style", "tag", "evaluated"),
    [
        ("grouped", "evaluation/loss", [0, 4]),
        ("keras3", "evaluation_loss_vs_iterations", [0, 2, 4, 4]),
    ],
)
def test_evaluate_alone(tmp_path: Path, style: str, tag: str, evaluated: list[int]) -> None:
    """Evaluation outside of `fit` is recorded at the number of batches trained, as in Keras."""
    model = make_model()
    log = TensorBoard(tmp_path, tag_style=style)
    model.evaluate(X, Y, verbose=0, callbacks=[log])
    fit(model, log)
    model.evaluate(X, Y, verbose=0, callbacks=[log])

    found = steps(tmp_path)
    assert evaluated == found[f"validation:{tag}"]
    assert [0, 1] == found["train:epoch_loss" if style == "keras3" else "train:epoch/loss"]


class Hooks(Callback):
    """Notes the hooks that are called."""

    def __init__(self) -> None:
        self.called: list[Any] = []

    def on_test_begin(self, logs: Any) -> None:
        self.called.append(("test begin", self.training.step))

    def on_test_batch_end(self, batch: int, logs: Any) -> None:
        self.called.append(("test batch", sorted(logs)))

    def on_test_end(self, logs: Any) -> None:
        self.called.append(("test end", sorted(logs)))

    def on_predict_begin(self, logs: Any) -> None:
        self.called.append(("predict begin", self.training.step))

    def on_predict_batch_begin(self, batch: int, logs: Any) -> None:
        self.called.append(("predict batch begin", batch))

    def on_predict_batch_end(self, batch: int, logs: Any) -> None:
        self.called.append(("predict batch", logs["outputs"].shape))

    def on_predict_end(self, logs: Any) -> None:
        self.called.append(("predict end", dict(logs)))

    def close(self, status: str) -> None:
        self.called.append(("close", status))


def test_evaluate_and_predict(tmp_path: Path) -> None:
    """Outside of `fit`, callbacks that listen to `evaluate` or `predict` are called and closed.

    The backup of an interrupted training is still there afterwards.
    """
    model = make_model()
    hooks = Hooks()
    callbacks = Callbacks([hooks, BackupAndRestore(tmp_path)])
    with pytest.raises(KeyboardInterrupt), callbacks:
        fit(model, callbacks, Interrupt(), epochs=4)
    backup = sorted(tmp_path.iterdir())
    hooks.called.clear()
    model.evaluate(X, Y, batch_size=32, verbose=0, callbacks=[callbacks])

    metrics = ["acc", "loss"]
    assert [
        ("test begin", 4),
        ("test batch", metrics),
        ("test end", metrics),
        ("close", "finished"),
    ] == hooks.called
    hooks.called.clear()
    model.predict(X, batch_size=32, verbose=0, callbacks=[callbacks])
    assert [
        ("predict begin", 4),
        ("predict batch begin", 0),
        ("predict batch", (32, 1)),
        ("predict end", {}),
        ("close", "finished"),
    ] == hooks.called
    assert backup == sorted(tmp_path.iterdir())
    assert 3 == len(backup)  # the weights, the learning rate, and the epoch


def test_an_evaluation_that_fails() -> None:
    """Its callbacks are closed when the `with` block ends, or when something else begins."""

    class Fail(keras.callbacks.Callback):  # type: ignore[misc]
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            raise OSError

    model = make_model()
    hooks = Hooks()
    callbacks = Callbacks([hooks])
    with pytest.raises(OSError), callbacks:  # noqa: PT011 - our own, without a message
        model.evaluate(X, Y, verbose=0, callbacks=[callbacks, Fail()])
    assert ("close", "failed") == hooks.called[-1]
    with pytest.raises(OSError):  # noqa: PT011
        model.evaluate(X, Y, verbose=0, callbacks=[callbacks, Fail()])
    hooks.called.clear()
    fit(model, callbacks, epochs=1)
    assert ("close", "failed") == hooks.called[0]


def test_no_backend(tmp_path: Path) -> None:
    """Without KERAS_BACKEND Keras wants TensorFlow. The error says what to set."""
    environment = {**os.environ, "HOME": str(tmp_path)}  # without a configuration of Keras
    environment.pop("KERAS_BACKEND", None)
    child = subprocess.run(
        [sys.executable, "-c", "import eventwriter.integrations.keras"],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=LONG_SECS,
        check=False,
    )

    assert 1 == child.returncode
    line = child.stderr.splitlines()[-1]
    assert line.startswith("eventwriter.errors.MissingDependencyError: ")
    assert "expected tensorflow, the backend of Keras" in line
    assert "got jax and torch." in line
    assert "KERAS_BACKEND=jax before Python starts" in line


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
    assert [0, 1, 2, 3] == found["train:own"] == found["train:epoch/loss"]


def test_profile_batch(tmp_path: Path) -> None:
    """Keras's argument is taken, and told to be without effect."""
    with pytest.warns(EventWriterWarning, match="profile_batch"):
        TensorBoard(tmp_path, profile_batch=2)


def test_what_is_no_model() -> None:
    """It is refused by its type."""
    with pytest.raises(ArgumentTypeError, match="int"):
        KerasView(3)
    with pytest.raises(ArgumentTypeError, match=r"optimizer: expected a keras.*got dict"):
        KerasView(make_model(), {"learning_rate": 0.1})
