"""A restart: a new file that sorts last, and nothing left behind where none can be made."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest

from eventwriter import EventFileWriter, SummaryWriter
from eventwriter._file import run_directory
from tests.helpers.scanner import event_file, points


def test_names_sort_in_the_order_of_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later file sorts after all before it, whatever the clock does in between.

    Catches: names that take the clock's word; counters or process ids that are not padded.
    """
    paths = []
    for now in (1.7e9, 1.7e9, 1.6e9, 1.0, 1.7e9 + 1, 1.8e9, 999.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with SummaryWriter(tmp_path) as writer:
            writer.add_scalar("a", 0.5, len(paths))
        paths += set(tmp_path.iterdir()) - set(paths)

    assert 7 == len(paths)
    assert paths == sorted(paths)
    assert list(range(7)) == [step for path in paths for _, step in points(path)]


@pytest.mark.filterwarnings("ignore:.*expected one live writer")
def test_writers_of_one_moment_share_nothing(tmp_path: Path) -> None:
    """Many writers that open in one directory at once each have a file, and none loses a record.

    Catches: a file that is opened although it exists.
    """
    barrier = threading.Barrier(8)

    def log(thread: int) -> None:
        barrier.wait()
        for step in range(5):
            with SummaryWriter(tmp_path) as writer:
                writer.add_scalar(f"{thread}", 0.5, step)

    threads = [threading.Thread(target=log, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = list(tmp_path.iterdir())
    found = [point for path in files for point in points(path)]

    assert 40 == len(files)
    assert sorted((f"{thread}", step) for thread in range(8) for step in range(5)) == sorted(found)


def test_older_files_are_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is taken already stays its owner's.

    Catches: a file that is truncated by the next writer of the same second, process and counter.
    """
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("a", 0.5, 0)
    first = event_file(tmp_path)
    before = first.read_bytes()
    stem, counter = first.name.rsplit(".", 1)
    taken = [first.with_name(f"{stem}.{int(counter) + n:06d}") for n in range(1, 4)]
    for path in taken:
        path.write_bytes(before)
    # The directory seems empty and the clock stands still, as for two processes at once.
    seconds = int(stem.split(".")[3])
    monkeypatch.setattr(run_directory, "_names", lambda _: iter(()))
    monkeypatch.setattr(time, "time", lambda: float(seconds))
    writer = EventFileWriter(tmp_path)
    writer.close()

    assert first.with_name(f"{stem}.{int(counter) + 4:06d}") == writer.path
    assert [before] * 4 == [path.read_bytes() for path in (first, *taken)]


@pytest.mark.parametrize("make", [SummaryWriter, EventFileWriter])
@pytest.mark.parametrize(
    ("below", "code"),
    [("a file/run", errno.ENOTDIR), ("a file", errno.EEXIST), ("x" * 300, errno.ENAMETOOLONG)],
)
def test_directory_that_cannot_be_made(
    tmp_path: Path, make: type[SummaryWriter], below: str, code: int
) -> None:
    """A path that cannot be written is the system's reason and the path, at construction.

    Catches: an error that comes with the first record or at exit; one without a path.
    """
    (tmp_path / "a file").write_text("mine")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its code is checked
        make(tmp_path / below)

    assert code == caught.value.errno
    assert str(tmp_path / below) == str(caught.value.filename)
    assert [tmp_path / "a file"] == list(tmp_path.iterdir())
    assert "mine" == (tmp_path / "a file").read_text()


@pytest.mark.parametrize("make", [SummaryWriter, EventFileWriter])
def test_file_system_that_refuses(make: type[SummaryWriter]) -> None:
    """The same on a file system that takes no directory (/proc) and no file (/proc/self/task).

    Catches: a writer that is half made when its file cannot be.
    """
    for refused in ("/proc/eventwriter", "/proc/self/task"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its code is checked
            make(refused)

        assert caught.value.errno
        assert str(caught.value.filename).startswith(refused)


@pytest.mark.parametrize("make", [SummaryWriter, EventFileWriter])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"log_dir": 3}, "log_dir: expected a path, got int"),
        ({"log_dir": b"runs"}, "log_dir: expected a path.*got bytes"),
        ({"log_dir": "gs://bucket/run"}, "log_dir: .*'gs://bucket/run'"),
        ({"log_dir": "runs/my.tfevents"}, "log_dir: .*tfevents"),
        ({"log_dir": "runs/caf\udce9"}, r"log_dir: .*'runs/caf\\udce9'"),
        ({"log_dir": Path("runs/\ud800")}, r"log_dir: .*\\ud800"),
        ({"log_dir": "a\0b"}, "log_dir: "),
        ({"log_dir": "~nosuchuser/run"}, "log_dir: .*'~nosuchuser/run'"),
        ({"max_queue": "10"}, "max_queue: expected an integer, got '10' of type str"),
        ({"max_queue": -1}, "max_queue: expected 0 or more, got -1"),
        ({"flush_secs": None}, "flush_secs: expected a .*number, got NoneType"),
        ({"flush_secs": float("nan")}, "flush_secs: expected 0 seconds or more, got nan"),
        ({"flush_secs": -1}, "flush_secs: expected 0 seconds or more, got -1"),
        ({"filename_suffix": 1}, "filename_suffix: expected a str, got int"),
        ({"filename_suffix": "a/b"}, "filename_suffix: .*'a/b'"),
        ({"filename_suffix": "a\0b"}, "filename_suffix: "),
        ({"filename_suffix": "_\udcff"}, r"filename_suffix: .*'_\\udcff'"),
        ({"filename_suffix": ".profile-empty"}, "filename_suffix: .*profile-empty"),
        ({"max_pending_bytes": 0}, "max_pending_bytes: expected 1 or more, got 0"),
        (
            {"max_pending_bytes": True},
            "max_pending_bytes: expected an integer, got True of type bool",
        ),
    ],
)
def test_bad_options(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: type[SummaryWriter],
    options: dict[str, object],
    error: str,
) -> None:
    """A bad option is named at construction, with what came; nothing is made.

    Catches: a directory or an empty file that a refused writer leaves behind.
    """
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=error):
        make(**{"log_dir": "run", **options})

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("purge_step", ["1", 1.5, float("nan"), 2**63, object(), [1, 2]])
def test_bad_purge_step(tmp_path: Path, purge_step: object) -> None:
    """The same for `purge_step`.

    Catches: a check that comes after the file was made.
    """
    with pytest.raises((TypeError, ValueError), match="purge_step: expected"):
        SummaryWriter(tmp_path / "run", purge_step=purge_step)

    assert [] == list(tmp_path.iterdir())
