"""Files that are written whole: what a reader finds at every moment, and the mode they get."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventwriter._file.whole_file import sync_path, whole_file, whole_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def set_umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0)
    yield os.umask
    os.umask(before)


def write_file(path: Path, content: bytes) -> None:
    with whole_file(path) as file:
        file.write(content)


def write_path(path: Path, content: bytes) -> None:
    with whole_path(path) as temporary:
        temporary.write_bytes(content)


both = pytest.mark.parametrize("write", [write_file, write_path])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@both
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_mode_of_a_new_file(
    tmp_path: Path,
    set_umask: Callable[[int], int],
    write: Callable[[Path, bytes], None],
    umask: int,
    expected: int,
) -> None:
    """A new file has the mode of the umask, as `open` gives it.

    Catches: a file that others of the group cannot read, whatever the umask says.
    """
    set_umask(umask)
    write(tmp_path / "a.bin", b"new")

    assert expected == mode(tmp_path / "a.bin")


@both
@pytest.mark.parametrize("kept", [0o600, 0o664])
def test_a_replaced_file_keeps_its_mode(
    tmp_path: Path, set_umask: Callable[[int], int], write: Callable[[Path, bytes], None], kept: int
) -> None:
    """A file that its user made private, or shared, stays so when it is written again."""
    set_umask(0o022)
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(kept)
    write(path, b"new")

    assert (b"new", kept) == (path.read_bytes(), mode(path))


@both
def test_a_symbolic_link_is_followed(tmp_path: Path, write: Callable[[Path, bytes], None]) -> None:
    """The link stays a link, and the file behind it is replaced."""
    (tmp_path / "disk").mkdir()
    link = tmp_path / "latest.bin"
    link.symlink_to(tmp_path / "disk" / "a.bin")
    write(link, b"new")

    assert link.is_symlink()
    assert b"new" == (tmp_path / "disk" / "a.bin").read_bytes()
    assert [link, tmp_path / "disk"] == sorted(tmp_path.iterdir(), reverse=True)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("exists", [True, False])
def test_an_exception_leaves_the_old_file(
    tmp_path: Path, error: type[BaseException], exists: bool
) -> None:
    """Whatever the block raises comes through; the old file stays, and nothing else is left."""
    path = tmp_path / "a"
    if exists:
        path.write_bytes(b"before")
    with pytest.raises(error, match="own"), whole_file(path) as file:  # noqa: PT012
        file.write(b"half")
        raise error("own")
    with pytest.raises(error, match="own"), whole_path(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise error("own")
    with pytest.raises(error, match="own"), whole_path(path):
        raise error("own")  # before the library has made the file

    assert [path] * exists == list(tmp_path.iterdir())
    assert not exists or b"before" == path.read_bytes()


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """Until the block ends, the path holds the old content, or no file is there."""
    old, new = tmp_path / "old.bin", tmp_path / "new.bin"
    old.write_bytes(b"before")
    with whole_file(old) as old_file, whole_file(new) as new_file:
        for file in (old_file, new_file):
            file.write(b"after")
            file.flush()

        assert b"before" == old.read_bytes()
        assert not new.exists()
        assert [old] == list(tmp_path.glob("[!.]*"))
    assert b"after" == old.read_bytes() == new.read_bytes()
    assert [new, old] == sorted(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("model.weights.h5", ".weights.h5"),
        ("model.ubj", ".ubj"),
        ("model", ".tmp"),
        ("events.out.tfevents.0000000001.host.0000001.000000", ".0000001.000000"),
        ("a.tfevents", ""),
    ],
)
def test_the_temporary_file_is_hidden_and_ends_alike(
    tmp_path: Path, name: str, ending: str
) -> None:
    """Libraries see the format by the ending; TensorBoard never sees a run."""
    with whole_path(tmp_path / name) as temporary:
        temporary.touch()

        assert tmp_path == temporary.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(ending)
        assert "tfevents" not in temporary.name


def test_errors_name_the_path(tmp_path: Path) -> None:
    """An error of the system names what the caller wrote to, not the temporary file."""
    missing, directory = tmp_path / "missing" / "a", tmp_path / "directory"
    directory.mkdir()
    for path, number in ((missing, errno.ENOENT), (directory, errno.EISDIR)):
        for write in (write_file, write_path):
            with pytest.raises(OSError, match=r"\[Errno") as caught:
                write(path, b"new")

            assert number == caught.value.errno
            assert str(path) == caught.value.filename
            assert ".tmp" not in str(caught.value)
    with pytest.raises(FileNotFoundError), whole_path(tmp_path / "a"):
        pass  # a library that wrote nothing

    assert [directory] == list(tmp_path.iterdir())


@pytest.mark.parametrize("sync", [False, True])
def test_sync_reaches_the_file_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sync: bool
) -> None:
    """With `sync` the content is on the disk before the name is, and the name before the return.

    Catches: a name that a power cut leaves with an empty file.
    """
    path = tmp_path / "a"
    synced = []

    def fsync(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((target if target.is_dir() else target.read_bytes(), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    for whole in (whole_file, whole_path):
        with whole(path, sync=sync) as file:
            if isinstance(file, Path):
                file.write_bytes(b"new")
            else:
                file.write(b"new")

        assert ([(b"new", False), (tmp_path, True)] if sync else []) == synced
        synced.clear()
        path.unlink()


def test_sync_of_what_is_there(tmp_path: Path) -> None:
    """A file and a directory are synced; one that is not there is the system's error."""
    (tmp_path / "a").touch()
    sync_path(tmp_path / "a")
    sync_path(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_path(tmp_path / "missing")
