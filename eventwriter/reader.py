"""EventFileReader: read an event file back, and say exactly where it is damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from google.protobuf.message import DecodeError

from eventwriter._file.crc32c import extend_crc32c, mask, masked_crc32c
from eventwriter._file.framing import FOOTER, HEADER
from eventwriter._proto.event_pb2 import Event
from eventwriter.errors import CorruptFileError, TruncatedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventwriter.typing import PathLike

_LARGE_BYTES = 1 << 20

_HUGE_BYTES = 64 << 20
"""Payloads above this are verified before they are read into memory: a forged length in a sparse
file costs nothing there, and would cost the reader all its memory."""

_MOST_BYTES = (1 << 31) - 1
"""The longest Event. protobuf takes no longer message."""


class RawRecord(NamedTuple):
    """A record whose checksums are right.

    Attributes:
        number: The number of records before it.
        offset: The byte of the file at which it starts.
        payload: The serialized event, without header and footer.
    """

    number: int
    offset: int
    payload: bytes


class EventFileReader:
    """Iterates over the events of one file, oldest first. Each iteration starts at the first event.

        for event in EventFileReader(path):
            for value in event.summary.value:
                print(event.step, value.tag, value.simple_value)

    All events before a damaged place are yielded, and then the error is raised. The same holds
    for a file that another process is writing to: its last record may be there in part.

    Args:
        path: An event file. It is opened by each iteration.

    Raises:
        OSError: While iterating: the file cannot be opened or read.
        TruncatedFileError: While iterating: the file ends inside a record.
        CorruptFileError: While iterating: a checksum is wrong, or a record is no Event.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def __iter__(self) -> Iterator[Event]:
        for record in self.records():
            event = Event()
            try:
                event.ParseFromString(record.payload)
            except DecodeError as error:
                raise CorruptFileError(
                    f"expected an Event, got other bytes with right checksums: {error}. Another "
                    "program wrote this file.",
                    str(self.path),
                    record.number,
                    record.offset,
                ) from error
            yield event

    def records(self) -> Iterator[RawRecord]:
        """Iterate over the records without parsing them."""
        with self.path.open("rb") as file:
            index = offset = 0
            while (payload := self._read_record(file, index, offset)) is not None:
                yield RawRecord(index, offset, payload)
                index += 1
                offset = file.tell()

    def _read_record(self, file: BinaryIO, index: int, offset: int) -> bytes | None:
        """Return the payload of the record at `offset`, or None at the end of the file."""
        place = (str(self.path), index, offset)

        def read(count: int, what: str) -> bytes:
            if count > _LARGE_BYTES:  # a damaged length may be more than memory holds
                count_there = max(os.fstat(file.fileno()).st_size - file.tell(), 0)
                data = file.read(min(count, count_there))
            else:
                data = file.read(count)
            if len(data) < count:
                raise TruncatedFileError(
                    f"expected {count} bytes of its {what}, got {len(data)} before the file's end. "
                    "It is still being written, or its writer was stopped. All records before it "
                    "are whole.",
                    *place,
                )
            return data

        def verify(computed: int, stored: int, what: str) -> None:
            if computed != stored:
                raise CorruptFileError(
                    f"expected {stored:#010x} as the checksum of its {what}, got {computed:#010x}. "
                    "TensorBoard shows nothing of this file from here on.",
                    *place,
                )

        start = file.read(1)
        if not start:
            return None
        header = start + read(HEADER.size - 1, "header")
        length, length_crc = HEADER.unpack(header)
        verify(masked_crc32c(header[: HEADER.size - FOOTER.size]), length_crc, "length")
        rest = os.fstat(file.fileno()).st_size - file.tell() if length > _HUGE_BYTES else 0
        if rest >= length + FOOTER.size:
            if length > _MOST_BYTES:
                raise CorruptFileError(
                    f"expected a payload of at most {_MOST_BYTES} bytes, got {length}. Another "
                    "program wrote this file.",
                    *place,
                )
            verify(*_checksums_ahead(file, length), "payload")
        payload = read(length, "payload")
        (payload_crc,) = FOOTER.unpack(read(FOOTER.size, "footer"))
        verify(masked_crc32c(payload), payload_crc, "payload")
        return payload


def _checksums_ahead(file: BinaryIO, length: int) -> tuple[int, int]:
    """Return the computed and the stored checksum of the payload that begins here.

    The file's position stays as it was.
    """
    start = file.tell()
    crc = 0
    for at in range(0, length, _LARGE_BYTES):
        crc = extend_crc32c(crc, file.read(min(_LARGE_BYTES, length - at)))
    footer = file.read(FOOTER.size).ljust(FOOTER.size, b"\0")  # the file may have been cut short
    file.seek(start)
    return mask(crc), FOOTER.unpack(footer)[0]
