"""What the TensorBoard callback writes: which tags, at which steps, in which runs."""

from __future__ import annotations

import contextlib
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import Callback, LambdaCallback, Loop, NumpyView, TensorBoard
from eventwriter.callbacks.tensorboard import runs
from eventwriter.callbacks.tensorboard.images import weight_image
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    EventWriterWarning,
    WriterClosedError,
)
from eventwriter.graphs import GraphBuilder
from eventwriter.records.session import restart_step
from tests.helpers.runs import steps, values
from tests.helpers.scanner import events

if TYPE_CHECKING:
    from pathlib import Path

DATA = (np.arange(600.0).reshape(200, 3), np.zeros(200))


def make_view(**options: Any) -> NumpyView:
    def graph(inputs: Any) -> GraphBuilder:
        builder = GraphBuilder()
        builder.placeholder("x", shape=(None, 3), dtype="float32")
        return builder

    weights = {"embed/kernel": np.arange(15.0).reshape(5, 3), "dense/bias": np.arange(3.0)}
    defaults: dict[str, Any] = {
        "activations": lambda x: {"dense": x * 2},
        "embeddings": ("embed/kernel",),
        "graph": graph,
    }
    return NumpyView(weights, {"learning_rate": 0.5}, **{**defaults, **options})


def train(log: TensorBoard, view: Any = None, epochs: int = 2, **options: Any) -> Loop:
    options = {"validation_data": DATA, **options}
    loop = Loop(None, [log], epochs, view=view or make_view(), **options)
    with loop:
        for epoch in loop:
            for loss in loop.batches([3.0, 1.0]):
                loop.log(loss=loss + epoch)
            for loss in loop.test_batches([5.0]):
                loop.log(loss=loss + epoch)
            loop.record_gradients({"dense": {"bias": np.ones(3)}})
    return loop


def test_epochs(tmp_path: Path) -> None:
    """Without more, each epoch's metrics: of training and validation in a run each."""
    train(TensorBoard(tmp_path))

    assert {
        "train:graph": [0],
        "train:epoch/loss": [0, 1],
        "train:epoch/learning_rate": [0, 1],
        "train:finished": [0],
        "validation:epoch/loss": [0, 1],
        "validation:finished": [0],
    } == steps(tmp_path)
    assert [2, 3] == values(tmp_path / "train", "epoch/loss")
    assert [5, 6] == values(tmp_path / "validation", "epoch/loss")
    assert [0.5, 0.5] == values(tmp_path / "train", "epoch/learning_rate")


def test_all_of_it(tmp_path: Path) -> None:
    """One record a tag and step: weights, pictures, gradients, activations, batches, speed."""
    log = TensorBoard(
        tmp_path,
        histogram_freq=1,
        write_images=True,
        update_freq="batch",
        write_steps_per_second=True,
    )
    train(log)

    found = steps(tmp_path)
    for name in (
        "weights/embed/kernel",
        "pictures/embed/kernel",
        "weights/dense/bias",
        "gradients/dense/bias",
        "pictures/dense/bias",
        "outputs/dense",
        "epoch/steps_per_second",
    ):
        assert [0, 1] == found.pop(f"train:{name}"), name
    assert [1, 2, 3, 4] == found.pop("train:batch/loss") == found.pop("train:batch/learning_rate")
    assert not [name for name in found if "histogram" in name or "grad" in name]


@pytest.mark.parametrize(("freq", "expected"), [(1, [1, 2, 3, 4]), (3, [3]), ("epoch", [])])
def test_update_freq(tmp_path: Path, freq: Any, expected: list[int]) -> None:
    """Batches are written every so many, and every epoch's metrics always."""
    train(TensorBoard(tmp_path, update_freq=freq))

    found = steps(tmp_path)
    assert expected == found.get("train:batch/loss", [])
    assert [0, 1] == found["train:epoch/loss"] == found["validation:epoch/loss"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [1, 0, 0, 0]), ({"running_means": True}, [1, 1 / 2, 1 / 3, 1 / 4])],
)
def test_metrics_of_a_batch(tmp_path: Path, options: Any, expected: list[float]) -> None:
    """They are the batch's own, or means so far on request. The epoch's mean stays a mean."""
    log = TensorBoard(tmp_path, update_freq="batch", **options)
    with Loop(None, [log]) as loop:
        for _ in loop:
            for rate in loop.batches([1.0, 0.0, 0.0, 0.0]):
                loop.log(learning_rate=rate)
                loop.log({"loss": rate}, size=3)

    for name in ("learning_rate", "loss"):
        found = values(tmp_path / "train", f"batch/{name}")
        assert expected == pytest.approx(found)
        assert [0.25] == values(tmp_path / "train", f"epoch/{name}")


