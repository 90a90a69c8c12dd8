"""SummaryWriter: what each call writes, and what it refuses."""

from __future__ import annotations

import inspect
import math
import pickle
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eventwriter import SummaryWriter
from eventwriter._proto.event_pb2 import SessionLog
from eventwriter._proto.graph_pb2 import GraphDef
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    CorruptFileError,
    EventWriterWarning,
    TruncatedFileError,
    WriteError,
    WriterClosedError,
)
from eventwriter.graphs import GraphBuilder
from tests.helpers.runs import all_events, scalars


def test_scalars_come_out_in_order(tmp_path: Path) -> None:
    """Tags, steps and values are in the file as they were logged, in the order of the calls."""
    expected = [(f"tag/{n % 3}", n - 5, n / 4) for n in range(10_000)]
    with SummaryWriter(tmp_path) as writer:
        for tag, step, value in expected:
            writer.add_scalar(tag, value, step)

    assert expected == scalars(tmp_path)


def test_wall_time_is_now_or_what_was_given(tmp_path: Path) -> None:
    """Events carry the time of the call, or the one given; zero is a time too."""
    before = time.time()
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 0)
        writer.add_scalar("a", 1.0, 1, walltime=12.5)
        writer.add_scalar("a", 1.0, 2, walltime=np.float32(0))
        writer.log({"a": 1.0}, 3, walltime=13)
        writer.log({"a": 1.0}, 4)
    after = time.time()
    times = [event.wall_time for event in all_events(tmp_path)]

    assert [12.5, 0.0, 13.0] == times[1:4]
    assert before <= times[0] <= times[4] <= after


def test_long_tags_take_the_plain_path(tmp_path: Path) -> None:
    """A tag beyond the fast path's tables is written all the same, in its place."""
    expected = [("short", 0, 1.0), ("t" * 5000, 1, 2.0), ("short", 2, 3.0)]
    with SummaryWriter(tmp_path) as writer:
        for tag, step, value in expected:
            writer.add_scalar(tag, value, step)

    assert expected == scalars(tmp_path)


def test_steps_count_up_by_tag(tmp_path: Path) -> None:
    """Without a step each tag counts from 0; `log` takes one that is new for all its tags."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0)
        writer.add_scalar("a", 1.0)
        writer.add_scalar("b", 1.0)
        writer.log({"a": 1.0, "b": 1.0})
        writer.add_scalar("b", 1.0)
        writer.add_scalar_series("b", [1.0, 1.0])
        writer.add_scalar("b", 1.0)
    steps = [(tag, step) for tag, step, _ in scalars(tmp_path)]

    expected = [("a", 0), ("a", 1), ("b", 0), ("a", 2), ("b", 2), ("b", 3), ("b", 4), ("b", 5)]
    assert [*expected, ("b", 6)] == steps


def test_counting_steps_in_a_continued_run_is_warned_of_once(tmp_path: Path) -> None:
    """Where events lie already, steps that count from 0 would replace them: a warning says so."""
    SummaryWriter(tmp_path).close()
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 5)
        with pytest.warns(EventWriterWarning, match="Pass global_step") as caught:
            writer.add_scalar("a", 1.0)
        writer.add_scalar("a", 1.0)

    assert [__file__] == [warning.filename for warning in caught]


def test_integral_floats_are_steps(tmp_path: Path) -> None:
    """A step of 3.0 is step 3."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 3.0)
        writer.add_scalar("a", 1.0, np.int64(4))

    assert [("a", 3, 1.0), ("a", 4, 1.0)] == scalars(tmp_path)


def test_values_beyond_float32_are_infinite(tmp_path: Path) -> None:
    """What float32 cannot hold becomes an infinity, in every call alike."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1e300, 0)
        writer.add_scalar("a", -1e300, 1, walltime=0)
        writer.log({"a": 1e300}, 2)
        writer.add_scalar_series("a", [-1e300], [3])

    assert [math.inf, -math.inf, math.inf, -math.inf] == [value for *_, value in scalars(tmp_path)]


def test_log_writes_one_event(tmp_path: Path) -> None:
    """Many scalars become one event, nested names joined by slashes, in the dict's order."""
    metrics = {"train": {"loss": 0.5, "deep": {"er": 2}}, "lr": np.float32(0.25)}
    with SummaryWriter(tmp_path) as writer:
        writer.log(metrics, 7)
        writer.log(metrics, 8)
        writer.log({"lr": 1, "x": True}, 9)
        writer.log({}, 10)
    one = [("train/loss", 0.5), ("train/deep/er", 2.0), ("lr", 0.25)]

    assert [7, 8, 9] == [event.step for event in all_events(tmp_path)]
    assert [(tag, 7, value) for tag, value in one] == scalars(tmp_path)[:3]
    assert [(tag, 8, value) for tag, value in one] == scalars(tmp_path)[3:6]
    assert [("lr", 9, 1.0), ("x", 9, 1.0)] == scalars(tmp_path)[6:]


