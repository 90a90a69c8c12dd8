"""One background thread for the process, which drains what every writer has pending.

It wakes by time (the shortest `flush_secs` of its sinks) or when somebody wakes it, and asks
each sink in turn. A sink that fails says so itself; the thread goes on. It is a daemon: it
keeps no process alive. At the interpreter's normal exit everything is drained once more,
within `EXIT_SECS`: a disk that hangs does not hang the exit.

After a fork the child has no thread, and what is pending belongs to the parent: every sink is
told to `abandon` it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
from typing import Protocol

from eventwriter._warn import warn_from_thread

EXIT_SECS = 30.0
"""How long the interpreter's exit waits for the last drain."""

MAX_WAIT_SECS = 1.0
"""How long a caller waits for room before its record is dropped, once for each time that
memory runs full."""

_IDLE_SECS = 3600.0  # a wait without a sink; and no lock takes a timeout beyond some centuries


class Sink(Protocol):
    """Something that is drained in the background."""

    flush_secs: float

    def drain_in_background(self) -> None:
        """Write what is pending. Keep, and tell, what goes wrong; never raise."""

    def abandon(self) -> None:
        """Drop everything: this process is a fork of the one that logged it."""


class _Flusher:
    def __init__(self) -> None:
        # Guards the set of sinks and the start of the thread. Re-entrant: a signal handler or
        # a finalizer may come back here.
        self._lock = threading.RLock()
        self._sinks: dict[int, Sink] = {}
        # What wakes the thread: None, or a lock to release once everything was drained. This
        # queue is one object in C: an interrupt or a signal handler in the midst of `put` leaves
        # nothing locked, as it can in threading.Event.
        self._wake: queue.SimpleQueue[threading.Lock | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def watch(self, sink: Sink) -> None:
        with self._lock:
            self._sinks[id(sink)] = sink
            if not self._is_running():
                thread = threading.Thread(target=self._run, name="eventwriter", daemon=True)
                # Without a thread (refused by the system, or at the interpreter's exit) callers
                # drain what they log, and so does the exit.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread
        self.wake()

    def unwatch(self, sink: Sink) -> None:
        with self._lock:
            self._sinks.pop(id(sink), None)

    def wake(self) -> None:
        if self._is_running():
            self._wake.put(None)
        else:
            self.drain_all()

    def wait(self, seconds: float) -> bool:
        if not self._is_running():
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
            # A sink keeps and tells its own errors; what it lets through ends no thread.
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
        """Wait for a waker, at most so long; return all that came."""
        wakers = []
        with contextlib.suppress(queue.Empty):
            wakers.append(self._wake.get(timeout=seconds))
            while True:
                wakers.append(self._wake.get_nowait())
        return wakers


_flusher = _Flusher()


def watch(sink: Sink) -> None:
    """Drain `sink` from now on, until `unwatch`. It is kept alive until then."""
    _register_for_exit()
    _flusher.watch(sink)


def unwatch(sink: Sink) -> None:
    """Drain `sink` no more."""
    _flusher.unwatch(sink)


def wake() -> None:
    """Drain soon; now, where the system gave no thread."""
    _flusher.wake()


def wait(seconds: float) -> bool:
    """Drain, and return whether that was done within so many seconds."""
    return _flusher.wait(seconds)


_registered_pid: int | None = None


def _register_for_exit() -> None:
    global _registered_pid  # noqa: PLW0603 - once a process, a fork being another
    if _registered_pid == os.getpid():
        return
    if _registered_pid is None:
        atexit.register(_drain_at_exit)
    _registered_pid = os.getpid()
    # multiprocessing ends its children by os._exit, which runs its own finalizers alone.
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        multiprocessing.Finalize(None, _drain_at_exit, exitpriority=0)


def _drain_at_exit() -> None:
    if not wait(EXIT_SECS):
        warn_from_thread(f"gave up writing what was pending after {EXIT_SECS:g} s at exit.")


def _after_fork_in_child() -> None:
    global _flusher  # noqa: PLW0603 - its thread and the state of its locks are the parent's
    sinks = _flusher.sinks()
    _flusher = _Flusher()
    for sink in sinks:
        sink.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