def test_batch_of_several_logs(tmp_path: Path) -> None:
    """Several values in one batch are averaged by their sizes. A metric may miss a batch."""
    with Loop(None, [TensorBoard(tmp_path, update_freq="batch")]) as loop:
        for _ in loop:
            for number in loop.batches(range(3)):
                loop.log(loss=number, size=1)
                loop.log(loss=number + 4, size=3)
                if number == 1:
                    loop.log(rare=7)

    assert [3, 4, 5] == values(tmp_path / "train", "batch/loss")
    assert [2] == steps(tmp_path)["train:batch/rare"]


def test_learning_rates_of_groups(tmp_path: Path) -> None:
    """Each group of parameters has a curve of its learning rate, of epochs and of batches."""

    class Groups(NumpyView):
        def get_learning_rates(self) -> dict[str, float]:
            return {"head": 0.5, "body": 0.25}

    log = TensorBoard(tmp_path, update_freq="batch")
    train(log, Groups({}, {"learning_rate": 0.5}))

    for name, rate in (("head", 0.5), ("body", 0.25)):
        assert [rate] * 2 == values(tmp_path / "train", f"epoch/learning_rate_{name}")
        assert [rate] * 4 == values(tmp_path / "train", f"batch/learning_rate_{name}")
    assert [] == values(tmp_path / "train", "epoch/learning_rate")


def test_histogram_freq(tmp_path: Path) -> None:
    """Histograms come every so many epochs, the first among them."""
    train(TensorBoard(tmp_path, histogram_freq=2), epochs=4)

    assert [0, 2] == steps(tmp_path)["train:outputs/dense"]


def test_steps_rise(tmp_path: Path) -> None:
    """Another training into the same directory, or with the same object, goes on."""
    log = TensorBoard(tmp_path, histogram_freq=1, update_freq=1)
    train(log)
    train(log)
    train(TensorBoard(tmp_path, histogram_freq=1, update_freq=1))

    found = steps(tmp_path)
    assert list(range(6)) == found["train:epoch/loss"] == found["validation:epoch/loss"]
    assert list(range(6)) == found["train:outputs/dense"]
    assert list(range(1, 13)) == found["train:batch/loss"]
    assert [0] == found["train:graph"]


def explore(directory: Path, first: int = 0, rounds: int = 3, **options: Any) -> None:
    """Train without epochs, as in reinforcement learning: 100 steps in each round."""
    log = TensorBoard(directory, histogram_freq=1)
    with Loop(make_view(), [log], None, **options) as loop:
        loop.step = first
        for number in loop:
            loop.record_gradients({"dense": {"bias": np.ones(3)}})
            loop.step += 100
            loop.log(reward=number)
            loop.stop_training = number == rounds - 1


@pytest.mark.filterwarnings("ignore:TensorBoard. no activations")
def test_own_steps(tmp_path: Path) -> None:
    """Steps of the user's own are those of everything, and go on or begin again in order."""
    explore(tmp_path)
    tags = ["epoch/reward", "epoch/learning_rate", "weights/dense/bias", "gradients/dense/bias"]
    found = steps(tmp_path)
    assert all([100, 200, 300] == found[f"train:{tag}"] for tag in tags)

    explore(tmp_path, first=300)
    assert [400, 500, 600] == steps(tmp_path)["train:epoch/reward"][3:]
    explore(tmp_path)
    assert [700, 800, 900] == steps(tmp_path)["train:epoch/reward"][6:]


