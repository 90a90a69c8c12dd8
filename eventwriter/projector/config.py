"""`projector_config.pbtxt`: the list of a run's embeddings that TensorBoard's Projector reads.

It is a `ProjectorConfig` in protobuf's text format. Source: TensorBoard's
plugins/projector/projector_config.proto.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

from google.protobuf import text_format

from eventwriter._proto.projector_pb2 import ProjectorConfig

try:
    import fcntl
except ImportError:  # Windows: writers of two processes may lose each other's entries.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG_NAME = "projector_config.pbtxt"
"""TensorBoard fixes this name, and that the file lies in the run's directory."""

_LOCK_SECS = 5.0
"""How long to wait for another process that has locked the configuration. One entry takes it
milliseconds."""


def read_config(path: Path) -> ProjectorConfig:
    """Return the configuration in a file, or an empty one where no file is.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file holds no configuration.
    """
    config = ProjectorConfig()
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(
            f"expected a projector configuration in protobuf's text format, got: {error}"
        ) from error
    return config


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Let the writers of several processes take turns with a run's configuration.

    On a file system without locks nobody waits.

    Raises:
        TimeoutError: Another process has held the lock for `_LOCK_SECS`.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(run_dir, os.O_RDONLY)
    try:
        deadline = time.monotonic() + _LOCK_SECS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    reason = f"locked by another process for more than {_LOCK_SECS:g} s"
                    raise TimeoutError(errno.ETIMEDOUT, reason, str(run_dir)) from None
                time.sleep(0.01)
            except OSError:  # NFS, for example, cannot lock a directory.
                break
        yield
    finally:
        # Closing is not enough: a child that was forked meanwhile has the descriptor too.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
