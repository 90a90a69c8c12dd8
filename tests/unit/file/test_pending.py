"""The queue: every record comes out once, in order, and is counted with what it holds."""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventwriter import SummaryWriter
from eventwriter._file import pending as queue
from eventwriter._file.event_file import EventFile
from eventwriter._file.pending import Pending
from eventwriter._file.rows import record_struct

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@given(st.lists(st.integers(0, 9) | st.sampled_from(["set aside", "take"])), st.integers(1, 4))
def test_every_record_comes_out_once_and_in_order(actions: list[Any], batch_rows: int) -> None:
    """Rows that are set aside, however often, are taken before all later ones.

    A signal handler reads the same ahead of the thread that it interrupted.
    """
    pending = Pending()
    pack, template = record_struct(3).pack, pending.encoder.templates.register(("a", "b", "c"))
    expected, owned = [], []

    def take() -> None:
        pending.set_aside()
        pending.commit(pending.encode(0, lambda *_: None), owned)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "_BATCH_ROWS", 2 * batch_rows)
        patch.setattr(queue, "_LONG_ROWS_BYTES", 0)
        for step, action in enumerate(actions):
            if action == "set aside":
                pending.set_aside()
            elif action == "take":
                take()
            elif action == 0:
                record = b"%d" % step
                pending.put(record, len(record), 1)
                expected.append(record)
            else:
                values = action, 0.0, 0.0
                pending.rows += pack(1.0, step, template, *values)
                row = Pending()
                row.encoder = pending.encoder
                row.rows += pack(1.0, step, template, *values)
                expected.append(bytes(row.encode(0, lambda *_: None).encoded))
            taken = sum(batch.records for batch in owned)
            assert len(expected) - taken == len(pending)
        ahead, rows = [], 0
        while rows * 32 < pending.row_bytes:
            batch = pending.encode(0, lambda *_: None, skipped_rows=rows)
            ahead.append(bytes(batch.encoded))
            rows += batch.rows
        while pending.row_bytes:
            take()

    written = b"".join(bytes(batch.encoded) for batch in owned)
    assert b"".join(expected) == written
    assert written.endswith(b"".join(ahead))
    assert len(expected) == sum(batch.records for batch in owned)


def test_rows_stay_short_while_many_wait() -> None:
    """However many rows wait, the bytearray that grows, and is copied for it, holds few of them.

    Catches: threads that log without a pause, and a bytearray of the whole limit that each of them
    copies: eight threads took 300 to 500 MB more than `max_pending_bytes`.
    """
    pending = Pending()
    template = pending.encoder.templates.register(("a",))
    rows = record_struct(1).pack(1.0, 2, template, 0.5) * 10_000
    owned: list[Any] = []
    for _ in range(200):
        pending.rows += rows
        pending.set_aside()
        pending.commit(pending.encode(0, lambda *_: None), owned)
        assert len(pending.rows) <= 1 << 20

    waiting = 200 * 10_000 - sum(batch.records for batch in owned)
    assert waiting * 32 == pending.row_bytes == pending.nbytes
    assert waiting == len(pending)


SMALL = np.linspace(0, 1, 100)
CALLS: dict[str, Callable[[SummaryWriter, int], None]] = {
    "scalar": lambda writer, step: writer.add_scalar("a", 0.5, step),
    "curve of 1": lambda writer, step: writer.add_scalar_series("a", [0.5], [step]),
    "curve of 10": lambda writer, step: writer.add_scalar_series(
        "a", SMALL[:10], np.arange(step * 10, step * 10 + 10)
    ),
    "histogram": lambda writer, step: writer.add_histogram("a", SMALL, step),
    "image": lambda writer, step: writer.add_image("a", np.zeros((3, 8, 8), np.uint8), step),
}
for count in (1, 3, 10, 100):
    METRICS = dict.fromkeys(map(str, range(count)), 0.5)
    CALLS[f"log of {count}"] = partial(
        lambda metrics, *call: call[0].log(metrics, call[1]), METRICS
    )


@pytest.mark.parametrize("kind", CALLS)
def test_records_are_counted_with_what_they_hold(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`max_pending_bytes` bounds the memory itself: a record is counted with all that it holds.

    Catches: a `log` of one name that is counted as 8 bytes and holds 500.
    """
    # Nothing is written meanwhile, whatever wakes the background thread.
    monkeypatch.setattr(EventFile, "drain_in_background", lambda _: None)
    writer = SummaryWriter(tmp_path, flush_secs=1000, max_queue=10**9, max_pending_bytes=1 << 40)
    for step in range(3):
        CALLS[kind](writer, step)
    writer.flush()
    counted = writer._file.pending_bytes()
    tracemalloc.start()
    try:
        for step in range(2000):
            CALLS[kind](writer, step + 3)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    counted = writer._file.pending_bytes() - counted
    monkeypatch.undo()
    writer.close()

    assert 0.7 * counted < held < 1.3 * counted