@pytest.mark.filterwarnings("ignore:TensorBoard. no activations")
def test_rounds_that_go_on(tmp_path: Path) -> None:
    """The number of a round is no step: `initial_epoch` hides nothing where steps are one's own."""
    explore(tmp_path)
    explore(tmp_path, first=300, initial_epoch=3, rounds=5)

    assert [100, 200, 300, 400, 500] == steps(tmp_path)["train:epoch/reward"]
    assert [0, 1, 2, 3, 4] == values(tmp_path / "train", "epoch/reward")
    files = sorted((tmp_path / "train").glob("*tfevents*"))
    assert not any(restart_step(event) for file in files for event in events(file))


def test_own_steps_of_batches(tmp_path: Path) -> None:
    """`update_freq` counts the user's own steps too."""
    with Loop(None, [TensorBoard(tmp_path, update_freq=1000)], 2) as loop:
        for _ in loop:
            for _ in loop.batches(range(6)):
                loop.step += 300
                loop.log(loss=loop.step)

    found = steps(tmp_path)
    assert [1200, 2100, 3000] == found["train:batch/loss"]
    assert [1200, 2100, 3000] == values(tmp_path / "train", "batch/loss")
    assert [1800, 3600] == found["train:epoch/loss"]


def test_initial_epoch(tmp_path: Path) -> None:
    """A training that is told to go on at an epoch that is new goes on there."""
    train(TensorBoard(tmp_path))
    train(TensorBoard(tmp_path), epochs=5, initial_epoch=3)

    assert [0, 1, 3, 4] == steps(tmp_path)["train:epoch/loss"]


def test_going_back(tmp_path: Path) -> None:
    """A training that is told to go on at an epoch that is there begins again at that step.

    It has two batches an epoch. Those of the epochs before are written again after the restart,
    which would void them too.
    """
    marks = []
    for initial_epoch in (0, 3, 2):
        log = TensorBoard(tmp_path, update_freq="batch", write_graph=False, tag_style="keras3")
        train(log, epochs=5, initial_epoch=initial_epoch)
        files = sorted((tmp_path / "train").glob("*tfevents*"))
        marks.append(
            [event.step for file in files for event in events(file) if restart_step(event)]
        )

    found = steps(tmp_path)
    assert [[], [3, 3], [3, 3, 2, 2]] == marks
    assert [0, 1, 2, 3, 4, 3, 4, 2, 3, 4] == found["train:epoch_loss"]
    assert [*range(1, 11), *range(3, 11), *range(2, 11)] == found["train:batch_loss"]
    assert [2, 4, 6, 8, 10, 4, 6, 8, 10, 2, 4, 6, 8, 10] == found[
        "validation:evaluation_loss_vs_iterations"
    ]
    train(TensorBoard(tmp_path, update_freq="batch", tag_style="keras3"), epochs=1)
    found = steps(tmp_path)
    assert 5 == found["train:epoch_loss"][-1]
    assert [11, 12] == found["train:batch_loss"][-2:]


def test_going_back_with_records_of_ones_own(tmp_path: Path) -> None:
    """What users log before the first epoch of a restart has ended comes after its mark."""
    train(TensorBoard(tmp_path), epochs=5)
    log = TensorBoard(tmp_path)

    def log_more(epoch: int, _: Any) -> None:
        log.writer("train").add_histogram("mine", [1.0, 2.0], log.epoch_step)

    callbacks = [log, LambdaCallback(on_epoch_begin=log_more)]
    with Loop(None, callbacks, 5, initial_epoch=3) as loop:
        for _ in loop:
            loop.log(loss=1.0)

    last = max((tmp_path / "train").glob("*tfevents*"))
    written = [event.step for event in events(last) if event.summary.value or restart_step(event)]
    assert [3, 3, 3, 3, 4, 4] == written


