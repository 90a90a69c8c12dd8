"""One background thread for the whole process. It drains what every writer has pending.

The thread wakes after the shortest `flush_secs` of its sinks, or when a caller wakes it, and
drains each sink in turn. A sink reports its own errors, and the thread goes on. The thread is a
daemon, so that it keeps no process alive. At the interpreter's normal exit everything is drained
once more, within `EXIT_SECS`, so that a disk that hangs does not hang the exit.

A disk may hang under one sink and be well under the others. So where there are several sinks, a
second thread looks every `_LOOK_SECS` at what the first one does. If one drain has taken that
long, another thread takes over: it drains the other sinks, and leaves this one to the thread that
is stuck in it. When that thread comes back, it ends.

After a fork the child has no thread, and what is pending belongs to the parent. So every sink of
the child is told to `abandon` it, whether it is watched at that moment or not.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import sys
import threading
import time
import weakref
from typing import Protocol

from eventwriter._file.guard import Guard
from eventwriter._warn import warn_from_thread

EXIT_SECS = 30.0
"""How long the interpreter's exit waits for the last drain."""

_IDLE_SECS = 3600.0
"""The longest wait of the thread. Python's locks refuse a timeout of centuries."""

_LOOK_SECS = 1.0
"""A drain that takes longer than this holds up the other sinks no more."""


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


class _Drainer(threading.Thread):
    """A thread that drains all sinks, again and again, until another one takes over."""

    def __init__(self, flusher: _Flusher) -> None:
        super().__init__(name="eventwriter", daemon=True)
        self._flusher = flusher
        self.drain: tuple[Sink, float] | None = None
        """The sink that it is draining, and since when."""
        self.is_replaced = False

    def run(self) -> None:
        while not self.is_replaced:
            self._flusher.drain_all(self)
            if not self.is_replaced:
                self._flusher.wait_for_work()


class _Waiter:
    """A caller who waits until a sink was drained; None stands for all sinks."""

    def __init__(self, sink: object | None) -> None:
        self.sink = sink
        self.done = threading.Lock()
        self.done.acquire()


class _Flusher:
    def __init__(self) -> None:
        # Guards the sinks and the change of threads.
        self._guard = Guard()
        self._sinks: dict[int, Sink] = {}
        # Messages that wake the thread: None, or a waiter to release once it is drained.
        # This queue is written in C, so that an interrupt or a signal handler within `put` leaves
        # nothing locked. In threading.Event it can.
        self._wake: queue.SimpleQueue[_Waiter | None] = queue.SimpleQueue()
        self._waiters: list[_Waiter] = []
        self._thread: _Drainer | None = None
        self._overseer: threading.Thread | None = None
        self._stuck: dict[int, Sink] = {}  # sinks in which a thread hangs that was replaced

    def watch(self, sink: Sink) -> None:
        _know(sink)
        with self._guard.lock:
            self._sinks[id(sink)] = sink
            if not self._is_running():
                self._start()
            if len(self._sinks) > 1 and self._overseer is None:
                overseer = threading.Thread(target=self._oversee, name="eventwriter", daemon=True)
                with contextlib.suppress(RuntimeError):
                    overseer.start()
                    self._overseer = overseer
        self.wake()

    def _start(self) -> bool:
        thread = _Drainer(self)
        # The system may refuse a thread, and the exiting interpreter does. Without a thread,
        # callers drain what they log, and the exit drains the rest.
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def unwatch(self, sink: Sink) -> None:
        with self._guard.lock:
            self._sinks.pop(id(sink), None)

    def wake(self) -> None:
        if self._is_running() and not _over:
            self._wake.put(None)
        else:
            self.drain_all()

    def wait(self, seconds: float, sink: object | None) -> bool:
        if _over or not self._is_running():
            self.drain_all()
            return True
        waiter = _Waiter(sink)
        self._wake.put(waiter)
        return waiter.done.acquire(timeout=seconds)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def sinks(self) -> list[Sink]:
        return list(self._sinks.values())

    def drain_all(self, drainer: _Drainer | None = None) -> None:
        """Drain each sink in which no thread is stuck.

        Args:
            drainer: The thread that does it. None is a caller, where there is no thread.
        """
        # They came before the drain begins, so that what they wait for is drained by it.
        waiters = self._take_waiters()
        for sink in self.sinks():
            if id(sink) in self._stuck:
                continue
            if drainer is not None:
                drainer.drain = sink, time.monotonic()
            # A sink keeps and reports its own errors. Nothing else may end the thread.
            with contextlib.suppress(Exception):
                sink.drain_in_background()
            if drainer is not None and self._is_replaced(drainer, sink):
                return
        self._release(waiters)

    def wait_for_work(self) -> None:
        """Wait until a sink is due, or a caller wakes the thread."""
        seconds = min((sink.flush_secs for sink in self.sinks()), default=_IDLE_SECS)
        with contextlib.suppress(queue.Empty):
            message = self._wake.get(timeout=min(seconds, _IDLE_SECS))
            if message is not None:
                self._waiters.append(message)

    def _take_waiters(self) -> list[_Waiter]:
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._wake.get_nowait()
                if message is not None:
                    self._waiters.append(message)
        return list(self._waiters)

    def _release(self, waiters: list[_Waiter]) -> None:
        """Release the waiters whose sinks were drained. The others wait for their stuck thread."""
        for waiter in waiters:
            is_for_all = waiter.sink is None
            if not self._stuck or not (is_for_all or id(waiter.sink) in self._stuck):
                with contextlib.suppress(ValueError):  # another thread has released it
                    self._waiters.remove(waiter)
                    waiter.done.release()

    def _is_replaced(self, drainer: _Drainer, sink: Sink) -> bool:
        """Return whether another thread has taken over while this one drained a sink."""
        with self._guard.lock:
            drainer.drain = None
            if drainer.is_replaced:
                self._stuck.pop(id(sink), None)
                self.wake()
            return drainer.is_replaced

    def _oversee(self) -> None:
        """Have another thread take over from one that is stuck, while there are several sinks."""
        while True:
            time.sleep(_LOOK_SECS)
            with self._guard.lock:
                if len(self._sinks) < 2:
                    self._overseer = None
                    return
                if (thread := self._thread) is None or (drain := thread.drain) is None:
                    continue
                sink, since = drain
                if time.monotonic() - since > _LOOK_SECS:
                    self._stuck[id(sink)] = sink  # first, because the new thread begins at once
                    if self._start():
                        thread.is_replaced = True
                    else:
                        del self._stuck[id(sink)]


_flusher = _Flusher()

# Every sink that was ever watched and is still alive. A fork may come while a sink is being
# unwatched, or before it is watched again: its locks may be held then, and records may wait in it.
_known: dict[int, weakref.ref[Sink]] = {}


def _know(sink: Sink) -> None:
    key = id(sink)
    if key not in _known:
        _known[key] = weakref.ref(sink, lambda _: _known.pop(key, None))


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


def wait(seconds: float, sink: object | None = None) -> bool:
    """Drain, and return whether that ended within so many seconds.

    Args:
        seconds: How long to wait.
        sink: Wait for this sink alone.
    """
    return _flusher.wait(seconds, sink)


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
    sinks = [reference() for reference in list(_known.values())]
    _flusher = _Flusher()
    _over = False
    for sink in sinks:
        # One sink that fails must not keep the others: they would write to the parent's files.
        with contextlib.suppress(Exception):
            if sink is not None:
                sink.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
