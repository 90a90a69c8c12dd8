"""Small trainings, as users write them: their event files hold what each of them did."""

from __future__ import annotations

import functools
import inspect
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch

from eventwriter import EventFileReader
from eventwriter.callbacks import TensorBoard
from eventwriter.callbacks.tensorboard.tag_styles import TAG_STYLES
from tests.helpers import children

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventwriter import Event

FOLDER = Path(__file__).parents[1] / "trainings"
# The trainings leave `tag_style` as it is.
STYLE = TAG_STYLES[inspect.signature(TensorBoard).parameters["tag_style"].default]
TORCH_WEIGHTS = ("0/weight", "0/bias", "2/weight", "2/bias")
TORCH_LAYERS = ("0", "1", "2")
WEIGHTS = ("hidden/kernel", "hidden/bias", "scores/kernel", "scores/bias")
KERAS_JAX_WEIGHTS = tuple(
    f"sequential/{name}"
    for name in (
        *("hidden/kernel", "hidden/bias", "share/kernel", "share/bias"),
        *("norm/gamma", "norm/beta"),
    )
)


class Expected(NamedTuple):
    """What the log of a training holds.

    Attributes:
        epochs: The number of epochs.
        weights: Names of weights, each with a histogram.
        layers: Names of layers, each with a histogram of its outputs.
        every: The number of epochs from one histogram to the next.
        gradients: Whether each weight also has a histogram of its gradients.
        loss: The name of the loss.
        parts: The directories of the trainings, if there are several.
    """

    epochs: int
    weights: tuple[str, ...]
    layers: tuple[str, ...] = ()
    every: int = 1
    gradients: bool = True
    loss: str = "loss"
    parts: tuple[str, ...] = ("",)


TRAININGS = {
    "torch_writer": Expected(6, TORCH_WEIGHTS, TORCH_LAYERS),
    "torch_resume": Expected(5, TORCH_WEIGHTS, TORCH_LAYERS),
    "torch_accumulation": Expected(6, TORCH_WEIGHTS, TORCH_LAYERS),
    "keras_torch": Expected(5, WEIGHTS, ("hidden", "scores")),
    "keras_jax": Expected(5, KERAS_JAX_WEIGHTS, ("hidden", "norm", "share"), every=2),
    "flax_nnx": Expected(5, (*WEIGHTS, "norm/scale", "norm/bias"), ("hidden", "norm", "scores")),
    "flax_linen": Expected(5, WEIGHTS, ("hidden", "scores")),
    "equinox_mlp": Expected(
        5, tuple(f"layers/{n}/{part}" for n in (0, 1) for part in ("weight", "bias"))
    ),
    "xgboost_trees": Expected(
        20,
        ("feature_importance/weight", "feature_importance/gain"),
        every=5,
        gradients=False,
        loss="logloss",
    ),
    "lightgbm_trees": Expected(
        20,
        ("feature_importance/split", "feature_importance/gain"),
        every=5,
        gradients=False,
        loss="binary_logloss",
    ),
    "sklearn_mlp": Expected(
        8, ("coefs/0", "coefs/1", "intercepts/0", "intercepts/1"), gradients=False
    ),
    "numpy_alone": Expected(
        8, ("hidden/kernel", "hidden/bias", "score/kernel", "score/bias"), ("hidden", "score")
    ),
    "folds": Expected(
        6,
        ("coefs/0", "coefs/1", "intercepts/0", "intercepts/1"),
        gradients=False,
        parts=tuple(f"fold-{fold}" for fold in range(5)),
    ),
    "sweep": Expected(6, TORCH_WEIGHTS, TORCH_LAYERS, every=2, parts=("lr-0.01", "lr-0.1", "lr-1")),
    "ranks": Expected(4, TORCH_WEIGHTS, TORCH_LAYERS, parts=("rank-0", "rank-1")),
}
OTHERS = ("torch_gan", "reinforcement")
"""Trainings whose loss need not fall, or that have no epochs."""