def test_records_of_ones_own(tmp_path: Path) -> None:
    """Users log to the runs of the callback, and to others, until training ends."""
    log = TensorBoard(tmp_path, write_graph=False)

    def log_more(epoch: int, _: Any) -> None:
        log.writer("train").add_histogram("mine", [1.0, 2.0], epoch)
        log.writer("samples").add_scalar("count", 3.0, epoch)

    last = LambdaCallback(on_train_end=lambda _: log.writer("train").add_scalar("last", 1.0, 9))
    with Loop(None, [LambdaCallback(on_epoch_end=log_more), last, log], 2) as loop:
        for _ in loop:
            loop.log(loss=1.0)

    found = steps(tmp_path)
    assert [0, 1] == found["train:mine"] == found["train:epoch/loss"] == found["samples:count"]
    assert [9] == found["train:last"]
    assert [0] == found["train:finished"] == found["samples:finished"]


def test_keras3(tmp_path: Path) -> None:
    """The names of Keras 3. Like Keras it writes each validation twice, at the batch too."""
    log = TensorBoard(
        tmp_path, histogram_freq=1, write_images=True, tag_style="keras3", update_freq="batch"
    )
    train(log)

    found = steps(tmp_path)
    tags = ["train:epoch_loss", "train:epoch_learning_rate", "validation:epoch_loss"]
    tags += [f"train:embed/kernel/{end}" for end in ("histogram", "image")]
    tags += [f"train:dense/bias/{end}" for end in ("histogram", "image", "grad")]
    assert {
        "train:graph": [0],
        "train:finished": [0],
        "train:dense/out": [0, 1],
        "train:batch_loss": [1, 2, 3, 4],
        "train:batch_learning_rate": [1, 2, 3, 4],
        "validation:evaluation_loss_vs_iterations": [2, 4],
        "validation:finished": [0],
        **{tag: [0, 1] for tag in tags},
    } == found


def test_groups(tmp_path: Path) -> None:
    """By alphabet, as TensorBoard orders them, the curves come before the histograms."""
    log = TensorBoard(tmp_path, histogram_freq=1, write_images=True, update_freq="batch")
    train(log)

    tags = [tag.removeprefix("train:") for tag in steps(tmp_path) if tag.startswith("train:")]
    groups = dict.fromkeys(tag.partition("/")[0] for tag in sorted(tags) if "/" in tag)
    assert ["batch", "epoch", "gradients", "outputs", "pictures", "weights"] == list(groups)


def validate(loop: Loop, loss: float) -> None:
    for each in loop.test_batches([loss]):
        loop.log(loss=each)


def test_validation_within_an_epoch(tmp_path: Path) -> None:
    """What the end of an epoch does not tell is written at its batch, and nothing twice.

    The first epoch has three validations, each with metrics of its own, and ends with the mean of
    all. The second has one at its end. In the third, batches follow the only one.
    """
    with Loop(None, [TensorBoard(tmp_path, write_graph=False)], 3) as loop:
        for epoch in loop:
            list(loop.batches(range(4)))
            for loss in [[2.0, 3.0], [5.0], [6.0]][epoch]:
                validate(loop, loss)
            if epoch != 1:
                list(loop.batches(range(2)))
            if epoch == 0:
                validate(loop, 7.0)

    run = tmp_path / "validation"
    at = steps(tmp_path)["validation:evaluation/loss"]
    assert [4, 4, 6, 14] == at
    assert [2, 3, 7, 6] == values(run, "evaluation/loss")
    assert [4, 5, 6] == values(run, "epoch/loss")


def test_validation_before_an_error(tmp_path: Path) -> None:
    """A validation whose epoch does not end is written when training ends."""
    with (
        contextlib.suppress(KeyboardInterrupt),
        Loop(None, [TensorBoard(tmp_path, write_graph=False)], 3) as loop,
    ):
        for _ in loop:
            list(loop.batches(range(4)))
            validate(loop, 2.0)
            raise KeyboardInterrupt

    assert [4] == steps(tmp_path)["validation:evaluation/loss"]


