"""One writer a directory: names are made exclusively, and the user is warned of a second."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import re
import signal
import socket
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from eventwriter import EventFileWriter, SummaryWriter, _writer
from eventwriter._file import presence
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import EventWriterWarning
from tests.helpers import children
from tests.helpers.scanner import event_file, points

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAKERS = [SummaryWriter, EventFileWriter]


def log_one(writer: Any) -> None:
    if isinstance(writer, SummaryWriter):
        writer.add_scalar("a", 0.5, 0)
    else:
        writer.add_event(Event(step=1))


def warnings_of(call: Callable[[], None]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EventWriterWarning)
        call()
    assert all(each.category is EventWriterWarning for each in caught)
    assert all(each.filename == __file__ for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("first", MAKERS)
@pytest.mark.parametrize("second", MAKERS)
def test_two_writers_of_one_process(
    tmp_path: Path, first: Callable[..., Any], second: Callable[..., Any]
) -> None:
    """The second writer's first record brings one warning, with the lines that made the writers.

    Catches: silence; a warning with each record; a directory that has two names.
    """
    (tmp_path / "link").symlink_to("run")
    one = first(tmp_path / "run")
    log_one(one)
    two = second(tmp_path / "link")
    three = second(tmp_path / "run")
    told = warnings_of(lambda: log_one(two))
    later = warnings_of(lambda: [log_one(each) for each in (two, one, three, two)])
    names = {path.name for path in (tmp_path / "run").iterdir()}
    for writer in (one, two, three):
        writer.close()

    (message,) = told
    assert [] == later
    assert message.startswith(f"{tmp_path / 'run'}: expected one live writer")
    lines = re.findall(re.escape(__file__) + r":(\d+)", message)
    assert 2 == len(set(lines))
    assert 2 == len([name for name in names if name in message])


@pytest.mark.parametrize("make", MAKERS)
def test_writers_one_after_the_other(tmp_path: Path, make: Callable[..., Any]) -> None:
    """Closed, dropped and replaced writers are no second writer.

    Catches: an alarm for a notebook's cell that runs again; one for a restart.
    """
    for _ in range(3):
        with make(tmp_path) as writer:
            log_one(writer)
    for _ in range(3):
        writer = make(tmp_path)  # the one before lives until the new one is there
        log_one(writer)
    del writer
    gc.collect()
    with make(tmp_path) as writer:
        log_one(writer)

    assert 7 == len(list(tmp_path.iterdir()))


def log_until_killed(log_dir: str) -> None:
    writer = SummaryWriter(log_dir)
    writer.add_scalar("a", 0.5, 0)
    writer.flush()
    print("ready", flush=True)
    sys.stdin.read()


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen]:
    with children.child(log_until_killed, str(tmp_path)) as process:
        assert "ready\n" == process.stdout.readline()
        yield process


needs_locks = pytest.mark.skipif(
    not hasattr(presence.fcntl, "F_OFD_SETLK"), reason="only Linux has locks of descriptors"
)


@needs_locks
def test_two_processes(tmp_path: Path, other_process: subprocess.Popen) -> None:
    """A live writer of another process is warned of, with its file.

    Catches: a look at this process alone; a lock that hides bytes from readers.
    """
    theirs = event_file(tmp_path)
    writer = SummaryWriter(tmp_path)
    told = warnings_of(lambda: log_one(writer))
    later = warnings_of(lambda: log_one(writer))
    writer.close()

    (message,) = told
    assert [] == later
    assert f"another process, which writes {theirs.name}" in message
    assert __file__ in message
    assert [("a", 0)] == points(theirs)


@needs_locks
def test_crash_is_no_live_writer(tmp_path: Path, other_process: subprocess.Popen) -> None:
    """A job that starts again after SIGKILL is not warned of the dead writer.

    Catches: a lock that outlives its process: a lock file, or one that names a process id.
    """
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    with SummaryWriter(tmp_path) as writer:
        log_one(writer)

    assert 2 == len(list(tmp_path.iterdir()))


def fork_and_die(log_dir: str) -> None:
    """Leave a forked child behind, which lives on, and die."""
    writer = SummaryWriter(log_dir)
    log_one(writer)
    writer.flush()
    child = os.fork()
    if not child:
        children.limit_life()
        os.setsid()  # it is not killed with its parent
        os.close(1)
        os.close(2)
        while True:
            signal.pause()
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def test_forked_children_are_no_second_writer(tmp_path: Path) -> None:
    """The child of a killed process, such as a worker that loads data, holds no lock.

    Catches: a lock that the child's copy of the descriptor keeps.
    """
    out, _ = children.run(fork_and_die, str(tmp_path), returncode=-signal.SIGKILL)
    try:
        with SummaryWriter(tmp_path) as writer:
            log_one(writer)
    finally:
        with contextlib.suppress(ProcessLookupError):  # see `limit_life`
            os.kill(int(out), signal.SIGKILL)

    assert 2 == len(list(tmp_path.iterdir()))


def fork_children_that_log(log_dir: str) -> None:
    warnings.simplefilter("error")
    writer = SummaryWriter(log_dir)
    log_one(writer)
    for _ in range(3):
        child = os.fork()
        if not child:
            children.limit_life()
            log_one(writer)
            writer.close()
            os._exit(0)
        assert 0 == os.waitpid(child, 0)[1]
        log_one(writer)


def test_forked_children_that_log(tmp_path: Path) -> None:
    """Children log to runs of their own, and neither they nor the parent hear of a second writer.

    Catches: a parent's presence that the child takes for its own directory's.
    """
    children.run(fork_children_that_log, str(tmp_path))

    assert 4 == len(list(tmp_path.rglob("events.*")))


def open_second_in_the_child(log_dir: str) -> None:
    writer = SummaryWriter(log_dir)
    log_one(writer)
    child = os.fork()
    if not child:
        children.limit_life()
        told = warnings_of(lambda: log_one(SummaryWriter(log_dir)))
        print(told, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()


@needs_locks
def test_child_that_opens_a_writer_of_its_own_there(tmp_path: Path) -> None:
    """A forked child that opens the parent's directory itself is warned of the parent.

    Catches: a child that takes its parent's file for one of its own.
    """
    out, _ = children.run(open_second_in_the_child, str(tmp_path))

    assert "one of another process" in out


def test_many_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory with many old files, only the newest are checked for a writer.

    Catches: a start that opens each of thousands of files.
    """
    for number in range(300):
        (tmp_path / f"events.out.tfevents.{number:010d}.host.0000001.000000").touch()
    asked = []
    is_marked = presence._is_marked
    monkeypatch.setattr(presence, "_is_marked", lambda path: asked.append(path) or is_marked(path))
    with SummaryWriter(tmp_path) as writer:
        log_one(writer)

    oldest = tmp_path / f"events.out.tfevents.{290:010d}.host.0000001.000000"
    assert 5 < len(asked) < 20
    assert oldest < min(asked)


