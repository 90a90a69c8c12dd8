"""Session logs: notes about a run as a whole. TensorBoard has no page for them.

Event
wall_time
step                    of START: the first step whose earlier points are void
session_log.status      START or STOP
session_log.msg         of STOP: how the run ended
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from eventwriter._proto.event_pb2 import Event, SessionLog
from eventwriter.records.embedding import purge_embeddings

if TYPE_CHECKING:
    from eventwriter.records.recording import Recording


def add_session_log(self: Recording, msg: str) -> None:
    """Note how a run ended. TensorBoard ignores the note; `eventwriter inspect` shows it.

    Args:
        msg: For example "finished".

    Raises:
        WriterClosedError: The writer is closed.
    """
    log = SessionLog(status=SessionLog.STOP, msg=msg)
    self._put(Event(wall_time=time.time(), session_log=log))


def restart_step(event: Event) -> int | None:
    """Return the step from which on an event declares earlier points void, or None.

    A START at step 0 counts as None: other writers begin every file with one.
    """
    is_start = event.HasField("session_log") and event.session_log.status == SessionLog.START
    return event.step if is_start and event.step else None


def purge(self: Recording, step: int) -> None:
    """Hide from TensorBoard what the run held at `step` and later, embeddings included."""
    with self._lock:
        for event in purge_events(step):
            self._put(event)
    purge_embeddings(self, step)


def purge_events(step: int) -> list[Event]:
    """Return the events that declare all earlier points at `step` and later void.

    TensorBoard's data server ignores the first START of a run, because every run may begin with
    one. So there are two.
    """
    start = SessionLog(status=SessionLog.START)
    return [Event(wall_time=time.time(), step=step, session_log=start) for _ in range(2)]
