"""Bad input: an error at the call says what is wrong, and nothing of the call is written."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter import EventFileWriter, SummaryWriter
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import EventWriterError
from tests.helpers.calls import RAW, call, methods_with
from tests.helpers.scanner import event_file, events, points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Call = Callable[[SummaryWriter, Any], None]


class Custom:
    """Of a type that the package has never seen."""


class Broken:
    """Claims to be a number, and is none."""

    def __float__(self) -> float:
        message = "no value yet"
        raise ValueError(message)


BAD_TAGS = {
    "None": (None, "NoneType"),
    "bytes": (b"loss", "bytes"),
    "int": (3, "int"),
    "tuple": (("loss",), "tuple"),
    "empty": ("", "empty"),
    "surrogate": ("lo\ud800ss", r"lo\\ud800ss.*surrogate"),
}
BAD_STEPS = {
    "fraction": (1.5, "1.5"),
    "text": ("12", r"'12'"),
    "NaN": (math.nan, "nan"),
    "infinity": (math.inf, "inf"),
    "2**63": (2**63, "9223372036854775808"),
    "below -2**63": (-(2**63) - 1, "-9223372036854775809"),
    "2.0**63": (2.0**63, "9223372036854775808"),
    "uint64": (np.uint64(2**63), "9223372036854775808"),
    "huge": (10**400, "1000"),
    "complex": (1j, "complex"),
    "object": (Custom(), "Custom"),
    "list": ([1, 2], r"shape \(2,\)|list"),
    "array": (np.array([1, 2]), r"shape \(2,\)"),
    "array of text": (np.array(["12"]), "<U2|str"),
}
BAD_WALL_TIMES = {
    "NaN": (math.nan, "nan"),
    "infinity": (-math.inf, "-inf"),
    "text": ("now", "'now'"),
    "complex": (1j, "complex"),
    "object": (Custom(), "Custom"),
    "array": (np.zeros(2), r"shape \(2,\)"),
}
BAD_NUMBERS = {
    "None": (None, "NoneType"),
    "text": ("0.5", "'0.5'"),
    "bytes": (b"0.5", "bytes"),
    "complex": (1 + 2j, "complex"),
    "numpy complex": (np.complex64(1), "complex"),
    "object": (Custom(), "Custom"),
    "broken": (Broken(), "no value yet"),
    "list": ([1.0, 2.0], "list|shape"),
    "set": ({1.0}, "set"),
    "array": (np.zeros((2, 3)), r"shape \(2, 3\)"),
    "empty array": (np.zeros(0), r"shape \(0,\)"),
    "array of text": (np.array("0.5"), "<U3|str"),
    "array of objects": (np.array(None), "object"),
    "array of complex": (np.array(1j), "complex128"),
    "date": (np.datetime64("2020-01-01"), "datetime64"),
    "beyond float64": (10**400, "float"),
}
BAD_ARRAYS = {
    "None": (None, "NoneType|object"),
    "text": ("abc", "str"),
    "list of text": (["a", "b"], "str|list"),
    "complex": (np.zeros(3, complex), "complex128"),
    "objects": (np.array([None, {}]), "object"),
    "ragged": ([[1.0], [1.0, 2.0]], "list"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "datetime64"),
    "object": (Custom(), "Custom"),
    "dict": ({"a": 1.0}, "dict"),
}


def with_argument(argument: str) -> dict[str, Call]:
    """Return a call for every method that has an argument of this name."""

    def calling(method: str) -> Call:
        return lambda writer, value: call(writer, method, **{argument: value})

    return {method: calling(method) for method in methods_with(argument)}


TAGGED: dict[str, Call] = with_argument("tag") | {
    "log": lambda writer, tag: writer.log({"good": 0.5, tag: 0.5}, 1),
    "log, nested": lambda writer, tag: writer.log({"good": 0.5, "deep": {tag: 0.5}}, 1),
}
# None is a good step, and a good time.
STEPPED: dict[str, Call] = with_argument("global_step") | {
    "add_scalar, again": lambda writer, step: writer.add_scalar("good", 0.5, step),
    "add_scalar, walltime": lambda writer, step: writer.add_scalar("good", 0.5, step, 1.0),
    "log, again": lambda writer, step: writer.log({"good": 0.5}, step),
}
TIMED: dict[str, Call] = with_argument("walltime") | {
    "add_scalar_series": lambda writer, seconds: writer.add_scalar_series(
        "bad", [0.5, 0.5], [1, 2], [1.0, seconds]
    ),
}
NUMBERED: dict[str, Call] = {
    "add_scalar": lambda writer, value: writer.add_scalar("bad", value, 1),
    "add_scalar, again": lambda writer, value: writer.add_scalar("good", value, 1),
    "log": lambda writer, value: writer.log({"good": 0.5, "bad": value}, 1),
    "log, nested": lambda writer, value: writer.log({"good": 0.5, "deep": {"bad": value}}, 1),
    "log, again": lambda writer, value: writer.log({"good": value}, 1),
}
ARRAYS: dict[str, Call] = {
    "add_scalar_series": lambda writer, array: writer.add_scalar_series("bad", array, [1, 2, 3]),
    "add_scalar_series, steps": lambda writer, array: writer.add_scalar_series(
        "bad", [1.0, 2.0, 3.0], [None] * 3 if array is None else array
    ),
    "add_histogram": lambda writer, array: writer.add_histogram("bad", array, 1),
    "add_histogram_raw": lambda writer, array: writer.add_histogram_raw(
        "bad", **{**RAW, "bucket_counts": array}, global_step=1
    ),
    "add_embedding": lambda writer, array: writer.add_embedding(array, tag="bad", global_step=1),
}
OTHERS: dict[str, tuple[Callable[[SummaryWriter], None], str]] = {
    "log: no dict": (lambda w: w.log([("bad", 1.0)], 1), "log: .*dict.*got list"),
    "log: None": (lambda w: w.log(None, 1), "log: .*dict.*got NoneType"),
    "log: twice": (lambda w: w.log({"bad/a": 1.0, "bad": {"a": 2.0}}, 1), "'bad/a' twice"),
    "series: two dimensions": (
        lambda w: w.add_scalar_series("bad", np.zeros((2, 2)), [1, 2]),
        r"'bad'.*one dimension.*shape \(2, 2\)",
    ),
    "series: fewer steps": (
        lambda w: w.add_scalar_series("bad", [1.0, 2.0], [1]),
        r"'bad'.*steps: expected shape \(2,\).*shape \(1,\)",
    ),
    "series: more walltimes": (
        lambda w: w.add_scalar_series("bad", [1.0], [1], [1.0, 2.0]),
        r"'bad'.*walltimes: expected shape \(1,\).*shape \(2,\)",
    ),
    "series: half a step": (
        lambda w: w.add_scalar_series("bad", [1.0, 2.0], [1, 1.5]),
        r"'bad'.*whole numbers.*1\.5 at index 1",
    ),
    "series: NaN as a step": (
        lambda w: w.add_scalar_series("bad", [1.0, 2.0], [1, math.nan]),
        r"'bad'.*whole numbers.*nan at index 1",
    ),
    "series: a step beyond int64": (
        lambda w: w.add_scalar_series("bad", [1.0], np.array([2**63], np.uint64)),
        r"'bad'.*int64.*9223372036854775808 at index 0",
    ),
    "histogram: a word for bins": (
        lambda w: w.add_histogram("bad", [1.0], 1, bins="many"),
        "'bad'.*bins.*many",
    ),
    "histogram: no bins": (lambda w: w.add_histogram("bad", [1.0], 1, bins=0), "'bad'.*bins.*0"),
    "histogram: half a bin": (
        lambda w: w.add_histogram("bad", [1.0], 1, bins=1.5),
        "'bad'.*bins.*1.5|'bad'.*bins.*float",
    ),
    "histogram: edges that fall": (
        lambda w: w.add_histogram("bad", [1.0], 1, bins=[1.0, 0.0]),
        "'bad'.*bins.*0.0",
    ),
    "histogram: an edge that is NaN": (
        lambda w: w.add_histogram("bad", [1.0], 1, bins=[0.0, math.nan]),
        "'bad'.*bins.*nan",
    ),
    "histogram: a single edge": (
        lambda w: w.add_histogram("bad", [1.0], 1, bins=[0.0]),
        "'bad'.*bins",
    ),
    "histogram: max_bins": (
        lambda w: w.add_histogram("bad", [1.0], 1, max_bins="3"),
        "'bad'.*max_bins.*str|'bad'.*max_bins.*'3'",
    ),
    "raw: lengths": (
        lambda w: w.add_histogram_raw("bad", **{**RAW, "bucket_counts": [1.0] * 3}, global_step=1),
        r"'bad'.*bucket_counts.*3|'bad'.*3.*bucket_counts",
    ),
    "raw: a negative count": (
        lambda w: w.add_histogram_raw("bad", **{**RAW, "bucket_counts": [-1.0, 3.0]}),
        r"'bad'.*bucket_counts.*-1\.0",
    ),
    "raw: limits that fall": (
        lambda w: w.add_histogram_raw("bad", **{**RAW, "bucket_limits": [1.0, 0.5]}),
        r"'bad'.*bucket_limits.*0\.5",
    ),
    "raw: text for min": (
        lambda w: w.add_histogram_raw("bad", **{**RAW, "min": "0"}),
        "'bad'.*min.*str",
    ),
    "graph: None": (lambda w: w.add_graph(None), "GraphDef.*NoneType"),
    "graph: a model": (lambda w: w.add_graph(Custom()), "GraphDef.*Custom"),
    "graph: no GraphDef": (lambda w: w.add_graph(b"\xff\xff\xff"), "3 bytes.*GraphDef"),
    "graph: empty": (lambda w: w.add_graph(b""), "at least one node"),
    "embedding: one dimension": (
        lambda w: w.add_embedding([1.0, 2.0], tag="bad", global_step=1),
        r"'bad'.*shape.*\(2,\)",
    ),
    "embedding: no points": (
        lambda w: w.add_embedding(np.zeros((0, 2)), tag="bad", global_step=1),
        r"'bad'.*\(0, 2\)",
    ),
    "embedding: fewer labels": (
        lambda w: w.add_embedding(np.ones((3, 2)), ["a", "b"], tag="bad", global_step=1),
        "'bad'.*metadata: expected 3 .*2",
    ),
    "embedding: text for labels": (
        lambda w: w.add_embedding(np.ones((3, 2)), "abc", tag="bad", global_step=1),
        "'bad'.*metadata.*str",
    ),
    "embedding: columns": (
        lambda w: w.add_embedding(
            np.ones((1, 2)), [["a"]], tag="bad", global_step=1, metadata_header=["x", "y"]
        ),
        "'bad'.*metadata.*2",
    ),
    "embedding: a header alone": (
        lambda w: w.add_embedding(
            np.ones((1, 2)), tag="bad", global_step=1, metadata_header=["x", "y"]
        ),
        "'bad'.*metadata_header",
    ),
    "embedding: a lone surrogate": (
        lambda w: w.add_embedding(np.ones((1, 2)), ["\ud800"], tag="bad", global_step=1),
        "'bad'.*surrogate",
    ),
    "embedding: pictures": (
        lambda w: w.add_embedding(
            np.ones((3, 2)), label_img=np.zeros((2, 3, 4, 4)), tag="bad", global_step=1
        ),
        "'bad'.*label_img.*3.*2",
    ),
    "embedding: pictures without channels": (
        lambda w: w.add_embedding(
            np.ones((3, 2)), label_img=np.zeros((3, 4, 4)), tag="bad", global_step=1
        ),
        r"'bad'.*label_img.*\(3, 4, 4\)",
    ),
}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SummaryWriter]:
    """A writer that has logged; at the end, nothing but what is good may be in its directory."""
    with SummaryWriter(tmp_path, flush_secs=1000) as writer:
        writer.add_scalar("good", 0.5, 0)
        writer.log({"good": 0.5}, 0)
        writer.add_histogram("kept", [1.0], 0)
        yield writer
        writer.add_scalar("good", 0.5)  # the failed calls took no step
        writer.flush()

        assert [("good", 0), ("good", 0), ("kept", 0), ("good", 0)] == points(event_file(tmp_path))
        assert all(event.HasField("summary") for event in events(event_file(tmp_path)))
        assert [event_file(tmp_path)] == list(tmp_path.iterdir())


def refused(bad_call: Callable[[], None], *expected: str) -> None:
    """Expect an error of ours that says all of this, and says what was expected."""
    with pytest.raises(EventWriterError) as caught:
        bad_call()
    assert isinstance(caught.value, (TypeError, ValueError))
    for pattern in expected:
        assert caught.match(pattern)


@pytest.mark.parametrize("method", TAGGED)
@pytest.mark.parametrize("bad", BAD_TAGS)
def test_bad_tag(writer: SummaryWriter, method: str, bad: str) -> None:
    """A tag that is no text, empty, or not UTF-8 is refused; the error names call and tag.

    Catches: a tag that only the encoder finds bad, in the background, where it stops the file.
    """
    tag, got = BAD_TAGS[bad]
    refused(lambda: TAGGED[method](writer, tag), method.partition(",")[0], "tag", got)


@pytest.mark.parametrize("method", STEPPED)
@pytest.mark.parametrize("bad", BAD_STEPS)
def test_bad_step(writer: SummaryWriter, method: str, bad: str) -> None:
    """A step that is not whole, or beyond int64, is refused; the error says what came.

    Catches: a step that is rounded or wrapped; a row that is half packed.
    """
    step, got = BAD_STEPS[bad]
    refused(
        lambda: STEPPED[method](writer, step),
        method.partition(",")[0],
        "step: ",
        "[Ee]xpected",
        got,
    )


@pytest.mark.parametrize("method", TIMED)
@pytest.mark.parametrize("bad", BAD_WALL_TIMES)
def test_bad_wall_time(writer: SummaryWriter, method: str, bad: str) -> None:
    """A wall time that is no finite number is refused: at NaN a reader gives up the whole file.

    Catches: a wall time that is written as it came.
    """
    seconds, got = BAD_WALL_TIMES[bad]
    series = method == "add_scalar_series"
    expected = ("walltime",) if series else ("walltime: ", "[Ee]xpected", got)
    refused(lambda: TIMED[method](writer, seconds), method, *expected)


@pytest.mark.parametrize("method", NUMBERED)
@pytest.mark.parametrize("bad", BAD_NUMBERS)
def test_bad_number(writer: SummaryWriter, method: str, bad: str) -> None:
    """What is not one real number is refused, with its tag, and nothing else of its call is kept.

    Catches: text that float() takes; the half of a dict that came before the bad value.
    """
    value, got = BAD_NUMBERS[bad]
    tag = "good" if "again" in method else "bad"
    refused(lambda: NUMBERED[method](writer, value), method.partition(",")[0], tag, got)


@pytest.mark.parametrize("method", ARRAYS)
@pytest.mark.parametrize("bad", BAD_ARRAYS)
def test_bad_array(writer: SummaryWriter, method: str, bad: str) -> None:
    """What is no array of real numbers is refused, with its tag.

    Catches: an object array that is taken apart; complex numbers that lose their imaginary part.
    """
    array, got = BAD_ARRAYS[bad]
    refused(lambda: ARRAYS[method](writer, array), method.partition(",")[0], "'bad'", got)


@pytest.mark.parametrize("name", OTHERS)
def test_other_bad_arguments(writer: SummaryWriter, name: str) -> None:
    """Shapes, lengths, words and structures that a call cannot take are refused, and named.

    Catches: an error of numpy or protobuf that comes from the depths, or in the background.
    """
    bad_call, expected = OTHERS[name]
    refused(lambda: bad_call(writer), expected)


@pytest.mark.parametrize("event", [None, b"", "event", {}, Custom()])
def test_event_file_writer_takes_events_alone(tmp_path: Path, event: object) -> None:
    """`EventFileWriter.add_event` refuses what is no Event.

    Catches: bytes that are framed unseen.
    """
    with contextlib.closing(EventFileWriter(tmp_path)) as writer:
        writer.add_event(Event(step=1))
        name = type(event).__name__
        refused(lambda: writer.add_event(event), "add_event: expected an Event", name)

    assert [1] == [found.step for found in events(event_file(tmp_path))]


@pytest.mark.parametrize("step", [None, 3, 3.0, True, np.int32(3), np.float64(3), np.array(3)])
def test_good_steps_are_taken(tmp_path: Path, step: Any) -> None:
    """What is a whole number is a step, whatever its type: the refusals above are not too wide.

    Catches: a check of types where values count.
    """
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 0.5, step)
        writer.log({"b": 0.5}, step)
        writer.add_histogram("c", [1.0], step)
    expected = 0 if step is None else int(step)

    assert [("a", expected), ("b", expected), ("c", expected)] == points(event_file(tmp_path))


def test_refused_call_takes_no_step(tmp_path: Path) -> None:
    """Where steps count themselves, a refused call does not count.

    Catches: a step that is given out before the rest of the call was checked.
    """
    with SummaryWriter(tmp_path) as writer:
        refused(lambda: writer.add_scalar("a", "0.5"))
        refused(lambda: writer.log({"b": 0.5, "c": None}))
        refused(lambda: writer.add_scalar_series("d", [0.5], walltimes=[math.nan]))
        refused(lambda: writer.add_histogram("e", "0.5"))
        refused(lambda: writer.add_histogram_raw("f", **{**RAW, "num": None}))
        refused(lambda: writer.add_embedding([[1.0, 2.0]] * 2, ["a"], tag="g"))
        writer.add_scalar("a", 0.5)
        writer.log({"b": 0.5})
        writer.add_scalar_series("d", [0.5])
        writer.add_histogram("e", [0.5])
        writer.add_histogram_raw("f", **RAW)
        writer.add_embedding([[1.0, 2.0]] * 2, ["a", "b"], tag="g")

    assert [(tag, 0) for tag in "abdef"] == points(event_file(tmp_path))
    assert '"g:00000"' in (tmp_path / "projector_config.pbtxt").read_text()
