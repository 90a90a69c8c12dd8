"""Embeddings on disk, as the Projector of TensorBoard reads them.

    RUN/projector_config.pbtxt                which embeddings there are, and in which files
    RUN/projector/embed_00120-5f0c21aa.bytes  a matrix: float32, little-endian, row by row
    RUN/projector/zeros-77ab03d1.tsv          a matrix whose bytes would be taken for text
    RUN/projector/metadata-9e107d9d….tsv      labels, shared by all embeddings that have the same
    RUN/projector/sprite-e4d909c2….png        pictures, shared likewise
    RUN/projector/update-7/events.out.…       makes a running TensorBoard read all this again

Every file appears whole (under another name, then renamed), and in this order: matrices, metadata
and sprites; the configuration that names them; the update. A file that a configuration has ever
named is neither changed nor removed: one that is missing ends the plugin until TensorBoard is
started again.

**Updates.** The plugin reads configurations again only when the set of *runs* has changed, and a
run is a directory with an event file. So there is one event file, without data, that moves on to
a directory of a new name. The run that it leaves vanishes from the dashboards: there is one such
run, however many embeddings there are. It stays when training ends, since taking it away would
restore the set that TensorBoard may have seen last. The directory that it leaves stays for
some seconds: TensorBoard's reader in Python (`--load_fast=false`) dies of a directory that vanishes
while it is being discovered. Of one that vanishes later it says "Deleting accumulator", no more.

**Names.** The plugin knows no steps: step 120 of `embed` is shown as `embed:00120`. Logged again,
as after a restart from a checkpoint, it is shown as `embed:00120 (2)`, in place of the first:
TensorBoard caches matrices by name, and would go on to show the first one's values.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from google.protobuf import text_format

from eventwriter._file.run_directory import EVENT_PREFIX, host_name, version_record
from eventwriter._file.whole_file import sync_path, whole_file
from eventwriter._images.png import encode_png
from eventwriter._proto.projector_pb2 import EmbeddingInfo, ProjectorConfig
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentValueError, WriteError
from eventwriter.projector.formats import (
    display_name,
    encode_matrix,
    metadata_tsv,
    revised_name,
    to_float32,
)
from eventwriter.projector.sprites import SpriteSheet, sprite_sheet

try:
    import fcntl
except ImportError:  # Windows: writers of two processes may lose each other's entries.
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

CONFIG_NAME = "projector_config.pbtxt"
"""Fixed by TensorBoard, as is its place in the run's directory."""

ASSETS_NAME = "projector"


_LOCK_SECS = 5.0
"""How long to wait for another process that holds the configuration. It needs milliseconds."""

_SETTLE_SECS = 2.0
"""How long a directory outlives its update: far beyond the moment in which it is discovered."""


@dataclass(eq=False)
class _Embedding:
    """A snapshot of one call, kept until the configuration names it."""

    name: str
    matrix: NDArray[np.float32]
    metadata: bytes | None
    sheet: SpriteSheet | None
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    """Makes the name of the matrix's file one that was never used, by any process."""

    @property
    def nbytes(self) -> int:
        sheet_bytes = self.sheet.pixels.nbytes if self.sheet else 0
        return self.matrix.nbytes + len(self.metadata or b"") + sheet_bytes


