"""Embeddings on disk, as TensorBoard's Projector reads them.

    RUN/projector_config.pbtxt                the embeddings, and the files of each
    RUN/projector/embed_00120-5f0c21aa.bytes  a matrix: float32, little-endian, row by row
    RUN/projector/zeros-77ab03d1.tsv          a matrix whose bytes the plugin would take for text
    RUN/projector/metadata-9e107d9d….tsv      labels, shared by all embeddings with these labels
    RUN/projector/sprite-e4d909c2….png        pictures, shared in the same way
    RUN/projector/update-7/events.out.…       makes a running TensorBoard read all this again

Every file is written whole, in this order: matrices, metadata and sprites; then the configuration
that names them; then the update. We never change or remove a file that a configuration has named:
when one is missing, the plugin fails.

**Updates.** A running TensorBoard does not look by itself: see `updates`.

**Names.** The plugin knows no steps: step 120 of `embed` is shown as `embed:00120`. When that step
is logged again, as after a restart from a checkpoint, it is shown as `embed:00120 (2)`, in the
place of the first. Under the first name TensorBoard would go on to show the first matrix, because
it caches matrices by name.

**Files that go away.** While a job runs, people clear `runs/`, or copy a run over it. The
directories are then made again, and the next embedding is listed in a new configuration. A file
that a configuration names and that is gone is taken off the list, because the plugin would show
nothing of any run. One warning says what happened.

**Interrupts.** A signal handler may write while its own thread is inside a write. So a name is
never used twice, and a listing that was written over a newer one is noticed and written again.

**Killed processes** leave temporary files and empty directories. The next writer removes them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
import weakref
from hashlib import blake2b
from typing import TYPE_CHECKING

from eventwriter._file.run_directory import event_file_name, holds_events, version_record
from eventwriter._file.whole_file import (
    is_temporary,
    make_directory,
    sync_path,
    whole_file,
)
from eventwriter._images.png import encode_png
from eventwriter._proto.projector_pb2 import EmbeddingInfo
from eventwriter._warn import warn_from_thread
from eventwriter.errors import WriteError
from eventwriter.projector import updates
from eventwriter.projector.config import CONFIG_NAME, Listing, read_listing
from eventwriter.projector.formats import encode_matrix
from eventwriter.projector.locks import ConfigLock, lock_file, remove_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from eventwriter.projector.embedding import Embedding

ASSETS_NAME = "projector"
"""The directory of all files but the configuration, within the run's directory."""

_ATTEMPTS = 3
"""How often a write is tried if somebody removes its directory meanwhile."""