@pytest.mark.parametrize(
    ("metrics", "error", "found"),
    [
        ([1, 2], ArgumentTypeError, "list"),
        ({"a": {"b": "high"}}, ArgumentTypeError, "'a/b'.*str"),
        ({"a": None}, ArgumentTypeError, "'a'.*NoneType"),
        ({1: 2.0}, ArgumentTypeError, "int"),
        ({"": 2.0}, ArgumentValueError, "empty"),
        ({"a/b": 1.0, "a": {"b": 1.0}}, ArgumentValueError, "'a/b' twice"),
        ({"a": 10**400}, ArgumentValueError, "'a'.*too large"),
    ],
)
def test_log_refuses(tmp_path: Path, metrics: Any, error: type[Exception], found: str) -> None:
    """A dict with one bad entry writes nothing, and the error names the entry."""
    with SummaryWriter(tmp_path) as writer:
        for _ in range(2):
            with pytest.raises(error, match=found):
                writer.log(metrics, 1)

    assert [] == all_events(tmp_path)


def test_series_equals_its_points(tmp_path: Path) -> None:
    """A curve in one call is the same events as its points one by one, across its pieces."""
    count = 10_000
    values, steps = np.sin(np.arange(count)), np.arange(count) - 50
    walltimes = np.linspace(1.0, 2.0, count)
    with SummaryWriter(tmp_path / "series") as writer:
        writer.add_scalar_series("a", values, steps, walltimes)
    with SummaryWriter(tmp_path / "points") as writer:
        for point in zip(values, steps, walltimes, strict=True):
            writer.add_scalar("a", *point)

    assert all_events(tmp_path / "points") == all_events(tmp_path / "series")


@pytest.mark.parametrize("steps", [[3, 2, 1, 0], [2, 0, 3, 1], [-1, 5, -7, 2]])
def test_series_is_sorted_by_step(tmp_path: Path, steps: list[int]) -> None:
    """A curve whose steps go down or are shuffled is written in the order of its steps.

    Catches: a step below the one before, at which TensorBoard hides what came before.
    """
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar_series("a", [float(step) for step in steps], steps)

    assert [("a", step, step) for step in sorted(steps)] == scalars(tmp_path)


def test_equal_steps_of_a_series_stay_in_order_and_are_told_once(tmp_path: Path) -> None:
    """Points of one step stay in the order in which they came; a warning tells of them once."""
    with warnings.catch_warnings(record=True) as told, SummaryWriter(tmp_path) as writer:
        warnings.simplefilter("always")
        writer.add_scalar_series("a", [1.0, 2.0, 3.0, 4.0], [5, 5, 1, 5])
        writer.add_scalar_series("a", [6.0, 7.0], [6, 6])

    (warning,) = told
    assert "add_scalar_series('a'): steps: expected each step once, got 2" in str(warning.message)
    assert [("a", 1, 3), ("a", 5, 1), ("a", 5, 2), ("a", 5, 4)] == scalars(tmp_path)[:4]