def test_keras2(tmp_path: Path) -> None:
    """The names of Keras 2, in one run."""
    log = TensorBoard(tmp_path, histogram_freq=1, tag_style="keras2", update_freq="batch")
    train(log)

    assert {
        ".:graph": [0],
        ".:loss": [0, 1],
        ".:val_loss": [0, 1],
        ".:lr": [0, 1],
        ".:batch_loss": [1, 2, 3, 4],
        ".:batch_lr": [1, 2, 3, 4],
        ".:embed/kernel_0": [0, 1],
        ".:dense/bias_0": [0, 1],
        ".:dense/bias_0_grad": [0, 1],
        ".:dense_out": [0, 1],
        ".:finished": [0],
    } == steps(tmp_path)


@pytest.mark.parametrize(
    "form", ["list", "file", "table", "dict", "keys", "iterator", "iterators", "array"]
)
def test_embeddings(tmp_path: Path, form: str) -> None:
    """Embeddings are in the Projector, with their labels, at every second training too."""
    words = ["the", "of", "and", "a", "to"]
    path = tmp_path / "words.tsv"
    forms = {
        "list": words,
        "dict": {"embed/kernel": words},
        "keys": dict.fromkeys(words).keys(),
        "iterator": iter(words),
        "iterators": {"embed/kernel": iter(words)},
        "array": np.array(words),
    }
    metadata: Any = forms.get(form, path)
    if form == "table":
        path.write_text("word\tcount\n" + "".join(f"{word}\t1\n" for word in words))
    else:
        path.write_text("".join(f"{word}\n" for word in words))
    log = TensorBoard(tmp_path / "log", embeddings_freq=1, embeddings_metadata=metadata)
    train(log)
    train(log)

    config = (tmp_path / "log/train/projector_config.pbtxt").read_text()
    assert 4 == config.count("tensor_name")
    assert 4 == config.count("metadata_path")
    tables = {path.read_text() for path in (tmp_path / "log/train").rglob("metadata*.tsv")}
    header = "word\tcount\n" if form == "table" else ""
    ending = "\t1\n" if form == "table" else "\n"
    assert {header + "".join(word + ending for word in words)} == tables


def test_metadata_in_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a file is relative to the directory of the runs, as in Keras."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log/words.tsv").write_text("a\nb\nc\nd\ne\n")
    (tmp_path / "words.tsv").write_text("1\n2\n3\n4\n5\n")
    monkeypatch.chdir(tmp_path)
    train(TensorBoard("log", embeddings_freq=1, embeddings_metadata="words.tsv"))

    (table,) = (tmp_path / "log").rglob("metadata*.tsv")
    assert "a\nb\nc\nd\ne\n" == table.read_text()


@pytest.mark.parametrize(
    "metadata",
    [
        [{"word": word, "count": 1} for word in "abcde"],
        np.array([(word, 1) for word in "abcde"], [("word", "U1"), ("count", int)]),
    ],
    ids=["dicts", "structured array"],
)
def test_metadata_with_names_of_columns(tmp_path: Path, metadata: Any) -> None:
    """Rows that bring the names of their columns keep them."""
    train(TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata=metadata))

    (table,) = tmp_path.rglob("metadata*.tsv")
    assert "word\tcount\na\t1\nb\t1\nc\t1\nd\t1\ne\t1\n" == table.read_text()


@pytest.mark.parametrize(
    ("metadata", "error", "match"),
    [
        ([("a", 1)] * 5, ArgumentValueError, "Name the columns"),
        (["a"] * 4 + ["\ud800"], ArgumentValueError, "surrogate"),
        ({"embed/kernel": {1, 2, 3, 4, 5}}, ArgumentTypeError, "list of labels.*got set"),
        (["the"], ArgumentValueError, "expected 5 labels, one for each row, got 1"),
        ({"other": ["the"] * 5}, ArgumentValueError, r"embed/kernel'\], got 'other'"),
        (3, ArgumentTypeError, "list of labels"),
    ],
)
def test_wrong_metadata(tmp_path: Path, metadata: Any, error: type[Exception], match: str) -> None:
    """Labels that do not fit raise an error before anything is trained."""
    with pytest.raises(error, match=match):
        train(TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata=metadata))