class Log:
    """What the event files in a directory hold, in the order of the files.

    Attributes:
        directory: The directory.
        runs: The names of the runs.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.runs: set[str] = set()
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        for path in sorted(directory.rglob("*tfevents*")):
            run = path.parent.relative_to(directory).as_posix()
            self.runs.add(run)
            self._events[run] += EventFileReader(path)

    def steps(self, run: str, tag: str) -> list[int]:
        """Return the steps of a tag."""
        return [event.step for event, _ in self._found(run, tag)]

    def values(self, run: str, tag: str) -> list[float]:
        """Return the values of a scalar."""
        found = [value for _, value in self._found(run, tag)]
        assert {"simple_value"} >= {value.WhichOneof("value") for value in found}
        return [value.simple_value for value in found]

    def tags(self, run: str) -> set[str]:
        """Return the tags of a run."""
        return {value.tag for event in self._events[run] for value in event.summary.value}

    def graphs(self, run: str) -> int:
        """Return the number of graphs in a run."""
        return sum(event.HasField("graph_def") for event in self._events[run])

    def endings(self, run: str) -> list[str]:
        """Return how the trainings of a run ended."""
        return [event.session_log.msg for event in self._events[run] if event.session_log.msg]

    def _found(self, run: str, tag: str) -> list[tuple[Event, Any]]:
        return [
            (event, value)
            for event in self._events[run]
            for value in event.summary.value
            if value.tag == tag
        ]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Log]:
    """A function that runs a training once, in a fresh process, and returns its log.

    No training gives a reason to warn.
    """

    @functools.cache
    def run(name: str) -> Log:
        directory = tmp_path_factory.mktemp(name)
        _run(name, directory, interrupt=name == "torch_resume")
        return Log(directory)

    return run


def _run(name: str, directory: Path, *, interrupt: bool = False) -> None:
    module = f"tests.trainings.{name}"
    if interrupt:
        _, err = children.run_module(module, str(directory), "2", returncode=1)
        assert "interrupted in epoch 2" in err
    _, err = children.run_module(module, str(directory))
    assert "EventWriterWarning" not in err


def _is_falling(values: list[float]) -> bool:
    """Return whether the later half is below the earlier half, and the end below the beginning."""
    middle = len(values) // 2
    return bool(np.mean(values[middle:]) < np.mean(values[:middle]) and values[-1] < values[0])


def test_every_training_is_tested() -> None:
    """The tables here and the folder hold the same trainings."""
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "data"}

    assert files == {*TRAININGS, *OTHERS}


@pytest.mark.parametrize("name", TRAININGS)
def test_loss(train: Callable[[str], Log], name: str) -> None:
    """The loss has a point each epoch, 0 to the last, in both runs of each training, and falls."""
    log, expected = train(name), TRAININGS[name]
    steps = list(range(expected.epochs))

    for part in expected.parts:
        for run, form in (
            (STYLE.train, STYLE.epoch),
            (STYLE.validation, STYLE.validation_epoch),
        ):
            path, tag = (Path(part) / run).as_posix(), form.format(expected.loss)
            assert steps == log.steps(path, tag), path
            assert _is_falling(log.values(path, tag)), path
            assert "finished" == log.endings(path)[-1]


@pytest.mark.parametrize("name", TRAININGS)
def test_runs(train: Callable[[str], Log], name: str) -> None:
    """There are the runs of each fold, rank or learning rate, and no others."""
    names = {
        (Path(part) / run).as_posix()
        for part in TRAININGS[name].parts
        for run in (STYLE.train, STYLE.validation)
    }

    assert names | ({"mine"} if name == "torch_writer" else set()) == train(name).runs


@pytest.mark.parametrize("name", TRAININGS)
def test_histograms(train: Callable[[str], Log], name: str) -> None:
    """Each weight, gradient and layer has a histogram in each of the epochs that are due."""
    log, expected = train(name), TRAININGS[name]
    tags = [STYLE.weight.format(weight) for weight in expected.weights]
    if expected.gradients:
        tags += [STYLE.gradient.format(weight) for weight in expected.weights]
    tags += [STYLE.activation.format(layer) for layer in expected.layers]

    for part in expected.parts:
        run = (Path(part) / STYLE.train).as_posix()
        for tag in tags:
            assert list(range(0, expected.epochs, expected.every)) == log.steps(run, tag), tag


@pytest.mark.parametrize("name", ["torch_resume", "keras_torch", "flax_nnx", "ranks", "sweep"])
def test_graph(train: Callable[[str], Log], name: str) -> None:
    """The graph is there once, also after a second start."""
    log = train(name)

    for part in TRAININGS[name].parts:
        assert 1 == log.graphs((Path(part) / STYLE.train).as_posix())


def test_own_writer(train: Callable[[str], Log]) -> None:
    """A writer of the user's own has its records in its own run, beside those of the callbacks."""
    log = train("torch_writer")

    assert {"train/loss", "scores"} == log.tags("mine")
    assert list(range(6 * 12)) == log.steps("mine", "train/loss")
    assert _is_falling(log.values("mine", "train/loss"))
    assert list(range(6)) == log.steps("mine", "scores")
    assert 1 == log.graphs("mine")
    assert (log.directory / "best.pt").exists()


def test_resume(train: Callable[[str], Log]) -> None:
    """The second start goes on at the third epoch, with the learning rate that was due there."""
    log = train("torch_resume")
    batches = list(range(1, 5 * 12 + 1))
    rates = np.repeat([0.2, 0.1, 0.05, 0.025, 0.0125], 12)

    assert ["failed", "finished"] == log.endings(STYLE.train)
    assert batches == log.steps(STYLE.train, STYLE.batch.format("loss"))
    assert batches == log.steps(STYLE.train, STYLE.batch_learning_rate)
    np.testing.assert_allclose(rates, log.values(STYLE.train, STYLE.batch_learning_rate))
    assert not (log.directory / "backup").exists()


def test_learning_rate_of_a_callback(train: Callable[[str], Log]) -> None:
    """The learning rate that a callback sets in Keras is that of the epoch and of its batches."""
    log = train("keras_jax")
    rates = [0.04, 0.02, 0.01, 0.005, 0.0025]

    np.testing.assert_allclose(rates, log.values(STYLE.train, STYLE.learning_rate))
    found = log.values(STYLE.train, STYLE.batch_learning_rate)
    np.testing.assert_allclose(np.repeat(rates, 12), found)