@pytest.mark.parametrize("tag", ["a", "t" * 5000])
@pytest.mark.parametrize("walltimes", [None, [1.0, 0.0, 2.0]])
def test_series_that_have_no_template(tmp_path: Path, tag: str, walltimes: Any) -> None:
    """Long tags and a wall time of zero are written all the same."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar_series(tag, [1, 2, 3], [4.0, 5.0, 6.0], walltimes)

    assert [(tag, 4, 1.0), (tag, 5, 2.0), (tag, 6, 3.0)] == scalars(tmp_path)
    if walltimes is not None:
        assert walltimes == [event.wall_time for event in all_events(tmp_path)]


@pytest.mark.parametrize(
    ("arguments", "error", "found"),
    [
        (([[1.0]],), ArgumentValueError, r"values: expected one dimension, got shape \(1, 1\)"),
        ((["a"],), ArgumentTypeError, "values"),
        (([1.0, 2.0], [1]), ArgumentValueError, r"steps: expected shape \(2,\).*got shape \(1,\)"),
        (([1.0], [1.5]), ArgumentValueError, "steps: expected whole numbers.*1.5 at index 0"),
        (([1.0], [math.nan]), ArgumentValueError, "steps"),
        (([1.0], np.array([2**63], np.uint64)), ArgumentValueError, "steps.*9223372036854775808"),
        (([1.0], [1e19]), ArgumentValueError, "steps"),
        (([1.0], [1], [math.nan]), ArgumentValueError, "walltimes"),
        (([1.0], [1], [1.0, 2.0]), ArgumentValueError, "walltimes"),
    ],
)
def test_series_refuses(
    tmp_path: Path, arguments: tuple[Any, ...], error: type[Exception], found: str
) -> None:
    """An array of the wrong shape or content writes nothing, and the error names it."""
    with SummaryWriter(tmp_path) as writer, pytest.raises(error, match=f"'curve'.*{found}"):
        writer.add_scalar_series("curve", *arguments)

    assert [] == all_events(tmp_path)


def test_histogram_form(tmp_path: Path) -> None:
    """A histogram is a [k, 3] float64 tensor of the plugin `histograms`, at its step."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", np.arange(10), 4, bins=2, walltime=3.0)
    (event,) = all_events(tmp_path)
    (value,) = event.summary.value
    rows = np.frombuffer(value.tensor.tensor_content, "<f8").reshape(-1, 3)

    assert (4, 3.0, "h", "histograms") == (
        event.step,
        event.wall_time,
        value.tag,
        value.metadata.plugin_data.plugin_name,
    )
    assert [2, 3] == [dim.size for dim in value.tensor.tensor_shape.dim]
    assert [[0.0, 4.5, 5.0], [4.5, 9.0, 5.0]] == rows.tolist()


def test_left_out_values_are_told_once_by_tag(tmp_path: Path) -> None:
    """Values that are not finite are left out; the first time of a tag a warning counts them."""
    with SummaryWriter(tmp_path) as writer:
        for tag in ("a", "b"):
            with pytest.warns(EventWriterWarning, match=f"'{tag}'.*: 2 values") as caught:
                writer.add_histogram(tag, [1.0, math.nan, math.inf], 0)
            writer.add_histogram(tag, [1.0, math.nan], 1)
            assert [__file__] == [warning.filename for warning in caught]

    assert 4 == len(all_events(tmp_path))


def test_raw_histogram(tmp_path: Path) -> None:
    """Counts made elsewhere become rows between the limits given."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram_raw("h", 0, 3, 6, 9, 20, [1.0, 2.0, 3.0], [1, 2, 3], 5)
    (event,) = all_events(tmp_path)
    rows = np.frombuffer(event.summary.value[0].tensor.tensor_content, "<f8").reshape(-1, 3)

    assert (5, [[0, 1, 1], [1, 2, 2], [2, 3, 3]]) == (event.step, rows.tolist())


def test_graph_is_taken_in_three_forms(tmp_path: Path) -> None:
    """A builder, a GraphDef and its bytes are the same graph in the file."""
    builder = GraphBuilder()
    x = builder.placeholder("input/x", shape=(None, 3), dtype="float32")
    builder.node("out", "Relu", [x], shape=(None, 3), dtype="float32")
    graph = builder.to_graph_def()
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(builder)
        writer.add_graph(graph)
        writer.add_graph(graph.SerializeToString())
    written = [GraphDef.FromString(event.graph_def) for event in all_events(tmp_path)]

    assert [graph, graph, graph] == written


@pytest.mark.parametrize("model", [None, "a model", 3, b"\xff\xff", GraphDef()])
def test_graph_refuses(tmp_path: Path, model: Any) -> None:
    """What is no graph is refused at the call, and nothing is written."""
    with (
        SummaryWriter(tmp_path) as writer,
        pytest.raises((ArgumentTypeError, ArgumentValueError), match="graph"),
    ):
        writer.add_graph(model)

    assert [] == all_events(tmp_path)


def test_embedding_lies_in_the_run(tmp_path: Path) -> None:
    """An embedding's configuration and files are in the run's directory after `flush`."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(np.eye(3), ["a", "b", "c"], tag="words", global_step=12)
        writer.flush()

        assert 'tensor_name: "words:00012"' in (tmp_path / "projector_config.pbtxt").read_text()