_RACY_NS = 2_000_000_000
"""A directory that changed less long ago may change again without another time of change."""

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
        self._tidy_after: float | None = 0.0
        # Embeddings whose files are written, and which are not listed yet.
        self._written: weakref.WeakKeyDictionary[Embedding, EmbeddingInfo]
        self._written = weakref.WeakKeyDictionary()
        # The configuration as it was last seen, and the identity that its file had then.
        self._listing, self._seen = Listing(), _identity(None)
        self._updates = updates.Updates(self._assets)
        # The directory and the configuration, when no listed file was missing.
        self._complete: tuple[tuple[int, ...], ...] | None = None

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
        for _ in range(_ATTEMPTS - 1):
            # The user may remove the directory meanwhile.
            with contextlib.suppress(FileNotFoundError):
                self._write(name, embedding)
                return
        self._write(name, embedding)

    def _write(self, name: str, embedding: Embedding) -> None:
        make_directory(self._assets)
        self._tidy()
        self._read()  # Before the matrix: it is not written if this raises.
        if not holds_events(self._run_dir):
            # The user removed the event file, and TensorBoard would not find the run.
            path = self._run_dir / event_file_name(int(time.time()))
            self._write_file(path, (version_record(),))
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

    def mend(self) -> None:
        """Take files off the list that somebody has removed.

        Raises:
            OSError: The disk refused. The next call tries again.

        Warns:
            EventWriterWarning: Files were removed.
        """
        with contextlib.suppress(FileNotFoundError):  # The whole run is being removed.
            if self._find_gone() and self._change(self._without_gone):
                warn_from_thread(
                    f"{self._assets}: expected the files of all embeddings, but some were removed. "
                    f"{CONFIG_NAME} names them no longer, because the projector would fail. "
                    "Stop the writer before you change its directory."
                )

    def announce(self) -> None:
        """Have a running TensorBoard read the configuration again, if it has changed since.

        Raises:
            OSError: The disk refused. The next call tries again.
        """
        for attempt in range(_ATTEMPTS):
            if not self._update_due:
                return
            if not self._config.exists():  # The user removed it. There is nothing to tell of.
                self._update_due = False
                return
            with contextlib.suppress(FileNotFoundError):  # The user removes a directory meanwhile.
                if attempt:
                    make_directory(self._assets)
                with self._lock.held(self.patience_secs):
                    moved = self._updates.move(self._write_file)
                if moved is not None:
                    self._unsynced.update((moved, moved.parent, self._assets))
                    self._update_due = False

    def sync(self) -> None:
        """Wait until the disk holds all that was ever written here (fsync).

        Raises:
            OSError: The disk refused. The next call tries again.
        """
        for path in list(self._unsynced):
            # An update moves its file. Another process may move it, too, and the user remove it.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
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
            lost = known.unknown_to(listing)
            if self._listing is known:  # If not, a signal handler wrote a newer one meanwhile.
                self._listing, self._seen = listing.remembering(lost) if lost else listing, seen
                if lost:
                    self._tell_of_lost(len(lost), is_there=bool(seen))
        return self._listing

    def _tell_of_lost(self, count: int, *, is_there: bool) -> None:
        fault = "another file is in its place" if is_there else "it was removed"
        warn_from_thread(
            f"{self._config}: expected the list of embeddings, but {fault}. Embeddings that are no "
            f"longer listed: {count}. Later ones are written and listed. Stop the writer before "
            "you change its directory."
        )

    def _find_gone(self) -> set[str]:
        """Return the listed files of ours that are not there. Where nothing changed, this is quick.

        What cannot be looked at or read is left as it is: nothing of the user's waits for it.
        """
        gone: set[str] = set()
        with contextlib.suppress(OSError):
            seen = _identity(self._assets), _identity(self._config)
            if seen != self._complete and seen[1]:
                gone = self._gone(self._listing if seen[1] == self._seen else self._read())
                is_settled = not seen[0] or time.time_ns() - seen[0][-1] > _RACY_NS
                self._complete = seen if is_settled and not gone else None
        return gone

    def _gone(self, listing: Listing) -> set[str]:
        there: list[str] = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            there = [entry.name for entry in os.scandir(self._assets)]
        unseen = listing.paths_beyond(f"{ASSETS_NAME}/{name}" for name in there)
        ours = (path for path in unseen if path.startswith(f"{ASSETS_NAME}/"))
        return {path for path in ours if not (self._run_dir / path).exists()}

    def _without_gone(self, listing: Listing) -> Listing:
        return listing.without(self._gone(listing))

    def _change(self, change: Callable[[Listing], Listing]) -> bool:
        """Change the configuration. Return whether it was not so already."""
        with self._lock.held(self.patience_secs):
            before = self._read()
            while True:
                after = change(before)
                if after is before:
                    return False
                self._write_file(self._config, (after.text().encode(),))
                self._update_due = True
                seen = _identity(self._config)
                if self._listing is before:
                    self._listing, self._seen = after, seen
                    return True
                # A signal handler wrote another listing meanwhile. Ours has just replaced it.
                before = self._listing

    def _tidy(self) -> None:
        """Remove the temporary files of killed processes: at the beginning, and a little later.

        What a process wrote that was killed just before the beginning is too young to tell.
        """
        now = time.time()
        if self._tidy_after is None or now < self._tidy_after:
            return
        settled = now - updates.SETTLE_SECS
        orphans = [path for path in self._assets.rglob(".*.tmp*") if _TEMPORARY.match(path.name)]
        orphans += [path for path in self._run_dir.iterdir() if is_temporary(path, self._config)]
        remove_orphans(orphans, settled)
        self._tidy_after = None if self._tidy_after else now + updates.SETTLE_SECS

    def _write_file(self, path: Path, pieces: Iterable[bytes | memoryview]) -> None:
        with whole_file(path) as file:
            lock_file(file.fileno())
            file.writelines(pieces)
        self._unsynced.update((path, path.parent))


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