def test_files_that_other_threads_open_meanwhile(tmp_path: Path) -> None:
    """A writer can look at the files of a directory while other threads open writers elsewhere.

    Catches: a search that runs Python code for each file, within which the files change. It raised
    RuntimeError in one of a few hundred runs.
    """
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "events.out.tfevents.0000000001.host.0000001.000000").touch()
    fd = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
    for _ in range(1000):
        presence.mark(fd, tmp_path / "other")
    over = threading.Event()

    def open_others() -> None:
        while not over.is_set():
            presence.mark(fd, tmp_path / "other")

    thread = threading.Thread(target=open_others)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        found = [
            presence.Presence(tmp_path / "run" / "mine", lambda: True).suspects for _ in range(50)
        ]
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
        os.close(fd)

    assert not any(found)


def open_default(barrier: Any, results: Any) -> None:
    socket.gethostname = lambda: "same"
    barrier.wait()
    with SummaryWriter(comment="_c") as writer:
        for step in range(12):
            writer.add_scalar("a", 0.5, step)
        results.put(writer.log_dir)


def start_jobs(directory: str) -> None:
    os.chdir(directory)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(5), context.Queue()
    jobs = [context.Process(target=open_default, args=(barrier, results)) for _ in range(5)]
    for job in jobs:
        job.start()
    print(*[results.get(timeout=children.FORK_SECS) for _ in jobs])
    for job in jobs:
        job.join()


def test_default_directories_of_one_second(tmp_path: Path) -> None:
    """Jobs that start in one second with one host name have a directory each.

    Catches: a name that two jobs believe to be free.
    """
    out, _ = children.run(start_jobs, str(tmp_path))
    log_dirs = out.split()

    assert 5 == len(set(log_dirs))
    for log_dir in log_dirs:
        assert re.fullmatch(r"runs/\w{5}_\d\d-\d\d-\d\d_same_c(-\d)?", log_dir)
        assert 12 == len(points(event_file(tmp_path / log_dir)))


def log_as_process_1(barrier: Any, results: Any, writer: SummaryWriter) -> None:
    _writer.worker_dir = lambda base_dir: base_dir / "worker-1"
    barrier.wait()
    writer.add_scalar("a", 0.5, 0)
    writer.close()
    results.put(writer.log_dir)


def start_workers_with_one_process_id(log_dir: str) -> None:
    writer = SummaryWriter(log_dir)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    arguments = (barrier, results, writer)
    jobs = [context.Process(target=log_as_process_1, args=arguments) for _ in range(4)]
    for job in jobs:
        job.start()
    print(*[results.get(timeout=children.FORK_SECS) for _ in jobs])
    for job in jobs:
        job.join()
    writer.close()


def test_workers_with_one_process_id(tmp_path: Path) -> None:
    """Workers in containers, which all have the process id 1, have a directory each.

    Catches: a process id that is taken for unique.
    """
    out, _ = children.run(start_workers_with_one_process_id, str(tmp_path))
    log_dirs = set(out.split())

    names = ["worker-1", "worker-1-2", "worker-1-3", "worker-1-4"]
    assert {str(tmp_path / name) for name in names} == log_dirs
    for log_dir in log_dirs:
        assert [("a", 0)] == points(event_file(log_dir))


def test_refused_writer_leaves_no_default_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the event file cannot be made, the directory that was made for it is removed again.

    Catches: an empty directory for each refused writer.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="max_queue"):
        SummaryWriter(max_queue=-1)

    assert [] == list(tmp_path.iterdir())
