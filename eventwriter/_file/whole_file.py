"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_file(path: str) -> Iterator[IO[bytes]]:
    """Opens a file to write that takes the place of `path` when the block ends well.

    Until then, and after an error, whoever reads `path` finds what was there before.

    Raises:
        OSError: The directory cannot be written.
    """
    handle, temporary = tempfile.mkstemp(suffix=Path(path).suffix, dir=Path(path).parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
