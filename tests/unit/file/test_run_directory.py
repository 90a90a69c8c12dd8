"""Names of runs and of event files: TensorBoard can show them, and they lie where users expect."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from eventwriter import EventFileWriter, SummaryWriter
from eventwriter._file.run_directory import new_directory
from eventwriter.errors import ArgumentTypeError, ArgumentValueError
from tests.helpers.scanner import event_file


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a directory of the test's own, two below its temporary one."""
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize(
    "comment", ["/../../x", "/..", "../x", "\\..\\x", "_\udcff", "a\0b", "_tfevents", "/tfevents/x"]
)
def test_comment_that_is_no_part_of_a_name(here: Path, comment: str) -> None:
    """The comment is refused with its value, before anything is made.

    Catches: a directory outside of `runs`; one that makes other runs vanish.
    """
    with pytest.raises(ArgumentValueError, match=f"comment: .*{re.escape(repr(comment))}"):
        SummaryWriter(comment=comment)

    assert [] == list(here.iterdir())
    assert [here] == list(here.parent.iterdir())


def test_comment_of_another_type() -> None:
    """A comment that is no str is named."""
    with pytest.raises(ArgumentTypeError, match="comment: expected a str, got int"):
        SummaryWriter(comment=3)


def test_comment_with_a_slash(here: Path) -> None:
    """A comment may go deeper: some users name a group of runs this way."""
    with SummaryWriter(comment="/lr/0.1") as writer:
        log_dir = Path(writer.log_dir)

    assert ("runs", "lr", "0.1") == (log_dir.parts[0], *log_dir.parts[2:])
    assert event_file(here / log_dir)


@pytest.mark.parametrize("host", ["../../x", "a/b", "..\\x", "host\udcff", "tfevents", "a\0b"])
def test_host_name_that_is_no_part_of_a_name(
    here: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Whatever the machine is called, the run lies directly in `runs` and TensorBoard shows it.

    Catches: a host name that is taken as it is.
    """
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    with SummaryWriter() as writer:
        log_dir = Path(writer.log_dir)

    assert Path("runs") == log_dir.parent
    assert [here / log_dir] == list((here / "runs").iterdir())
    assert "tfevents" not in log_dir.name
    assert str(log_dir).encode().decode() == str(log_dir)
    assert event_file(here / log_dir).name.startswith("events.out.tfevents.")


def test_home_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leading `~` is the home directory, and `log_dir` says where that is.

    Catches: a `log_dir` that `tensorboard --logdir` would not find.
    """
    monkeypatch.setenv("HOME", str(here / "home"))
    with SummaryWriter("~/x") as writer, EventFileWriter("~/y") as other:
        pass

    assert str(here / "home" / "x") == writer.log_dir == writer.get_logdir()
    assert event_file(writer.log_dir)
    assert here / "home" / "y" == other.path.parent


def test_directory_that_begins_with_a_tilde(here: Path) -> None:
    """A directory that has such a name is reached as the error says.

    Catches: a remedy that leads to the same error.
    """
    with pytest.raises(ArgumentValueError, match=r"'~nosuchuser'.*Pass .* './~\.\.\.'"):
        SummaryWriter("~nosuchuser")
    with SummaryWriter("./~nosuchuser") as writer:
        pass

    assert event_file(here / "~nosuchuser")
    assert "./~nosuchuser" == writer.log_dir


@pytest.mark.parametrize("below", ["my.tfevents/x", "my.tfevents/x/y", "a/tfevents.d/x"])
@pytest.mark.parametrize("make", [SummaryWriter, EventFileWriter])
def test_tfevents_below_a_run(here: Path, make: type[SummaryWriter], below: str) -> None:
    """A directory of this name within a run is refused: the run's reader would open it as a file.

    Catches: a check of the last part alone; one that forbids a log directory of this name.
    """
    made = Path(below).parent if below.startswith("a") else Path(below.split("/", maxsplit=1)[0])
    with make(made.parent):
        pass
    with pytest.raises(ArgumentValueError, match=f"log_dir: .*'{made.name}' as an event file"):
        make(below)
    with make(Path("elsewhere", below)):
        pass

    assert event_file(here / "elsewhere" / below)


def test_new_directory(here: Path) -> None:
    """A name that is taken gets a number; a block that raises leaves nothing of what was made.

    Catches: a file of that name that ends the search; an emptied directory of the user's.
    """
    Path("taken").touch()
    Path("taken-2").mkdir()
    (here / "mine").mkdir()
    with new_directory(Path("taken")) as third:
        pass
    with pytest.raises(KeyError), new_directory(Path("mine/new/run")):
        raise KeyError

    assert (Path("taken-3"), True) == (third, third.is_dir())
    assert [] == list(Path("mine").iterdir())


def test_new_directory_that_is_used(here: Path) -> None:
    """A block that raises leaves what it has written.

    Catches: a removal that takes the user's files along.
    """
    kept = Path("kept/run/a file")
    with pytest.raises(KeyError), new_directory(kept.parent):
        raise KeyError(kept.touch())

    assert kept.exists()


def test_directory_with_many_files(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are read as names: a directory of thousands of old files makes no object of each.

    Catches: `Path.iterdir`, which takes ten times as long.
    """
    Path("events.out.tfevents.9999999999.host.0000001.000000").touch()
    monkeypatch.setattr(Path, "iterdir", None)
    with EventFileWriter(".") as writer:
        pass

    assert "10000000000" == writer.path.name.split(".")[3]
