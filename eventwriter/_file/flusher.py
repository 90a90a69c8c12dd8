"""One background thread for the whole process. It drains what every writer has pending.

The thread wakes after the shortest `flush_secs` of its sinks, or when a caller wakes it, and
drains each sink in turn. A sink reports its own errors, and the thread goes on. The thread is a
daemon, so that it keeps no process alive. At the interpreter's normal exit everything is drained
once more, within `EXIT_SECS`, so that a disk that hangs does not hang the exit.

After a fork the child has no thread, and what is pending belongs to the parent. So every sink of
the child is told to `abandon` it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
from typing import Protocol

from eventwriter._file.guard import Guard
from eventwriter._warn import warn_from_thread

EXIT_SECS = 30.0
"""How long the interpreter's exit waits for the last drain."""

_IDLE_SECS = 3600.0
"""The longest wait of the thread. Python's locks refuse a timeout of centuries."""


class Sink(Protocol):
    """An object that the background thread drains: an event file, a queue of embeddings.

    Attributes:
        flush_secs: The longest time between two drains, in seconds.
    """

    flush_secs: float

    def drain_in_background(self) -> None:
        """Write what is pending. Keep and report errors, and never raise."""

    def abandon(self) -> None:
        """Drop what is pending: this process is a fork of the one that logged it."""

    def write_at_once(self) -> None:
        """From now on, have every call that logs drain what it logged: see `is_over`."""


class _Flusher:
    def __init__(self) -> None:
        # Guards the sinks and the start of the thread.
        self._guard = Guard()
        self._sinks: dict[int, Sink] = {}
        # Messages that wake the thread: None, or a lock to release once everything was drained.
        # This queue is written in C, so that an interrupt or a signal handler within `put` leaves
        # nothing locked. In threading.Event it can.
        self._wake: queue.SimpleQueue[threading.Lock | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def watch(self, sink: Sink) -> None:
        with self._guard.lock:
            self._sinks[id(sink)] = sink
            if not self._is_running():
                thread = threading.Thread(target=self._run, name="eventwriter", daemon=True)
                # The system may refuse a thread, and the exiting interpreter does. Without a
                # thread, callers drain what they log, and the exit drains the rest.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread
        self.wake()

    def unwatch(self, sink: Sink) -> None:
        with self._guard.lock:
            self._sinks.pop(id(sink), None)

    def wake(self) -> None:
        if self._is_running() and not _over:
            self._wake.put(None)
        else:
            self.drain_all()

    def wait(self, seconds: float) -> bool:
        if _over or not self._is_running():
            self.drain_all()
            return True
        done = threading.Lock()
        done.acquire()
        self._wake.put(done)
        return done.acquire(timeout=seconds)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def sinks(self) -> list[Sink]:
        return list(self._sinks.values())

    def drain_all(self) -> None:
        for sink in self.sinks():
            # A sink keeps and reports its own errors. Nothing else may end the thread.
            with contextlib.suppress(Exception):
                sink.drain_in_background()

    def _run(self) -> None:
        while True:
            seconds = min((sink.flush_secs for sink in self.sinks()), default=_IDLE_SECS)
            wakers = self._wait(min(seconds, _IDLE_SECS))
            self.drain_all()
            for waker in wakers:
                if waker is not None:
                    waker.release()

    def _wait(self, seconds: float) -> list[threading.Lock | None]:
        """Wait for a message, at most so many seconds. Return all that came."""
        wakers = []
        with contextlib.suppress(queue.Empty):
            wakers.append(self._wake.get(timeout=seconds))
            while True:
                wakers.append(self._wake.get_nowait())
        return wakers


_flusher = _Flusher()


def watch(sink: Sink) -> None:
    """Drain `sink` from now on, until `unwatch`. The thread keeps it alive until then."""
    _register_for_exit()
    _flusher.watch(sink)


def unwatch(sink: Sink) -> None:
    """Stop draining `sink`."""
    _flusher.unwatch(sink)


def wake() -> None:
    """Drain soon. Without a thread, drain now."""
    _flusher.wake()


def wait(seconds: float) -> bool:
    """Drain, and return whether that ended within so many seconds."""
    return _flusher.wait(seconds)


_over = False


def is_over() -> bool:
    """Return whether the last drain of the process is over.

    Some calls come after it: of handlers that were registered at exit before the first writer was
    made, of finalizers, of the `__del__` of globals, and in children of multiprocessing of threads
    that outlive their target. Such a call drains what it logged itself.
    """
    return _over


def is_pool_worker() -> bool:
    """Return whether this is a child of multiprocessing, which its parent may end at any time."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


_registered_pid: int | None = None


def _register_for_exit() -> None:
    global _registered_pid  # noqa: PLW0603 - once for each process, and again after a fork
    if _registered_pid == os.getpid():
        return
    if _registered_pid is None:
        atexit.register(_drain_at_exit)
    _registered_pid = os.getpid()
    # multiprocessing ends its children with os._exit, after its own finalizers only.
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        multiprocessing.Finalize(None, _drain_at_exit, exitpriority=0)


def _drain_at_exit() -> None:
    global _over  # noqa: PLW0603 - once for each process
    if not wait(EXIT_SECS):
        # Calls go on leaving the writing to the thread: in the exiting thread they would hang.
        warn_from_thread(f"The exit gave up writing pending records after {EXIT_SECS:g} s.")
        return
    _over = True
    for sink in _flusher.sinks():
        sink.write_at_once()
    # Whatever another thread logged before its calls began to drain.
    _flusher.drain_all()


def _after_fork_in_child() -> None:
    global _flusher, _over  # noqa: PLW0603 - the child has neither its thread nor its locks' holders
    sinks = _flusher.sinks()
    _flusher = _Flusher()
    _over = False
    for sink in sinks:
        # One sink that fails must not keep the others: they would write to the parent's files.
        with contextlib.suppress(Exception):
            sink.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