def test_purge_step_is_told_twice(tmp_path: Path) -> None:
    """Two STARTs open the file: TensorBoard's server passes over the first one of a run."""
    with SummaryWriter(tmp_path, purge_step=40) as writer:
        writer.add_scalar("a", 1.0, 40)
    first, second, third = all_events(tmp_path)

    assert [(40, SessionLog.START)] * 2 == [(e.step, e.session_log.status) for e in (first, second)]
    assert 40 == third.step


def test_no_start_without_purge_step(tmp_path: Path) -> None:
    """A routine open says nothing that could purge what others wrote."""
    SummaryWriter(tmp_path).close()

    assert [] == all_events(tmp_path)


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a directory the run is `runs/<date>_<time>_<host><comment>`, as torch has it."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="_try") as writer:
        log_dir = Path(writer.log_dir)

    assert ("runs", True) == (log_dir.parent.name, log_dir.name.endswith("_try"))
    assert str(log_dir) == writer.get_logdir()


def test_closed_writer(tmp_path: Path) -> None:
    """After `close` every call that logs raises; closing and flushing again do no harm."""
    writer = SummaryWriter(tmp_path)
    writer.add_scalar("a", 1.0, 0)
    writer.close()
    writer.close()
    writer.flush()
    calls = [
        lambda: writer.add_scalar("a", 1.0, 1),
        lambda: writer.add_scalar("new", 1.0, 1),
        lambda: writer.log({"a": 1.0}, 1),
        lambda: writer.add_scalar_series("a", [1.0]),
        lambda: writer.add_histogram("h", [1.0], 1),
        lambda: writer.add_histogram_raw("h", 0, 1, 1, 1, 1, [1], [1], 1),
        lambda: writer.add_graph(GraphDef()),
        lambda: writer.add_embedding(np.eye(2)),
    ]
    for call in calls:
        with pytest.raises(WriterClosedError, match=str(tmp_path)):
            call()

    assert [("a", 0, 1.0)] == scalars(tmp_path)


def test_exception_in_training_passes_through(tmp_path: Path) -> None:
    """The `with` lets an exception go on as it is, and what was logged is there."""
    error = RuntimeError("diverged")

    def train() -> None:
        with SummaryWriter(tmp_path) as writer:
            writer.add_scalar("a", 1.0, 0)
            raise error

    with pytest.raises(RuntimeError) as caught:
        train()

    assert error is caught.value
    assert [("a", 0, 1.0)] == scalars(tmp_path)


TORCH_SIGNATURES = {
    "__init__": ["log_dir", "comment", "purge_step", "max_queue", "flush_secs", "filename_suffix"],
    "add_scalar": [
        *("tag", "scalar_value", "global_step", "walltime", "new_style", "double_precision"),
    ],
    "add_histogram": ["tag", "values", "global_step", "bins", "walltime", "max_bins"],
    "add_histogram_raw": [
        *("tag", "min", "max", "num", "sum", "sum_squares", "bucket_limits", "bucket_counts"),
        *("global_step", "walltime"),
    ],
    "add_embedding": ["mat", "metadata", "label_img", "global_step", "tag", "metadata_header"],
}


@pytest.mark.parametrize("name", TORCH_SIGNATURES)
def test_arguments_stand_where_torch_has_them(name: str) -> None:
    """Code written for torch's writer passes its arguments, by place or by name, unchanged."""
    parameters = inspect.signature(getattr(SummaryWriter, name)).parameters.values()
    ours = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]

    assert TORCH_SIGNATURES[name] == ours


