"""Embeddings on disk, as TensorBoard's Projector reads them.

    RUN/projector_config.pbtxt                the embeddings, and the files of each
    RUN/projector/embed_00120-5f0c21aa.bytes  a matrix: float32, little-endian, row by row
    RUN/projector/zeros-77ab03d1.tsv          a matrix whose bytes the plugin would take for text
    RUN/projector/metadata-9e107d9d….tsv      labels, shared by all embeddings with these labels
    RUN/projector/sprite-e4d909c2….png        pictures, shared likewise
    RUN/projector/update-7/events.out.…       makes a running TensorBoard read all this again

Every file is written whole, in this order: matrices, metadata and sprites; then the configuration
that names them; then the update. A file that a configuration has ever named is never changed or
removed: when one is missing, the plugin fails until TensorBoard is started again.

**Updates.** The plugin reads configurations again only when the set of runs has changed. A run is
a directory with an event file. So there is one event file without data, and each update moves it
to a directory with a new name. The old run then vanishes from the dashboards, so that there is one
such run, however many embeddings there are. It stays when training ends: to remove it would
restore the set of runs that TensorBoard may have seen last. The emptied directory stays for some
seconds, because TensorBoard's reader in Python (`--load_fast=false`) dies when a directory vanishes
while the reader discovers it. When a directory vanishes later, the reader says "Deleting
accumulator" and goes on.

**Names.** The plugin knows no steps: step 120 of `embed` is shown as `embed:00120`. When that step
is logged again, as after a restart from a checkpoint, it is shown as `embed:00120 (2)`, in the
place of the first. Under the first name TensorBoard would go on to show the first matrix, because
it caches matrices by name.

**Interrupts.** A signal handler may write while its own thread is inside a write. So a name is
never used twice, and a listing that was written over a newer one is noticed and written again.

**Killed processes** leave temporary files and empty directories. The next writer removes them.
"""

from __future__ import annotations

import contextlib
import errno
import re
import stat
import time
import weakref
from hashlib import blake2b
from typing import TYPE_CHECKING

from eventwriter._file.run_directory import EVENT_PREFIX, event_file_name, version_record
from eventwriter._file.whole_file import (
    is_temporary,
    make_directory,
    sync_path,
    whole_file,
)
from eventwriter._images.png import encode_png
from eventwriter._proto.projector_pb2 import EmbeddingInfo
from eventwriter.errors import WriteError
from eventwriter.projector.config import (
    CONFIG_NAME,
    ConfigLock,
    Listing,
    lock_file,
    read_listing,
    remove_orphans,
)
from eventwriter.projector.formats import encode_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from eventwriter.projector.embedding import Embedding

ASSETS_NAME = "projector"
"""The directory of all files but the configuration, within the run's directory."""