def test_sample_is_bounded(tmp_path: Path) -> None:
    """The model is looked at with 128 rows, however many there are: once before, then at epochs."""
    seen = []

    def activations(inputs: Any) -> dict[str, Any]:
        seen.append(inputs.shape)
        return {"a": inputs}

    train(TensorBoard(tmp_path, histogram_freq=1), make_view(activations=activations))

    assert [(128, 3)] * 3 == seen


def test_without_validation_data(tmp_path: Path) -> None:
    """No activations, and one warning that says why."""
    with pytest.warns(EventWriterWarning, match="no activations.*validation_data") as told:
        train(TensorBoard(tmp_path, histogram_freq=1), validation_data=None)

    assert 1 == len(told)
    assert "train:outputs/dense" not in steps(tmp_path)


def test_without_gradients(tmp_path: Path) -> None:
    """Where nothing holds gradients, one warning says what to do."""
    log = TensorBoard(tmp_path, histogram_freq=1)
    loop = Loop(None, [log], 3, view=make_view(), validation_data=DATA)
    with pytest.warns(EventWriterWarning, match="record_gradients") as told:
        list(loop)

    assert 1 == len(told)


def test_graph_that_cannot_be_read(tmp_path: Path) -> None:
    """It is warned of, and training goes on."""

    def graph(inputs: Any) -> Any:
        raise ArgumentValueError("this model has none")

    with pytest.warns(EventWriterWarning, match="this model has none"):
        loop = train(TensorBoard(tmp_path), make_view(graph=graph))

    assert "finished" == loop.status


def test_view_without_weights(tmp_path: Path) -> None:
    """Histograms of a model that cannot tell its weights are refused when training begins."""

    class Bare:
        def get_learning_rate(self) -> float:
            return 1.0

    with pytest.raises(ArgumentTypeError, match=r"histogram_freq.* needs `weights`"):
        train(TensorBoard(tmp_path, histogram_freq=1), Bare())
    assert ["train:epoch/learning_rate"] == [
        name
        for name in (train(TensorBoard(tmp_path), Bare()), steps(tmp_path))[1]
        if "learning_rate" in name
    ]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("own"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_training_that_fails(tmp_path: Path, error: BaseException, status: str) -> None:
    """What was logged before is there, and how it ended; the error is the training's own."""

    def fail(epoch: int, logs: Any) -> None:
        if epoch == 1:
            raise error

    log = TensorBoard(tmp_path)
    loop = Loop(None, [log, LambdaCallback(on_epoch_end=fail)], 3)
    with pytest.raises(type(error)) as caught, loop:  # noqa: PT012
        for epoch in loop:
            loop.log(loss=epoch)

    assert error is caught.value
    assert {"train:epoch/loss": [0, 1], f"train:{status}": [0]} == steps(tmp_path)


def test_run_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at the first validation costs its metrics, and not the training."""
    writer = runs.SummaryWriter
    refusals = [OSError(28, "No space left on device", "validation")]

    def refuse(log_dir: Path, **options: Any) -> Any:
        if log_dir.name == "validation" and refusals:
            raise refusals.pop()
        return writer(log_dir, **options)

    monkeypatch.setattr(runs, "SummaryWriter", refuse)
    with pytest.warns(EventWriterWarning, match="step 2 are lost: .*No space left.*validation"):
        train(TensorBoard(tmp_path, tag_style="keras3"), epochs=3)

    assert [0, 1, 2] == steps(tmp_path)["train:epoch_loss"]
    assert [0, 1, 2] == steps(tmp_path)["validation:epoch_loss"]
    assert [4, 6] == steps(tmp_path)["validation:evaluation_loss_vs_iterations"]


def test_metrics_are_read_when_written(tmp_path: Path) -> None:
    """A batch's metric is not fetched at a step that is not written."""
    fetched = []

    class Number:
        def __float__(self) -> float:
            fetched.append(loop.step)
            return 1.0

    loop = Loop(None, [TensorBoard(tmp_path, update_freq=3)])
    with loop:
        loop.epoch_begin(0)
        for batch in range(7):
            loop.batch_end(batch, {"loss": Number()})

    assert [3, 6] == fetched


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tag_style": "keras4"}, "keras3"),
        ({"update_freq": 0}, "update_freq"),
        ({"update_freq": "often"}, "update_freq"),
        ({"update_freq": True}, "update_freq"),
        ({"histogram_freq": -1}, "histogram_freq"),
        ({"histogram_freq": 0.5}, "histogram_freq"),
        ({"embeddings_freq": True}, "embeddings_freq"),
    ],
)
def test_arguments(tmp_path: Path, options: dict[str, Any], match: str) -> None:
    """What is none of the choices is refused at once, and nothing is written."""
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=match):
        TensorBoard(tmp_path, **options)
    assert [] == list(tmp_path.iterdir())


