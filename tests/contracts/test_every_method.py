"""What holds for every method that logs, whatever kind of record it writes."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING

import pytest

from eventwriter import SummaryWriter
from eventwriter.errors import WriteError, WriterClosedError
from tests.helpers import children
from tests.helpers.calls import MINIMAL, call, logging_methods, methods_with
from tests.helpers.children import full_disk
from tests.helpers.interrupts import at_every_place
from tests.helpers.scanner import event_file, events

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = [name for name in MINIMAL if name != "add_embedding"]
"""Methods that write to the event file. An embedding is files of its own."""


def shown(event: object) -> str:
    """Return an event without its time, which no two have in common."""
    event.ClearField("wall_time")
    return str(event)


def record_of(method: str, directory: Path) -> str:
    """Return what one call of a method writes, in a run of its own."""
    with SummaryWriter(directory) as writer:
        call(writer, method)
    (event,) = events(event_file(directory))
    return shown(event)


def test_every_method_has_a_row() -> None:
    """The table of calls names all methods that log, so that these contracts hold for each."""
    assert logging_methods() == sorted(MINIMAL)


@pytest.mark.parametrize("method", MINIMAL)
def test_signature_says_what_is_accepted(method: str) -> None:
    """Every argument is documented and has a type that an editor can show, which is not Any."""
    function = getattr(SummaryWriter, method)
    documentation = inspect.getdoc(function)
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        assert parameter.annotation not in ("Any", inspect.Parameter.empty), parameter
        if method != "add_images":  # it refers to add_image
            assert f"\n    {parameter.name}: " in documentation


@pytest.mark.parametrize("method", MINIMAL)
def test_closed_writer_refuses(tmp_path: Path, method: str) -> None:
    """After `close` a call raises and changes nothing on disk."""
    writer = SummaryWriter(tmp_path)
    writer.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(WriterClosedError):
        call(writer, method)

    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_order_of_all_kinds(tmp_path: Path) -> None:
    """Records of all kinds are in the file in the order of their calls, in both directions.

    Catches: a kind that takes another way to the file than the queue.
    """
    methods = [*RECORDS, *reversed(RECORDS)]
    expected = [record_of(name, tmp_path / name) for name in RECORDS]
    with SummaryWriter(tmp_path / "run") as writer:
        for number, name in enumerate(methods):
            step = {"global_step": 0} if name in methods_with("global_step") else {}
            tag = {"tag": f"a{number}"} if name in methods_with("tag") else {}
            metrics = {"metrics": {f"a{number}": 0.5}} if name == "log" else {}
            call(writer, name, **step, **tag, **metrics)
    found = [shown(event) for event in events(event_file(tmp_path / "run"))]
    for number in range(len(methods)):
        found[number] = found[number].replace(f'"a{number}"', '"a"')

    assert expected + expected[::-1] == found


@pytest.mark.parametrize("method", methods_with("global_step"))
def test_steps_count_themselves(tmp_path: Path, method: str) -> None:
    """Without a step, the calls of a tag count from 0."""
    with SummaryWriter(tmp_path) as writer:
        call(writer, method)
        call(writer, method)
    if method == "add_embedding":
        config = (tmp_path / "projector_config.pbtxt").read_text()

        assert '"a:00000"' in config
        assert '"a:00001"' in config
    else:
        assert [0, 1] == [event.step for event in events(event_file(tmp_path))]


@pytest.mark.parametrize("method", MINIMAL)
def test_full_disk_is_no_error_of_the_call(tmp_path: Path, method: str) -> None:
    """While the disk is full a call raises nothing; once there is room, its record is written."""
    expected = "" if method == "add_embedding" else record_of(method, tmp_path / "alone")
    run = tmp_path / "run"
    writer = SummaryWriter(run, flush_secs=1000)
    with full_disk(event_file(run)):
        call(writer, method)
        if method != "add_embedding":
            with pytest.raises(WriteError):
                writer.flush()
    writer.close()

    if method == "add_embedding":
        assert '"a:00000"' in (run / "projector_config.pbtxt").read_text()
    else:
        assert [expected] == [shown(event) for event in events(event_file(run))]


@pytest.mark.parametrize("method", MINIMAL)
def test_interrupt_anywhere(tmp_path: Path, method: str) -> None:
    """Ctrl-C at any place of a call leaves a writer that works, and no record that is torn.

    Catches: a lock that stays locked; a record that waits for ever; a half of a record.
    """
    call(SummaryWriter(tmp_path / "first"), method)  # imports what it needs

    def interrupt() -> None:
        raise KeyboardInterrupt

    modules = "eventwriter._writer", "eventwriter.records", "eventwriter._file"
    for number, place in at_every_place(interrupt, *modules, least=3):
        run = tmp_path / str(number)
        writer = SummaryWriter(run, flush_secs=1000)
        try:
            with place:
                call(writer, method)
        except KeyboardInterrupt:
            assert place.where
        writer.add_scalar("after", 0.5, 1)
        writer.close()
        *before, last = events(event_file(run))

        assert "after" == last.summary.value[0].tag, place.where
        assert len(before) <= 1, place.where


def fork_and_call(log_dir: str, method: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("parent", 0.5, 0)
    child = os.fork()
    if not child:
        children.limit_life()
        call(writer, method)
        writer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    writer.close()
    print(child, status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("method", MINIMAL)
def test_forked_child_logs_to_a_run_of_its_own(tmp_path: Path, method: str) -> None:
    """In a forked child a call writes to `worker-<pid>`, and nothing to the parent's file."""
    out, _ = children.run(fork_and_call, str(tmp_path), method)
    child, status = map(int, out.split())

    assert 0 == status
    assert 1 == len(events(event_file(tmp_path)))
    run = tmp_path / f"worker-{child}"
    if method == "add_embedding":
        assert '"a:00000"' in (run / "projector_config.pbtxt").read_text()
    else:
        assert 1 == len(events(event_file(run)))
