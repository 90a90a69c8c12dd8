"""TensorBoard event logs from any training loop, without TensorFlow or torch.

    from eventwriter import SummaryWriter

    with SummaryWriter("runs/a") as writer:
        for step in range(100):
            writer.add_scalar("loss", 1 / (step + 1), step)

Then `tensorboard --logdir runs`, or `eventwriter view runs`, shows it.
"""

from eventwriter._file.event_file_writer import EventFileWriter as EventFileWriter
from eventwriter._proto.event_pb2 import Event as Event
from eventwriter._proto.summary_pb2 import Summary as Summary
from eventwriter._values.torch_compile import leave_untraced as _leave_untraced
from eventwriter._writer import SummaryWriter as SummaryWriter
from eventwriter.reader import EventFileReader as EventFileReader

__all__ = ["Event", "EventFileReader", "EventFileWriter", "Summary", "SummaryWriter"]
__version__ = "0.1.0"

_leave_untraced()
