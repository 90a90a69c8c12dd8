"""Scalars, the plain way: by protobuf. What `_scalars` encodes must equal this.

A scalar is a `simple_value`: the smallest form, and the only one that every reader of event
files shows. It is float32. TensorBoard's default reader drops float64 scalars without a word,
so that a more exact form would show nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eventwriter._proto.event_pb2 import Event

if TYPE_CHECKING:
    from collections.abc import Mapping


def scalars_event(metrics: Mapping[str, float], step: int, wall_time: float) -> Event:
    """Return one event that holds a value for each tag.

    Args:
        metrics: Tags and values. A value beyond float32 becomes an infinity.
        step: Within int64.
        wall_time: Seconds since 1970.
    """
    event = Event(wall_time=wall_time, step=step)
    for tag, value in metrics.items():
        with np.errstate(all="ignore"):
            event.summary.value.add(tag=tag, simple_value=float(np.float32(value)))
    return event