def test_a_tag_has_one_kind(tmp_path: Path) -> None:
    """The second kind under a tag gets a tag of its own: TensorBoard would show neither."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 1.0, 0)
        writer.add_histogram("b", [1.0], 0)
        with pytest.warns(EventWriterWarning, match="written as 'a/histograms'") as caught:
            writer.add_histogram("a", [1.0], 1)
        writer.add_histogram("a", [1.0], 2)
        with pytest.warns(EventWriterWarning, match="written as 'b/scalars'"):
            writer.add_scalar("b", 1.0, 1)
        writer.add_scalar("b", 1.0, 2)
        writer.log({"a": 1.0, "b": 1.0}, 3)
        writer.add_scalar_series("b", [1.0], [4])
    tags = [(value.tag, e.step) for e in all_events(tmp_path) for value in e.summary.value]

    assert [__file__] == [warning.filename for warning in caught]
    assert [("a", 0), ("b", 0), ("a/histograms", 1), ("a/histograms", 2)] == tags[:4]
    assert [("b/scalars", 1), ("b/scalars", 2), ("a", 3), ("b/scalars", 3)] == tags[4:8]
    assert [("b/scalars", 4)] == tags[8:]


def test_steps_that_count_are_distinct_in_all_threads(tmp_path: Path) -> None:
    """Without steps, calls of several threads get one step each, in the order of the file."""
    threads, calls = 4, 500
    barrier = threading.Barrier(threads)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with SummaryWriter(tmp_path) as writer:

            def log() -> None:
                barrier.wait()
                for _ in range(calls):
                    writer.add_scalar("a", 1.0)

            running = [threading.Thread(target=log) for _ in range(threads)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert list(range(threads * calls)) == [step for _, step, _ in scalars(tmp_path)]


def test_first_embeddings_of_several_threads(tmp_path: Path) -> None:
    """Embeddings that several threads log first are all there after `flush`."""
    count = 4
    barrier = threading.Barrier(count)
    writer = SummaryWriter(tmp_path)

    def log(number: int) -> None:
        barrier.wait()
        writer.add_embedding(np.eye(2), tag=f"e{number}", global_step=0)

    running = [threading.Thread(target=log, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    writer.flush()
    config = (tmp_path / "projector_config.pbtxt").read_text()
    writer.close()

    assert [True] * count == [f'"e{number}:00000"' in config for number in range(count)]


def test_the_run_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its directory goes on writing to the same run."""
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter("run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    writer.add_embedding(np.eye(2), tag="e", global_step=0)
    writer.flush(sync=True)
    writer.close()

    assert "run" == writer.log_dir
    assert (tmp_path / "run" / "projector_config.pbtxt").exists()
    assert [] == list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("value", [1e-320, 1e300, math.nan])
def test_numpy_that_raises_changes_nothing(tmp_path: Path, value: float) -> None:
    """Where the user has NumPy raise, values beyond float32 are logged all the same."""
    with np.errstate(all="raise"), SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", value, 0)
        writer.log({"a": value}, 1)
        writer.add_scalar_series("a", [value], [2])
        writer.add_scalar("t" * 1000, value, 3)
        writer.add_histogram("h", [1e-320, 1e300, 3e-320], 4)
        writer.flush()

    assert [0, 1, 2, 3, 4] == [event.step for event in all_events(tmp_path)]


@pytest.mark.parametrize(
    "error",
    [
        WriteError("full", path="a", cause=OSError(28, "No space"), pending=3, lost=4),
        CorruptFileError("damaged", "a", 1, 2),
        TruncatedFileError("cut", "a", 1, 2),
    ],
)
def test_errors_cross_processes(error: Exception) -> None:
    """An error of a worker reaches its parent whole."""
    copy = pickle.loads(pickle.dumps(error))

    assert (type(error), str(error)) == (type(copy), str(copy))
    for name in ("errno", "filename", "pending", "lost", "path", "record", "offset"):
        assert getattr(error, name, None) == getattr(copy, name, None)


def test_image_form(tmp_path: Path) -> None:
    """An image is a PNG of the plugin `images`, at its step; several are one grid."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("one", np.zeros((3, 4, 5), np.uint8), 2)
        writer.add_images("many", np.zeros((2, 3, 4, 5)), 3, walltime=1.5)
        with pytest.raises(ArgumentTypeError, match=r"add_image\('bad'\)"):
            writer.add_image("bad", np.zeros((2, 4, 5)), 2)
    values = [(event.step, event.summary.value[0]) for event in all_events(tmp_path)]

    assert [(2, "one"), (3, "many")] == [(step, value.tag) for step, value in values]
    for _, value in values:
        assert "images" == value.metadata.plugin_data.plugin_name
        assert value.tensor.string_val[2].startswith(b"\x89PNG")
    assert [b"5", b"4"] == list(values[0][1].tensor.string_val[:2])