class Projector:
    """The embeddings of one run: `add` takes them, `drain` writes them.

    Every method may be called from any thread. A forked child must not use its parent's: what
    is pending there is the parent's to write. It makes one of its own, for a directory of its own.

    Args:
        run_dir: The run's directory, made when first written to. TensorBoard finds embeddings
            there once it holds an event file with at least one record.
        max_pending_bytes: Memory from which `add` takes no more.
    """

    def __init__(self, run_dir: Path, max_pending_bytes: float = math.inf) -> None:
        self._run_dir = run_dir
        self._max_pending_bytes = max_pending_bytes
        self._assets = run_dir / ASSETS_NAME
        self._pending: dict[str, _Embedding] = {}
        # Re-entrant, because a signal handler may log and flush while its own thread drains;
        # `_draining` then keeps it from draining within the drain.
        self._pending_lock = threading.RLock()
        self._drain_lock = threading.RLock()
        self._draining = False
        self._update_due = False
        self._unsynced: set[Path] = set()

    @property
    def pending_bytes(self) -> int:
        """Memory that embeddings take until the next `drain`."""
        with self._pending_lock:
            return sum(embedding.nbytes for embedding in self._pending.values())

    def add(
        self, mat: Any, metadata: Any, label_img: Any, step: int | None, tag: str, header: Any
    ) -> bool:
        r"""Keep a copy of an embedding for the next `drain`. Does not touch the disk.

        When the same tag and step come again before that, only the last is written.

        Args:
            mat: Shape [points, dimensions], at least one of each; any real dtype, any framework.
                Becomes float32. What is then not finite becomes 0: the page cannot show it, and
                without the row all labels that follow would shift.
            metadata: None, one label for each point or, where `header` names several columns, one
                row for each point. Cells are taken with str(); tabs, newlines and carriage returns
                become \t, \n and \r, a blank row is quoted.
            label_img: None, or shape [points, channels, height, width]: floats from 0 to 1, or
                uint8; grey, RGB or RGBA.
            step: An int64, or None for an embedding without steps. Checked by the caller.
            tag: Any text but "", without lone surrogates. Checked by the caller. `&`, `#`, `+`, `%`
                and control characters, which the page cannot take, are shown as `_`, with a suffix
                that keeps distinct tags distinct.
            header: None, or distinct names of columns. That of a single column is not written,
                since the page would take it for a label.

        Returns:
            Whether it was taken: not when `max_pending_bytes` wait already.

        Raises:
            ArgumentTypeError: A dtype, shape or kind of argument other than above.
            ArgumentValueError: Lengths that differ, names of columns that do not, text with
                lone surrogates, a sheet of pictures above 8192 x 8192 pixels.

        Warns:
            EventWriterWarning: Cells were not finite; pixels were not within 0 to 1.
        """
        where = f"add_embedding({tag!r})"
        matrix, nonfinite = to_float32(mat, where)
        if metadata is None and header is not None:
            message = (
                f"{where}: expected metadata for metadata_header, got None. Pass both, or neither."
            )
            raise ArgumentValueError(message)
        tsv = None if metadata is None else metadata_tsv(metadata, header, len(matrix), where)
        sheet = None if label_img is None else sprite_sheet(label_img, len(matrix), where)
        embedding = _Embedding(display_name(tag, step), matrix, tsv, sheet)
        with self._pending_lock:
            if self.pending_bytes >= self._max_pending_bytes:
                return False
            self._pending[embedding.name] = embedding
        if nonfinite:
            message = (
                f"{where}: {nonfinite} of {matrix.size} cells are not finite in float32; they are "
                "written as 0, since the projector cannot show them."
            )
            warn_caller(message)
        return True

    def drain(self, *, sync: bool = False) -> None:
        """Write what is pending. Costs next to nothing when that is nothing.

        Args:
            sync: Also wait until the disk holds all that was ever drained (fsync).

        Raises:
            WriteError: The disk refused, another process keeps the configuration locked, or
                there is a configuration that cannot be read, which is left as it is. What is
                pending stays pending; the next `drain` tries again.
        """
        with self._drain_lock:
            if self._draining:
                return
            with self._pending_lock:
                batch = list(self._pending.values())
            try:
                self._draining = True
                if batch or self._update_due:
                    self._write(batch)
                if sync:
                    self._sync()
            except WriteError:
                raise
            except OSError as error:
                message = (
                    f"embeddings in {self._run_dir}: {error}. {len(batch)} wait in memory and are "
                    "tried again."
                )
                path = error.filename or self._run_dir
                raise WriteError(message, path=path, cause=error, pending=len(batch)) from error
            finally:
                self._draining = False

    def _write(self, batch: list[_Embedding]) -> None:
        self._assets.mkdir(parents=True, exist_ok=True)
        infos = [self._write_assets(embedding) for embedding in batch]
        with _locked(self._run_dir):
            if infos:
                self._extend_config(infos)
                self._update_due = True
            with self._pending_lock:
                for embedding in batch:
                    # Unless the same tag and step have come again meanwhile.
                    if self._pending.get(embedding.name) is embedding:
                        del self._pending[embedding.name]
            self._move_update()
            self._update_due = False

    def _write_assets(self, embedding: _Embedding) -> EmbeddingInfo:
        info = EmbeddingInfo(tensor_name=embedding.name, tensor_shape=embedding.matrix.shape)
        # A file with "tfevents" in its name would make a run of its directory.
        slug = re.sub(r"[^A-Za-z0-9]+|(?<=tf)(?=events)", "_", embedding.name)[:80]
        extension, pieces = encode_matrix(embedding.matrix)
        matrix_name = f"{slug}-{embedding.token}{extension}"
        self._write_file(self._assets / matrix_name, pieces)
        info.tensor_path = f"{ASSETS_NAME}/{matrix_name}"
        if embedding.metadata is not None:
            info.metadata_path = self._write_shared("metadata", embedding.metadata, ".tsv")
        if embedding.sheet is not None:
            pixels, width, height = embedding.sheet
            info.sprite.image_path = self._write_shared("sprite", encode_png(pixels), ".png")
            info.sprite.single_image_dim.extend((width, height))
        return info

    def _write_shared(self, kind: str, content: bytes, extension: str) -> str:
        """Write a file that is named after its content, unless it is there; return its path."""
        name = f"{kind}-{blake2b(content, digest_size=8).hexdigest()}{extension}"
        path = self._assets / name
        if not path.exists():
            self._write_file(path, (content,))
        return f"{ASSETS_NAME}/{name}"

    def _extend_config(self, infos: list[EmbeddingInfo]) -> None:
        path = self._run_dir / CONFIG_NAME
        config = _read_config(path)
        written = {info.tensor_path for info in config.embeddings}
        for info in infos:
            if info.tensor_path in written:
                continue  # A drain that was interrupted had come this far.
            shown = [other.tensor_name for other in config.embeddings]
            info.tensor_name, replaced = revised_name(info.tensor_name, shown)
            if replaced is not None:
                del config.embeddings[shown.index(replaced)]
            config.embeddings.append(info)
        self._write_file(path, (text_format.MessageToString(config).encode(),))

    def _move_update(self) -> None:
        """Change the set of runs, so that TensorBoard reads the configuration again."""
        numbered = {
            int(match[1]): path
            for path in self._assets.iterdir()
            if (match := re.fullmatch(r"update-(\d+)", path.name))
        }
        target = self._assets / f"update-{max(numbered, default=0) + 1}"
        target.mkdir()
        event_files = [file for path in numbered.values() for file in path.glob(EVENT_PREFIX + "*")]
        if event_files:
            event_files[0].rename(target / event_files[0].name)
        else:
            self._write_file(target / _event_file_name(), (version_record(),))
        settled = time.time() - _SETTLE_SECS
        for path in numbered.values():
            with contextlib.suppress(OSError):  # not empty, or another writer was faster
                if path.stat().st_mtime < settled:
                    path.rmdir()

    def _write_file(self, path: Path, pieces: Iterable[bytes | memoryview]) -> None:
        with whole_file(path) as file:
            file.writelines(pieces)
        self._unsynced.update((path, path.parent))

    def _sync(self) -> None:
        for path in list(self._unsynced):
            sync_path(path)
            self._unsynced.remove(path)


def _read_config(path: Path) -> ProjectorConfig:
    config = ProjectorConfig()
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except FileNotFoundError:
        pass
    except (text_format.ParseError, UnicodeDecodeError) as error:
        message = (
            f"{path}: expected a projector configuration in protobuf's text format, got: {error}. "
            "It was left as it is, and embeddings wait in memory. Repair it, or move it away."
        )
        raise WriteError(message, path=path) from error
    return config


def _event_file_name() -> str:
    host = host_name().replace(os.sep, "_")
    return f"{EVENT_PREFIX}{int(time.time()):010d}.{host}.{os.getpid():07d}.000000"


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let writers of several processes take turns, where the file system knows locks.

    Raises:
        TimeoutError: Another process has held the lock for `_LOCK_SECS`.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        deadline = time.monotonic() + _LOCK_SECS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    reason = f"locked by another process for more than {_LOCK_SECS:g} s"
                    raise TimeoutError(errno.ETIMEDOUT, reason, str(directory)) from None
                time.sleep(0.01)
            except OSError:  # for example NFS, on a directory
                break
        yield
    finally:
        # A child that was forked meanwhile has the descriptor too: closing it is not enough.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
