"""TensorBoard event logs from any training loop, without TensorFlow or torch.

    from eventwriter import SummaryWriter

    with SummaryWriter("runs/a") as writer:
        for step in range(100):
            writer.add_scalar("loss", 1 / (step + 1), step)

Then `tensorboard --logdir runs`, or `eventwriter view runs`, shows it.
"""

import typing as _typing

from eventwriter import _imports
from eventwriter._proto.event_pb2 import Event as Event
from eventwriter._proto.summary_pb2 import Summary as Summary
from eventwriter._values.torch_compile import leave_untraced as _leave_untraced
from eventwriter._writer import SummaryWriter as SummaryWriter

if _typing.TYPE_CHECKING:
    from eventwriter._file.event_file_writer import EventFileWriter as EventFileWriter
    from eventwriter.reader import EventFileReader as EventFileReader

__all__ = ["Event", "EventFileReader", "EventFileWriter", "Summary", "SummaryWriter"]
__version__ = "0.1.0"

_leave_untraced()


def __getattr__(name: str) -> object:
    """Import what a training does not need when it is first asked for."""
    with _imports.importing():
        if name == "EventFileReader":
            from eventwriter.reader import EventFileReader  # noqa: PLC0415

            return EventFileReader
        if name == "EventFileWriter":
            from eventwriter._file.event_file_writer import EventFileWriter  # noqa: PLC0415

            return EventFileWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