def test_accumulation(train: Callable[[str], Log]) -> None:
    """Four batches are one point, with the learning rate that torch's scheduler set for it."""
    log = train("torch_accumulation")
    steps = list(range(1, 6 * 12 + 1))

    assert steps == log.steps(STYLE.train, STYLE.batch.format("loss"))
    assert _is_falling(log.values(STYLE.train, STYLE.batch.format("loss")))
    found = log.values(STYLE.train, STYLE.batch_learning_rate)
    np.testing.assert_allclose(np.repeat([0.2, 0.1, 0.05], 24), found)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("xgboost_trees", ("gain/f0", "gain/f1")),
        ("lightgbm_trees", ("gain/left_to_right", "split/down_to_up")),
    ],
)
def test_importances(train: Callable[[str], Log], name: str, features: tuple[str, ...]) -> None:
    """The importance of a feature has its name, and is positive in each of the rounds."""
    log = train(name)
    for feature in features:
        tag = f"feature_importance/{feature}"
        assert list(range(0, 20, 5)) == log.steps(STYLE.train, tag)
        assert min(log.values(STYLE.train, tag)) > 0


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("keras_jax", ["best.keras"]),
        ("flax_nnx", ["1.npz", "2.npz", "3.npz", "4.npz", "5.npz"]),
        ("equinox_mlp", ["1.npz", "2.npz", "3.npz", "4.npz", "5.npz"]),
        ("xgboost_trees", ["best.ubj"]),
    ],
)
def test_saved_models(train: Callable[[str], Log], name: str, saved: list[str]) -> None:
    """The models are saved beside the runs, in the format of their framework."""
    directory = train(name).directory

    assert saved == sorted(path.name for path in directory.iterdir() if path.is_file())


def test_sweep(train: Callable[[str], Log]) -> None:
    """Each run has the learning rate of its name. The largest one learns the fastest here."""
    log = train("sweep")
    parts = TRAININGS["sweep"].parts
    last = []
    for part in parts:
        rate = float(part.removeprefix("lr-"))
        run = (Path(part) / STYLE.train).as_posix()
        np.testing.assert_allclose([rate] * 6, log.values(run, STYLE.learning_rate))
        last.append(log.values(run, STYLE.epoch.format("loss"))[-1])

    assert last == sorted(last, reverse=True)


def test_ranks(train: Callable[[str], Log]) -> None:
    """Each rank shows the loss of its own points. The model is one, saved without its wrapper."""
    log = train("ranks")
    tag = STYLE.epoch.format("loss")
    one, two = (log.values((Path(f"rank-{rank}") / STYLE.train).as_posix(), tag) for rank in (0, 1))
    tag = STYLE.validation_epoch.format("loss")
    runs = [(Path(f"rank-{rank}") / STYLE.validation).as_posix() for rank in (0, 1)]

    assert one != two
    assert log.values(runs[0], tag) == log.values(runs[1], tag)
    saved = torch.load(log.directory / "model.pt", weights_only=True)
    assert set(TORCH_WEIGHTS) == {name.replace(".", "/") for name in saved["model"]}


def test_gan(train: Callable[[str], Log]) -> None:
    """Both models show their losses, learning rates, weights, gradients and outputs by their names.

    The drawn points come near the real ones.
    """
    log, steps = train("torch_gan"), list(range(6))

    for name, rate in (("g", 0.01), ("d", 0.005)):
        tags = [STYLE.epoch.format(f"{name}_loss"), f"{STYLE.learning_rate}_{name}"]
        for weight in TORCH_WEIGHTS:
            tags.append(STYLE.weight.format(f"{name}/{weight}"))
            tags.append(STYLE.gradient.format(f"{name}/{weight}"))
        tags += [STYLE.activation.format(f"{name}/{layer}") for layer in TORCH_LAYERS]
        for tag in tags:
            assert steps == log.steps(STYLE.train, tag), tag
        rates = log.values(STYLE.train, f"{STYLE.learning_rate}_{name}")
        np.testing.assert_allclose([rate] * 6, rates)
    assert _is_falling(log.values(STYLE.train, STYLE.epoch.format("distance")))
    assert {STYLE.train} == log.runs
    assert ["finished"] == log.endings(STYLE.train)


def test_reinforcement(train: Callable[[str], Log]) -> None:
    """The steps are the moves of all walks so far, and the reward rises until the agent is done."""
    log = train("reinforcement")
    rewards = log.values(STYLE.train, STYLE.epoch.format("reward"))
    moves = np.cumsum([-reward for reward in rewards]).tolist()

    for metric in ("loss", "reward"):
        assert moves == log.steps(STYLE.train, STYLE.epoch.format(metric))
    histograms = log.steps(STYLE.train, STYLE.weight.format("preferences"))
    assert moves[::10] == histograms
    assert np.mean(rewards[-20:]) > -10 > np.mean(rewards[:20])
    assert ["stopped"] == log.endings(STYLE.train)
