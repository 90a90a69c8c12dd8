"""`projector_config.pbtxt`: the list of a run's embeddings that TensorBoard's Projector reads.

It is a `ProjectorConfig` in protobuf's text format. Source: TensorBoard's
plugins/projector/projector_config.proto.

    embeddings { tensor_name: "embed:00120" tensor_path: "projector/embed_00120-5f0c21aa.bytes" }
    # purged: embed:00130

The comment is ours. It keeps a name that was taken from the list, so that the name is not given
again: see "Names" in `files`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf import text_format

from eventwriter._proto.projector_pb2 import EmbeddingInfo, ProjectorConfig
from eventwriter.projector.formats import base_and_revision, step_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path

CONFIG_NAME = "projector_config.pbtxt"
"""TensorBoard fixes this name, and that the file lies in the run's directory."""

# Protobuf writes an embedding like this. Text within it never begins a line.
_ENTRY = re.compile(r"^embeddings \{\n(?: .*\n)*\}\n", re.MULTILINE)
_PURGED = re.compile(r"^# purged: (.+)$", re.MULTILINE)


class _Info(NamedTuple):
    """What a listing knows of one embedding.

    Attributes:
        name: Its name, with its revision.
        paths: The file of the matrix, or ""; then the files of labels and of pictures, if any.
    """

    name: str
    paths: tuple[str, ...]

    @classmethod
    def of(cls, info: EmbeddingInfo) -> _Info:
        more = filter(None, (info.metadata_path, info.sprite.image_path))
        return cls(info.tensor_name, (info.tensor_path, *more))

    @property
    def matrix(self) -> str:
        return self.paths[0]


class Listing:
    """What a configuration lists. A listing never changes: `extended` makes a new one.

    To parse and print a configuration takes time in proportion to its embeddings. So a listing
    keeps the text of each embedding. To add one then costs little more than to write the file.

    Args:
        text: A configuration in protobuf's text format.

    Raises:
        ValueError: The text is no configuration.
    """

    def __init__(self, text: str = "") -> None:
        config = _parse(text)
        canonical = text_format.MessageToString(config)
        self._head = _ENTRY.sub("", canonical)
        self._entries = dict(enumerate(_ENTRY.findall(canonical)))
        self._infos = dict(enumerate(map(_Info.of, config.embeddings)))
        self._paths = {path for info in self._infos.values() for path in info.paths}
        self._purged = frozenset(_PURGED.findall(text))
        # The newest revision of each name, and its key. A name that was purged has no key.
        self._newest: dict[str, tuple[int, int | None]] = {}
        for key, info in self._infos.items():
            self._note(info.name, key)
        for name in self._purged:
            self._note(name, None)

    def __contains__(self, path: str) -> bool:
        """Return whether an embedding names this file."""
        return path in self._paths

    def paths_beyond(self, paths: Iterable[str]) -> set[str]:
        """Return the files that embeddings name, without those that are given."""
        return self._paths.difference(paths)

    def extended(self, info: EmbeddingInfo) -> Listing:
        """Return a listing with one more embedding.

        Where its name was listed before, the embedding gets a new name, and replaces that one.
        """
        new = self._copy()
        revision, key = self._newest.get(info.tensor_name, (0, None))
        named = EmbeddingInfo()
        named.CopyFrom(info)
        if revision:
            named.tensor_name = f"{info.tensor_name} ({revision + 1})"
            new._purged -= {info.tensor_name, f"{info.tensor_name} ({revision})"}
        if key is not None:
            del new._entries[key], new._infos[key]
        at = max(new._entries, default=-1) + 1
        new._entries[at] = _entry(named)
        new._infos[at] = _Info.of(named)
        new._paths.update(new._infos[at].paths)
        new._newest[info.tensor_name] = revision + 1, at
        return new

    def purged(self, step: int, folder: str) -> Listing:
        """Return a listing without the embeddings of a step and later ones.

        Args:
            step: The first step to leave out.
            folder: Only embeddings whose matrix is in this directory are ours to leave out.
        """
        new = self._copy()
        for key, info in self._infos.items():
            found = step_of(info.name)
            if found is not None and found >= step and info.matrix.startswith(f"{folder}/"):
                new._purge(key)
        return self if new._purged == self._purged else new

    def without(self, gone: Container[str]) -> Listing:
        """Return a listing that names none of these files.

        An embedding whose matrix is gone is left out. One whose labels or pictures are gone is
        shown without them.
        """
        new = self._copy()
        for key, info in self._infos.items():
            lost = [path for path in info.paths if path in gone]
            if info.matrix in lost:
                new._purge(key)
            elif lost:
                (entry,) = _parse(self._entries[key]).embeddings
                if entry.metadata_path in gone:
                    entry.ClearField("metadata_path")
                if entry.sprite.image_path in gone:
                    entry.ClearField("sprite")
                new._entries[key] = _entry(entry)
                new._infos[key] = _Info.of(entry)
        new._paths = {path for info in new._infos.values() for path in info.paths}
        return self if new._paths == self._paths else new

    def unknown_to(self, other: Listing) -> set[str]:
        """Return the names that another listing neither lists, nor has replaced or purged."""
        known = other._newest
        named = {info.name: base_and_revision(info.name) for info in self._infos.values()}
        return {
            name
            for name, (base, revision) in named.items()
            if revision > known.get(base, (0, None))[0]
        }

    def remembering(self, names: Iterable[str]) -> Listing:
        """Return a listing that does not give these names again."""
        new = self._copy()
        for name in names:
            new._purged |= {name}
            new._note(name, None)
        return new

    def text(self) -> str:
        """Return the configuration in protobuf's text format."""
        purged = [f"# purged: {name}\n" for name in sorted(self._purged)]
        return "".join([self._head, *self._entries.values(), *purged])

    def _copy(self) -> Listing:
        new = Listing.__new__(Listing)
        new._head, new._purged = self._head, self._purged
        new._entries, new._infos = dict(self._entries), dict(self._infos)
        new._paths, new._newest = set(self._paths), dict(self._newest)
        return new

    def _purge(self, key: int) -> None:
        info = self._infos.pop(key)
        del self._entries[key]
        self._purged |= {info.name}
        base, revision = base_and_revision(info.name)
        if self._newest.get(base) == (revision, key):
            self._newest[base] = revision, None

    def _note(self, name: str, key: int | None) -> None:
        # Names of other tools may end like a revision of ours. They count as themselves, too.
        for base, revision in {base_and_revision(name), (name, 1)}:
            if revision > self._newest.get(base, (0, None))[0]:
                self._newest[base] = revision, key


def read_config(path: Path) -> ProjectorConfig:
    """Return the configuration in a file, or an empty one where no file is.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file holds no configuration.
    """
    return _parse(_read(path))


def read_listing(path: Path) -> Listing:
    """Return what the configuration in a file lists, as `read_config`."""
    return Listing(_read(path))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        raise _unreadable(error) from error


def _parse(text: str) -> ProjectorConfig:
    try:
        return text_format.Parse(text, ProjectorConfig())
    except text_format.ParseError as error:
        raise _unreadable(error) from error


def _entry(info: EmbeddingInfo) -> str:
    return text_format.MessageToString(ProjectorConfig(embeddings=[info]))


def _unreadable(error: Exception) -> ValueError:
    return ValueError(f"expected a projector configuration in protobuf's text format, got: {error}")
