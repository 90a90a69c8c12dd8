"""Layouts of TensorBoard's page Custom Scalars, which draws several curves as one chart.

Layout
category                    a group of charts; groups with the same title in several runs are one
  title
  chart
    title
    margin.series           value, lower, upper: tags of scalars, the same in all runs
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventwriter._file.templates import varint
from eventwriter._proto.summary_pb2 import DATA_CLASS_TENSOR, Summary
from eventwriter._proto.tensor_pb2 import DT_STRING
from eventwriter.records.recording import Call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventwriter.records.recording import Recording

_TAG = "custom_scalars__config__"
"""The one tag that the page reads."""


class MarginChart(NamedTuple):
    """A curve within a margin.

    Attributes:
        title: The title of the chart.
        value: The tag of the curve.
        lower: The tag of the lower edge of the margin.
        upper: The tag of its upper edge.
    """

    title: str
    value: str
    lower: str
    upper: str


def write_margin_charts(writer: Recording, category: str, charts: Iterable[MarginChart]) -> None:
    """Write the layout of a run. The page shows the curves of all runs in these charts.

    Args:
        writer: The writer of the run. It replaces the layout that this run had.
        category: The title of the group of charts.
        charts: The charts.

    Raises:
        WriterClosedError: The writer is closed.
    """
    call = Call(writer, "write_margin_charts", _TAG, 0)
    value = Summary.Value()
    value.metadata.plugin_data.plugin_name = "custom_scalars"
    value.metadata.data_class = DATA_CLASS_TENSOR
    value.tensor.dtype = DT_STRING
    value.tensor.tensor_shape.SetInParent()  # a scalar
    value.tensor.string_val.append(_layout(category, charts))
    writer._write(call, "layouts", value)


def _layout(category: str, charts: Iterable[MarginChart]) -> bytes:
    """Return the bytes of a layout: a few strings within each other, in protobuf's form."""
    inside = _text(1, category) + b"".join(_field(2, _margin(chart)) for chart in charts)
    return _field(2, inside)


def _margin(chart: MarginChart) -> bytes:
    series = _text(1, chart.value) + _text(2, chart.lower) + _text(3, chart.upper)
    return _text(1, chart.title) + _field(3, _field(1, series))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    """Return a field that holds bytes; its number is at most 15."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content