_SETTLE_SECS = 2.0
"""How long an emptied directory stays. TensorBoard discovers a directory in far less time."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class EmbeddingFiles:
    """The files of one run's embeddings. One thread at a time.

    Args:
        run_dir: The run's directory. It is made by the first embedding.

    Attributes:
        patience_secs: How long to wait for another process that has the configuration locked.
    """

    def __init__(self, run_dir: Path) -> None:
        self.patience_secs = 0.0
        self._run_dir = run_dir
        self._assets = run_dir / ASSETS_NAME
        self._config = run_dir / CONFIG_NAME
        self._update_due = False
        self._unsynced: set[Path] = set()
        self._lock = ConfigLock(run_dir)
        self._is_tidy = False
        # Embeddings whose files are written, and which are not listed yet.
        self._written: weakref.WeakKeyDictionary[Embedding, EmbeddingInfo]
        self._written = weakref.WeakKeyDictionary()
        # The configuration as it was last seen, and what told that state of the file from others.
        self._listing, self._seen = Listing(), _identity(None)
        self._updates = _Updates(self._assets)

    def write(self, name: str, embedding: Embedding) -> None:
        """Write an embedding, and list it in the configuration.

        To write the same object again, after an error or an interrupt, does no harm: what is
        written already is not written again.

        Args:
            name: From `display_name`.
            embedding: The embedding.

        Raises:
            OSError: The disk refused. `LockedError`: another process keeps the configuration
                locked.
            WriteError: The configuration cannot be read. It is left as it is.
        """
        make_directory(self._assets)
        self._tidy()
        self._read()  # If it cannot be read, no matrix is written in vain.
        info = self._written.get(embedding)
        if info is None or not self._is_there(info):
            info = self._write_assets(name, embedding)
            self._written[embedding] = info
        try:
            self._extend_config(info)
        except OSError as error:
            if is_full(error):
                self._discard(embedding, self._run_dir / info.tensor_path)
            raise
        self._written.pop(embedding, None)

    def purge(self, step: int) -> None:
        """Take what was logged at a step and later off the list. The files stay.

        Raises:
            OSError, WriteError: As in `write`.
        """
        if self._config.exists():
            self._change(lambda listing: listing.purged(step, ASSETS_NAME))

    def announce(self) -> None:
        """Have a running TensorBoard read the configuration again, if it has changed since.

        Raises:
            OSError: The disk refused. The next call tries again.
        """
        if self._update_due:
            with self._lock.held(self.patience_secs):
                moved = self._updates.move(self._write_file)
            self._unsynced.update((moved, moved.parent, self._assets))
            self._update_due = False

    def sync(self) -> None:
        """Wait until the disk holds all that was ever written here (fsync).

        Raises:
            OSError: The disk refused. The next call tries again.
        """
        for path in list(self._unsynced):
            # An update moves its file. Another process may move it, too.
            with contextlib.suppress(FileNotFoundError):
                sync_path(path)
            self._unsynced.discard(path)

    def _write_assets(self, name: str, embedding: Embedding) -> EmbeddingInfo:
        info = EmbeddingInfo(tensor_name=name, tensor_shape=embedding.matrix.shape)
        # A file with "tfevents" in its name would make a run of its directory.
        slug = re.sub(r"[^A-Za-z0-9]+|(?<=tf)(?=events)", "_", name)[:80]
        extension, pieces = encode_matrix(embedding.matrix)
        matrix_name = f"{slug}-{embedding.token}{extension}"
        if embedding.metadata is not None:
            info.metadata_path = self._write_shared("metadata", embedding.metadata, ".tsv")
        if embedding.sheet is not None:
            pixels, width, height = embedding.sheet
            info.sprite.image_path = self._write_shared("sprite", encode_png(pixels), ".png")
            info.sprite.single_image_dim.extend((width, height))
        self._write_file(self._assets / matrix_name, pieces)
        info.tensor_path = f"{ASSETS_NAME}/{matrix_name}"
        return info

    def _write_shared(self, kind: str, content: bytes, extension: str) -> str:
        """Write a file that is named after its content, unless it is there; return its path."""
        name = f"{kind}-{blake2b(content, digest_size=8).hexdigest()}{extension}"
        path = self._assets / name
        if not path.exists():
            self._write_file(path, (content,))
        return f"{ASSETS_NAME}/{name}"

    def _is_there(self, info: EmbeddingInfo) -> bool:
        paths = filter(None, (info.tensor_path, info.metadata_path, info.sprite.image_path))
        return all((self._run_dir / path).exists() for path in paths)

    def _discard(self, embedding: Embedding, matrix: Path) -> None:
        """Remove the matrix of an embedding that the full disk cannot list: it takes the room."""
        self._written.pop(embedding, None)
        with contextlib.suppress(OSError):
            matrix.unlink()

    def _extend_config(self, info: EmbeddingInfo) -> None:
        self._change(
            lambda listing: listing if info.tensor_path in listing else listing.extended(info)
        )

    def _read(self) -> Listing:
        """Return what the configuration lists now."""
        known, seen = self._listing, _identity(self._config)
        if seen != self._seen:
            try:
                listing = read_listing(self._config)
            except ValueError as error:
                message = f"{error}. The file was left as it is. Repair it, or move it away."
                raise WriteError(message, path=self._config) from error
            if self._listing is known:  # If not, a signal handler wrote a newer one meanwhile.
                self._listing, self._seen = listing, seen
        return self._listing

    def _change(self, change: Callable[[Listing], Listing]) -> None:
        with self._lock.held(self.patience_secs):
            before = self._read()
            while True:
                after = change(before)
                if after is before:
                    return
                self._write_file(self._config, (after.text().encode(),))
                self._update_due = True
                seen = _identity(self._config)
                if self._listing is before:
                    self._listing, self._seen = after, seen
                    return
                # A signal handler wrote another listing meanwhile. Ours has just replaced it.
                before = self._listing

    def _tidy(self) -> None:
        """Remove the temporary files of killed processes, once."""
        if self._is_tidy:
            return
        settled = time.time() - _SETTLE_SECS
        orphans = [path for path in self._assets.rglob(".*.tmp*") if _TEMPORARY.match(path.name)]
        orphans += [path for path in self._run_dir.iterdir() if is_temporary(path, self._config)]
        remove_orphans(orphans, settled)
        self._is_tidy = True

    def _write_file(self, path: Path, pieces: Iterable[bytes | memoryview]) -> None:
        with whole_file(path) as file:
            lock_file(file.fileno())
            file.writelines(pieces)
        self._unsynced.update((path, path.parent))


class _Updates:
    """The event file without data, and the directories `update-<n>` that it was moved through."""

    def __init__(self, assets: Path) -> None:
        self._assets = assets
        self._file: Path | None = None
        self._number = 0
        self._emptied: set[Path] = set()

    def move(self, write_file: Callable[[Path, Iterable[bytes]], None]) -> Path:
        """Move the event file to a new directory, which changes the set of runs.

        Returns:
            The file's new path.
        """
        if self._file is None or not self._file.exists():
            self._find()
        source, target = self._file, self._new_directory()
        name = source.name if source else event_file_name(int(time.time()))
        if source is None:
            write_file(target / name, (version_record(),))
        else:
            # If a signal handler has moved the file meanwhile, the set of runs has changed.
            with contextlib.suppress(FileNotFoundError):
                source.rename(target / name)
            self._emptied.add(source.parent)
        if (target / name).exists():
            self._file = target / name
        else:
            self._emptied.add(target)
        self._remove_emptied()
        return target / name

    def _new_directory(self) -> Path:
        while True:
            self._number += 1
            target = self._assets / f"update-{self._number}"
            with contextlib.suppress(FileExistsError):
                target.mkdir()
                return target

    def _find(self) -> None:
        """Look for what other writers left."""
        self._file = None
        for path in self._assets.iterdir():
            match = re.fullmatch(r"update-(\d+)", path.name)
            if match:
                self._number = max(self._number, int(match[1]))
                # A link may lead to another run, whose file is not ours to move.
                if stat.S_ISDIR(path.lstat().st_mode):
                    self._emptied.add(path)
                    for file in path.glob(EVENT_PREFIX + "*"):
                        self._file = file if _is_without_data(file) else self._file
        if self._file is not None:
            self._emptied.discard(self._file.parent)

    def _remove_emptied(self) -> None:
        settled = time.time() - _SETTLE_SECS
        waiting = set()
        for path in self._emptied:
            with contextlib.suppress(OSError):  # not empty, or another writer was faster
                if path.stat().st_mtime < settled:
                    path.rmdir()
                else:
                    waiting.add(path)
        self._emptied = waiting


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


def is_full(error: OSError) -> bool:
    """Return whether the disk has no room for this, and may have room for something smaller."""
    return error.errno in _FULL


def _identity(path: Path | None) -> tuple[int, ...]:
    """Return what changes when a file is replaced or written; () where no file is."""
    try:
        found = path.stat() if path else None
    except (FileNotFoundError, NotADirectoryError):
        found = None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if found else ()


def _is_without_data(file: Path) -> bool:
    found = file.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size <= len(version_record())
