"""Forks and copies: what the parent has pending is the parent's; a child has a run of its own."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from eventwriter import SummaryWriter
from eventwriter._file import flusher
from tests.helpers import children
from tests.helpers.calls import MINIMAL, call
from tests.helpers.patience import LONG_SECS, wait_until
from tests.helpers.scanner import event_file, points


def log_one(writer: SummaryWriter, tag: str, step: int) -> None:
    match step % 4:
        case 0 | 1:
            writer.add_scalar(tag, 0.5, step)
        case 2:
            writer.add_histogram(f"{tag}/histograms", [1.0], step, bins=1)
        case 3:
            writer.log({tag: 0.5}, step)
    if step % 50 == 49:
        writer.flush()


def log_in_the_child(writer: SummaryWriter, ending: str, *, logs: bool) -> NoReturn:
    children.limit_life()
    if logs:
        for step in range(10):
            writer.add_scalar("child", 0.5, step)
            writer.add_histogram("child/histogram", [1.0], step)
    writer.flush()
    if logs:
        writer.add_scalar("child", 0.5, 10)
    if ending == "os._exit":
        writer.flush()
        os._exit(0)
    sys.exit(0)


def fork_while_logging(log_dir: str, ending: str) -> None:
    """Fork eight times while three threads log; every second child logs, and all of them end."""
    sys.setswitchinterval(1e-5)
    writer = SummaryWriter(log_dir, flush_secs=0.01, max_queue=16)
    stop = False
    counts = [0, 0, 0]
    barrier = threading.Barrier(4)

    def log(thread: int) -> None:
        barrier.wait()
        while not stop:
            log_one(writer, f"thread{thread}", counts[thread])
            counts[thread] += 1

    threads = [threading.Thread(target=log, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    barrier.wait()
    pids = []
    for number in range(8):
        writer.add_scalar("main", 0.5, number)
        pid = os.fork()
        if pid == 0:
            log_in_the_child(writer, ending, logs=number % 2 == 1)
        pids.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    stop = True
    for thread in threads:
        thread.join()
    writer.close()
    print(*counts, *statuses, *pids[1::2])


@pytest.mark.parametrize("ending", ["os._exit", "sys.exit"])
def test_fork_while_threads_log(tmp_path: Path, ending: str) -> None:
    """Children drop what the parent has pending, and log to runs of their own, if they log at all.

    Catches: pending rows that parent and child both write; a child that waits for a lock which a
    thread of its parent held; a child that writes to its parent's file, or opens one for nothing.
    """
    out, _ = children.run(fork_while_logging, str(tmp_path), ending)
    numbers = list(map(int, out.split()))
    counts, statuses, pids = numbers[:3], numbers[3:11], numbers[11:]
    found = points(event_file(tmp_path))

    assert [0] * 8 == statuses
    assert list(range(8)) == [step for tag, step in found if tag == "main"]
    for thread, count in enumerate(counts):
        assert list(range(count)) == [step for tag, step in found if tag == f"thread{thread}"]
    assert 8 + sum(counts) == len(found)
    runs = {path.name: path for path in tmp_path.iterdir() if path.is_dir()}
    assert {f"worker-{pid}" for pid in pids} == set(runs)
    expected = [(tag, step) for step in range(10) for tag in ("child", "child/histogram")]
    for run in runs.values():
        assert [*expected, ("child", 10)] == points(event_file(run))


def fork_with_an_embedding(log_dir: str) -> None:
    """Fork while the disk keeps an embedding of the parent pending."""
    writer = SummaryWriter(log_dir, flush_secs=1000)
    with children.file_size_limit(4096):
        writer.add_embedding([[1.0] * 64] * 64, global_step=0, tag="parent")
        pid = os.fork()
        if pid == 0:
            children.limit_life()
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            writer.flush()
            writer.add_embedding([[3.0, 4.0]] * 2, global_step=0, tag="child")
            writer.close()
            os._exit(0)
        print(pid, os.waitpid(pid, 0)[1], *Path(log_dir).glob("*.pbtxt"))
    writer.close()


def test_embeddings_of_a_fork(tmp_path: Path) -> None:
    """A child's embeddings go to its own run, and the parent's stay the parent's.

    Catches: a child that extends its parent's configuration, or writes what is pending there.
    """
    out, _ = children.run(fork_with_an_embedding, str(tmp_path))
    pid, status = map(int, out.split())
    parent = (tmp_path / "projector_config.pbtxt").read_text()
    child = (tmp_path / f"worker-{pid}" / "projector_config.pbtxt").read_text()

    assert 0 == status
    assert (1, 0) == (parent.count('"parent:'), parent.count('"child:'))
    assert (0, 1) == (child.count('"parent:'), child.count('"child:'))


def fork_and_leave_the_child(log_dir: str, kind: str) -> None:
    """Close (or drop, or leave a `with`) in the child, which logged nothing."""
    writer = SummaryWriter(log_dir, flush_secs=1000)
    for step in range(5):
        writer.add_scalar("a", 0.5, step)
    pid = os.fork()
    if pid == 0:
        children.limit_life()
        if kind == "close":
            writer.close()
        elif kind == "with":
            with writer:
                pass
        del writer
        sys.exit(0)
    print(os.waitpid(pid, 0)[1])
    writer.add_scalar("a", 0.5, 5)
    writer.close()


@pytest.mark.parametrize("kind", ["close", "with", "drop"])
def test_child_that_closes_without_logging(tmp_path: Path, kind: str) -> None:
    """Closing the writer in a child touches nothing of the parent's.

    Catches: a child's close that writes the parent's rows, or makes a run without data.
    """
    out, _ = children.run(fork_and_leave_the_child, str(tmp_path), kind)

    assert "0\n" == out
    assert [event_file(tmp_path)] == list(tmp_path.iterdir())
    assert [("a", step) for step in range(6)] == points(event_file(tmp_path))


def work(writer: SummaryWriter, count: int) -> None:
    """Log, and end without a flush."""
    for step in range(count):
        writer.add_scalar("worker", 0.5, step)


def start_workers(log_dir: str, method: str) -> None:
    context = multiprocessing.get_context(method)
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("parent", 0.5, 0)
    workers = [context.Process(target=work, args=(writer, count)) for count in (3, 0, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    writer.add_scalar("parent", 0.5, 1)
    print(*(number for worker in workers for number in (worker.pid, worker.exitcode)))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_writer_as_an_argument_of_a_process(tmp_path: Path, method: str) -> None:
    """However multiprocessing makes a child, its normal end writes what it logged, to its own run.

    Catches: a flush at exit that relies on atexit alone, which such children never reach; a pickle
    that opens the parent's file, or a run for a worker that logs nothing.
    """
    out, _ = children.run(start_workers, str(tmp_path), method)
    first, first_code, _, idle_code, last, last_code = map(int, out.split())
    runs = {path.name for path in tmp_path.iterdir() if path.is_dir()}

    assert (0, 0, 0) == (first_code, idle_code, last_code)
    assert {f"worker-{first}", f"worker-{last}"} == runs
    for pid, count in ((first, 3), (last, 5)):
        expected = [("worker", step) for step in range(count)]
        assert expected == points(event_file(tmp_path / f"worker-{pid}"))
    assert [("parent", 0), ("parent", 1)] == points(event_file(tmp_path))


def log_as_task(task: tuple[SummaryWriter, int, str]) -> str:
    writer, step, ending = task
    writer.add_scalar("task", 0.5, step)
    writer.add_scalar("counted", 0.5)
    if ending == "close":
        writer.close()
    else:
        writer.flush()
    return writer.log_dir


def log_in_a_pool(log_dir: str, method: str, ending: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=1000)
    with multiprocessing.get_context(method).Pool(2) as pool:
        tasks = [(writer, step, ending) for step in range(20)]
        runs = pool.map(log_as_task, tasks, chunksize=2)
    print(*set(runs), sep="\n")


@pytest.mark.parametrize("ending", ["close", "flush"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_writer_as_an_argument_of_each_task(tmp_path: Path, method: str, ending: str) -> None:
    """A pool pickles the writer with each task. A process makes one run of it, not one a task.

    Catches: a run a task; a copy that a task has closed for the next; steps that start again.
    """
    out, _ = children.run(log_in_a_pool, str(tmp_path), method, ending)
    runs = [path for path in tmp_path.iterdir() if path.is_dir()]
    found = [[point for path in sorted(run.iterdir()) for point in points(path)] for run in runs]

    assert set(map(str, runs)) == set(out.split())
    assert 1 <= len(runs) <= 2
    assert list(range(20)) == sorted(step for run in found for tag, step in run if tag == "task")
    for run in found:
        assert list(range(len(run) // 2)) == [step for tag, step in run if tag == "counted"]


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_copies_of_many_writers(tmp_path: Path) -> None:
    """A process that gets copies of ever more writers keeps some open, and forgets the rest.

    Catches: a descriptor and a file a writer, for as long as the process lives.
    """
    before = count_descriptors()
    for number in range(250):
        with SummaryWriter(tmp_path / f"{number}") as original:
            data = pickle.dumps(original)
        pickle.loads(data).add_scalar("a", 0.5, 0)
    wait_until(lambda: count_descriptors() <= before + 150, "descriptors that are closed")

    assert 250 == len(list(tmp_path.glob("*/worker-*/events.*")))


def fork_in_a_fork(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("a", 0.5, 0)
    child = os.fork()
    if child == 0:
        children.limit_life()
        writer.add_scalar("a", 0.5, 1)
        grandchild = os.fork()
        if grandchild == 0:
            children.limit_life()
            writer.add_scalar("a", 0.5, 2)
            sys.exit(0)
        sys.exit(os.waitpid(grandchild, 0)[1])
    print(os.waitpid(child, 0)[1])


def test_fork_of_a_fork(tmp_path: Path) -> None:
    """A grandchild is as far from its parent as that is from its own.

    Catches: a writer that knows only the process in which it was made.
    """
    out, _ = children.run(fork_in_a_fork, str(tmp_path))
    files = sorted(tmp_path.rglob("events.out.tfevents.*"), key=points)

    assert "0\n" == out
    assert [[("a", 0)], [("a", 1)], [("a", 2)]] == [points(path) for path in files]
    assert event_file(tmp_path) == files[0]
    assert all(path.parent.name.startswith("worker-") for path in files[1:])


class SlowImport:
    """Finds nothing, but holds up the import of one module until the process has forked."""

    def __init__(self, module: str) -> None:
        self._module = module
        self.begun = threading.Event()

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == self._module and not self.begun.is_set():
            self.begun.set()
            time.sleep(0.3)  # the fork comes now, or waits for the import


def fork_within_the_first_import(log_dir: str, module: str, method: str) -> None:
    writer = SummaryWriter(log_dir)
    changed = {}
    if method == "add_graph":
        changed["model"] = MINIMAL["add_graph"]["model"].to_graph_def().SerializeToString()
        for name in [name for name in sys.modules if name.startswith("eventwriter.graphs")]:
            del sys.modules[name]  # the table of calls needed it
    slow = SlowImport(module)
    sys.meta_path.insert(0, slow)
    thread = threading.Thread(target=call, args=(writer, method), kwargs=changed)
    thread.start()
    assert slow.begun.wait(LONG_SECS)
    child = os.fork()
    if not child:
        children.limit_life()
        call(writer, method, **changed)
        writer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    thread.join()
    writer.close()
    print(status)


@pytest.mark.parametrize(
    ("module", "method"),
    [
        ("eventwriter.graphs.sources", "add_graph"),
        ("eventwriter.projector.queue", "add_embedding"),
        ("eventwriter.projector.formats", "add_embedding"),
    ],
)
def test_fork_within_another_threads_first_import(tmp_path: Path, module: str, method: str) -> None:
    """A fork that comes while another thread imports what a kind needs leaves a child that logs.

    Catches: an import's lock that no thread of the child can release.
    """
    out, _ = children.run(fork_within_the_first_import, str(tmp_path), module, method)

    assert "0\n" == out


class FailsToAbandon:
    """A sink whose `abandon` raises."""

    flush_secs = 1000.0

    def drain_in_background(self) -> None: ...

    def write_at_once(self) -> None: ...

    def abandon(self) -> None:
        raise RuntimeError("not abandoned")


def fork_beside_a_sink_that_fails(log_dir: str) -> None:
    flusher.watch(FailsToAbandon())
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("parent", 0.5, 0)
    child = os.fork()
    if not child:
        children.limit_life()
        writer.add_scalar("child", 0.5, 0)
        writer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    writer.close()
    print(child, status)


def test_sink_that_fails_to_abandon_keeps_no_other(tmp_path: Path) -> None:
    """In a forked child, every writer abandons its parent's file, although another sink raises.

    Catches: a child that writes its parent's rows, and tears its parent's file.
    """
    out, _ = children.run(fork_beside_a_sink_that_fails, str(tmp_path))
    child, status = map(int, out.split())

    assert 0 == status
    assert [("parent", 0)] == points(event_file(tmp_path))
    assert [("child", 0)] == points(event_file(tmp_path / f"worker-{child}"))


def log_one_point(writer: SummaryWriter, step: int) -> int:
    writer.add_scalar("task", 0.5, step)
    # The task's own work. It takes longer than the background thread does.
    wait_until(lambda: ("task", step) in points(event_file(writer.log_dir)), f"step {step}")
    return step


def run_a_pool(log_dir: str) -> None:
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_scalar("parent", 0.5, 0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(log_one_point, (writer, step)) for step in range(8)]
        print(sorted(result.get() for result in results))


def test_pool_that_is_terminated(tmp_path: Path) -> None:
    """A pool ends its workers with SIGTERM. What their tasks logged is there before that.

    Catches: workers that hold their points for `flush_secs`.
    """
    out, _ = children.run(run_a_pool, str(tmp_path))
    files = [path for path in tmp_path.rglob("events.out.tfevents.*") if path.parent != tmp_path]

    assert f"{list(range(8))}\n" == out
    assert sorted(point for path in files for point in points(path)) == [
        ("task", step) for step in range(8)
    ]


def fork_while_unwatching(log_dir: str) -> None:
    """Fork while a thread has just had the background thread forget a writer that it closes."""
    writer = SummaryWriter(log_dir, flush_secs=1000)
    writer.add_embedding([[1.0, 2.0], [3.0, 4.0]], global_step=0)
    inside, go = threading.Event(), threading.Event()
    unwatch = flusher.unwatch

    def unwatch_and_wait(sink: flusher.Sink) -> None:
        unwatch(sink)
        inside.set()
        go.wait(LONG_SECS)

    flusher.unwatch = unwatch_and_wait
    closing = threading.Thread(target=writer.close)
    closing.start()
    assert inside.wait(LONG_SECS)
    child = os.fork()
    if not child:
        children.limit_life()
        flusher.unwatch = unwatch
        writer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    go.set()
    closing.join(LONG_SECS)
    print(status)


def test_fork_while_a_writer_is_forgotten(tmp_path: Path) -> None:
    """A child that is forked while a writer is being forgotten has new locks in it, too.

    Catches: a child that waits for ever for a lock that a thread of its parent held.
    """
    out, _ = children.run(fork_while_unwatching, str(tmp_path))

    assert "0\n" == out


def fork_before_watching(log_dir: str) -> None:
    """Fork when an embedding has come after `close`, and no thread knows of it yet."""
    # Other tests of this file fork within the first import of these.
    from eventwriter.projector.queue import EmbeddingQueue
    from tests.helpers.projector import add

    queue = EmbeddingQueue(Path(log_dir), flush_secs=1000, max_pending_bytes=1 << 20)
    queue.close()
    inside, go = threading.Event(), threading.Event()
    watch = flusher.watch

    def wait_and_watch(sink: flusher.Sink) -> None:
        inside.set()
        go.wait(LONG_SECS)
        watch(sink)

    flusher.watch = wait_and_watch
    adding = threading.Thread(target=add, args=(queue,))
    adding.start()
    assert inside.wait(LONG_SECS)
    child = os.fork()
    if not child:
        children.limit_life()
        queue.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(status, sorted(path.name for path in Path(log_dir).iterdir()))
    go.set()
    adding.join(LONG_SECS)


def test_fork_before_a_writer_is_watched(tmp_path: Path) -> None:
    """A child writes nothing of its parent, also of a writer that the thread does not know.

    Catches: embeddings that the child writes into the directory of its parent.
    """
    out, _ = children.run(fork_before_watching, str(tmp_path))

    assert "0 []\n" == out
    assert (tmp_path / "projector_config.pbtxt").read_text().count("tensor_name") == 1