def test_keyword_only(tmp_path: Path) -> None:
    """Everything after the directory is given by name, as in every adapter."""
    with pytest.raises(TypeError, match="positional"):
        TensorBoard(tmp_path, 1)  # type: ignore[misc]


class Notes(Callback):
    """Adds records of its own to both runs, at every hook that a training of an epoch has."""

    def __init__(self, log: TensorBoard) -> None:
        self._log = log

    def _note(self, hook: str) -> None:
        for run in ("train", "validation"):
            self._log.writer(run).add_scalar(f"own/{hook}/{run}", 1.0, 1000)

    def on_train_begin(self, logs: Any) -> None:
        self._note("begin")

    def on_batch_end(self, batch: int, logs: Any) -> None:
        if batch == 0:
            self._note("batch")

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self._log.writer("train").add_scalar("own/epoch", 1.0, self._log.epoch_step)

    def on_train_end(self, logs: Any) -> None:
        self._note("end")


@pytest.mark.parametrize("notes_first", [True, False])
@pytest.mark.parametrize("style", ["grouped", "keras3", "keras2"])
def test_writer(tmp_path: Path, style: str, notes_first: bool) -> None:
    """Other callbacks add to the runs from on_train_begin to on_train_end, in any order."""
    log = TensorBoard(tmp_path, tag_style=style, update_freq="batch")
    callbacks = [Notes(log), log] if notes_first else [log, Notes(log)]
    with Loop(make_view(), callbacks) as loop:
        for _ in loop:
            for loss in loop.batches([3.0, 1.0]):
                loop.log(loss=loss)
        log.writer("train").add_scalar("own/within", 1.0, 0)

    found = steps(tmp_path)
    for run in ("train", "validation"):
        directory = "." if style == "keras2" else run
        for hook in ("begin", "batch", "end"):
            assert [1000] == found[f"{directory}:own/{hook}/{run}"]
    train_run = "." if style == "keras2" else "train"
    assert [0] == found[f"{train_run}:own/epoch"] == found[f"{train_run}:own/within"]
    assert [1, 2] == found[f"{train_run}:{'batch/loss' if style == 'grouped' else 'batch_loss'}"]
    assert len(list(tmp_path.rglob("*tfevents*"))) == (1 if style == "keras2" else 2)


def test_own_records_do_not_move_the_steps(tmp_path: Path) -> None:
    """A second training continues the callback's epochs, whatever steps the user's records have."""
    for _ in range(2):
        log = TensorBoard(tmp_path, update_freq="batch")
        with Loop(make_view(), [log, Notes(log)], 2) as loop:
            for _ in loop:
                for loss in loop.batches([3.0, 1.0]):
                    loop.log(loss=loss)
                    loop.log(acc=loss)

    found = steps(tmp_path)
    assert [0, 1, 2, 3] == found["train:epoch/loss"] == found["train:own/epoch"]
    assert [1, 2, 3, 4, 5, 6, 7, 8] == found["train:batch/loss"]


def test_writer_without_a_training(tmp_path: Path) -> None:
    """Before and after a training there is none: the error says where to call it."""
    log = TensorBoard(tmp_path / "log")
    with pytest.raises(WriterClosedError, match=r"while training runs.*with Loop.*SummaryWriter"):
        log.writer("train")
    assert [] == list(tmp_path.iterdir())

    train(log)
    with pytest.raises(WriterClosedError, match="after its end"):
        log.writer("validation")


