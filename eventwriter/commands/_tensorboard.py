"""TensorBoard, for as long as the process that started it lives.

    python -m eventwriter.commands._tensorboard --logdir=runs ...

The process that started this one holds the other end of our stdin. When it ends, in whatever way,
the operating system closes that end. So a viewer that was killed leaves no TensorBoard behind.
"""

from __future__ import annotations

import os
import sys
import threading

from eventwriter._imports import importing


def main() -> None:
    """Run TensorBoard's own program with the arguments of this one."""
    threading.Thread(target=_end_with_starter, daemon=True).start()
    with importing():
        from tensorboard.main import run_main  # noqa: PLC0415 - slow; the watch begins before it

    run_main()


def _end_with_starter() -> None:
    # A read returns at the end of the file alone: nobody writes to this pipe.
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
