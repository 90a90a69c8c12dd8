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
"""

from __future__ import annotations

import contextlib
import re
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

from google.protobuf import text_format

from eventwriter._file.run_directory import EVENT_PREFIX, event_file_name, version_record
from eventwriter._file.whole_file import sync_path, whole_file
from eventwriter._images.png import encode_png
from eventwriter._proto.projector_pb2 import EmbeddingInfo
from eventwriter.errors import WriteError
from eventwriter.projector.config import CONFIG_NAME, locked, read_config
from eventwriter.projector.formats import encode_matrix, revised_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from eventwriter.projector.embedding import Embedding

ASSETS_NAME = "projector"
"""The directory of all files but the configuration, within the run's directory."""

_SETTLE_SECS = 2.0
"""How long an emptied directory stays. TensorBoard discovers a directory in far less time."""


class EmbeddingFiles:
    """The files of one run's embeddings. One caller at a time.

    Args:
        run_dir: The run's directory. It is made by the first embedding.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._assets = run_dir / ASSETS_NAME
        self._update_due = False
        self._unsynced: set[Path] = set()

    def write(self, embeddings: Mapping[str, Embedding]) -> None:
        """Write embeddings, and list them in the configuration.

        To write the same objects again, after an error or an interrupt, does no harm.

        Args:
            embeddings: By name, from `display_name`.

        Raises:
            OSError: The disk refused, or another process keeps the configuration locked.
            WriteError: The configuration cannot be read. It is left as it is.
        """
        self._assets.mkdir(parents=True, exist_ok=True)
        infos = [self._write_assets(name, each) for name, each in embeddings.items()]
        with locked(self._run_dir):
            self._extend_config(infos)
        self._update_due = True

    def announce(self) -> None:
        """Have a running TensorBoard read the configuration again, if it has changed since.

        Raises:
            OSError: The disk refused. The next call tries again.
        """
        if self._update_due:
            with locked(self._run_dir):
                self._move_update()
            self._update_due = False

    def sync(self) -> None:
        """Wait until the disk holds all that was ever written here (fsync).

        Raises:
            OSError: The disk refused. The next call tries again.
        """
        for path in list(self._unsynced):
            sync_path(path)
            self._unsynced.remove(path)

    def _write_assets(self, name: str, embedding: Embedding) -> EmbeddingInfo:
        info = EmbeddingInfo(tensor_name=name, tensor_shape=embedding.matrix.shape)
        # A file with "tfevents" in its name would make a run of its directory.
        slug = re.sub(r"[^A-Za-z0-9]+|(?<=tf)(?=events)", "_", name)[:80]
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
        try:
            config = read_config(path)
        except ValueError as error:
            message = f"{error}. The file was left as it is. Repair it, or move it away."
            raise WriteError(message, path=path) from error
        written = {info.tensor_path for info in config.embeddings}
        for info in infos:
            if info.tensor_path in written:
                continue  # An interrupted call had written this one.
            shown = [other.tensor_name for other in config.embeddings]
            info.tensor_name, replaced = revised_name(info.tensor_name, shown)
            if replaced is not None:
                del config.embeddings[shown.index(replaced)]
            config.embeddings.append(info)
        self._write_file(path, (text_format.MessageToString(config).encode(),))

    def _move_update(self) -> None:
        """Move the empty event file to a new directory, which changes the set of runs."""
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
            self._write_file(target / event_file_name(int(time.time())), (version_record(),))
        settled = time.time() - _SETTLE_SECS
        for path in numbered.values():
            with contextlib.suppress(OSError):  # not empty, or another writer was faster
                if path.stat().st_mtime < settled:
                    path.rmdir()

    def _write_file(self, path: Path, pieces: Iterable[bytes | memoryview]) -> None:
        with whole_file(path) as file:
            file.writelines(pieces)
        self._unsynced.update((path, path.parent))