def test_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example in the docstring runs, and its pictures have the steps of the metrics."""
    monkeypatch.chdir(tmp_path)
    # Python 3.13 takes the indentation away, earlier versions leave it.
    blocks = inspect.cleandoc(TensorBoard.__doc__ or "").split("\n\n")
    example = "\n\n".join(block for block in blocks if block.startswith("    "))
    exec(textwrap.dedent(example), {})  # a docstring of our own

    found = steps(tmp_path / "runs/digits")
    assert [0, 1] == found["validation:first digit"] == found["train:epoch/loss"]


@pytest.mark.parametrize(
    ("shape", "pictures"),
    [
        ((), None),
        ((1,), None),
        ((4,), (1, 4)),
        ((4, 1), (1, 4)),
        ((5, 3), (3, 5)),
        ((3, 5), (3, 5)),
        ((16, 1, 3, 3), (15, 15)),  # 4 x 4 filters of 3 x 3, and the gaps between them
        ((5, 1, 3, 3), (11, 7)),  # 3 x 2, one of which is left black
        ((8, 3, 5, 5), (17, 17, 3)),  # 3 x 3 in colours
        ((8, 2, 5, 5), (11, 47)),  # filters are columns, channels are rows
        ((300, 500, 3, 3), (63, 63)),  # 16 x 16
        ((64, 3, 1, 1), (3, 64)),
        ((4, 2, 9), (11, 9)),  # four tiles of 2 x 9
        ((4, 9, 2), (11, 9)),
        ((4, 2, 3, 5, 5), (35, 23)),  # the three planes of two channels
        ((2000, 1, 3, 3), (63, 63)),
        ((0, 3), None),
        ((3, 0, 3, 3), None),
    ],
)
def test_pictures(shape: tuple[int, ...], pictures: tuple[int, ...] | None) -> None:
    """Each weight is one picture, in either layout, whose lowest value is 0 and highest 1."""
    weight = np.random.default_rng(0).normal(size=shape)
    weight.flat[:1], weight.flat[1:2] = -9, 9
    found = weight_image(weight, "a", filters_first=True)

    assert pictures == (None if found is None else found.shape)
    if found is not None:
        assert (0, 1) == (found.min(), found.max())
        for first in (None, False):
            last = np.moveaxis(weight, (0, 1), (-1, -2)) if weight.ndim > 2 else weight
            assert np.array_equal(found, weight_image(last, "a", filters_first=first))


def test_places_of_filters() -> None:
    """A filter is whole and the right way up; filters follow each other as in a text."""
    kernel = np.arange(16.0).reshape(4, 1, 2, 2) / 15
    picture = weight_image(kernel, "a", filters_first=True)

    assert np.round(picture * 15).tolist() == [
        [0, 1, 0, 4, 5],
        [2, 3, 0, 6, 7],
        [0, 0, 0, 0, 0],
        [8, 9, 0, 12, 13],
        [10, 11, 0, 14, 15],
    ]
    channels = weight_image(kernel.reshape(2, 2, 2, 2), "a", filters_first=True)
    assert np.round(channels * 15).tolist() == [
        [0, 1, 0, 8, 9],
        [2, 3, 0, 10, 11],
        [0, 0, 0, 0, 0],
        [4, 5, 0, 12, 13],
        [6, 7, 0, 14, 15],
    ]
    colours = weight_image(np.arange(12.0).reshape(1, 3, 2, 2) / 11, "a", filters_first=True)
    assert np.round(colours * 11).tolist() == [[[0, 4, 8], [1, 5, 9]], [[2, 6, 10], [3, 7, 11]]]


@pytest.mark.parametrize("fill", [3.0, np.nan, np.inf])
def test_flat_pictures(fill: float) -> None:
    """A weight of one value, or of none, is black."""
    picture = weight_image(np.full((2, 2), fill), "a")

    assert [[0, 0], [0, 0]] == picture.tolist()
