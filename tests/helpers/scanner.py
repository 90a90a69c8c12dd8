"""Reads event files independently of the package: protobuf, crc32c and nothing else."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crc32c import crc32c

from eventwriter._proto.event_pb2 import Event

if TYPE_CHECKING:
    from eventwriter.typing import PathLike


class Record(NamedTuple):
    """A whole record, and the byte at which it starts."""

    offset: int
    payload: bytes


def scan(data: bytes) -> tuple[list[Record], int]:
    """Return the whole records that `data` begins with, and the byte after the last."""
    records: list[Record] = []
    at = 0
    while at + 12 <= len(data):
        length, length_crc = struct.unpack_from("<QI", data, at)
        end = at + 12 + length + 4
        if _masked(data[at : at + 8]) != length_crc or end > len(data):
            break
        payload = data[at + 12 : end - 4]
        if _masked(payload) != struct.unpack_from("<I", data, end - 4)[0]:
            break
        records.append(Record(at, payload))
        at = end
    return records, at


def events(path: PathLike) -> list[Event]:
    """Return the events of a file that must be whole, without the file version."""
    data = Path(path).read_bytes()
    records, end = scan(data)
    assert len(data) == end, f"{path} is torn at byte {end} of {len(data)}"
    found = [Event.FromString(record.payload) for record in records]
    assert found[0].file_version == "brain.Event:2"
    return found[1:]


def points(path: PathLike) -> list[tuple[str, int]]:
    """Return the tag and step of everything that a file shows, in the file's order.

    A tag has one kind: a test that logs two by one name has its histograms as `name/histograms`.
    """
    return [(logged_as(v.tag), event.step) for event in events(path) for v in event.summary.value]


def logged_as(tag: str) -> str:
    """Return the name by which a test knows the tag."""
    return tag.removesuffix("/histograms")


def event_file(run_dir: PathLike) -> Path:
    """Return the only event file of a run."""
    (path,) = Path(run_dir).glob("events.out.tfevents.*")
    return path


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
