"""Callbacks that write what they see: files, bars, and a server."""

from __future__ import annotations

import contextlib
import csv
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eventwriter.callbacks import (
    ActivationLogger,
    BackupAndRestore,
    CSVLogger,
    LambdaCallback,
    LearningRateScheduler,
    Loop,
    ModelCheckpoint,
    NumpyView,
    ProgressBar,
    RemoteMonitor,
    TensorBoard,
    TerminateOnNaN,
)
from eventwriter.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    EventWriterWarning,
    MissingDependencyError,
)
from tests.helpers import children
from tests.helpers.patience import LONG_SECS
from tests.helpers.trainings import train, train_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_csv(tmp_path: Path) -> None:
    """A line an epoch; what an epoch lacks is NA; what comes later is left out."""
    path = tmp_path / "new" / "log.csv"
    metrics = [{"val_a": 1.5, "a": 2.0}, {"a": 3.0, "late": 1.0}]
    train([CSVLogger(path)], metrics)

    assert b"epoch,a,val_a\r\n0,2.0,1.5\r\n1,3.0,NA\r\n" == path.read_bytes()


def test_csv_of_arrays_and_integers(tmp_path: Path) -> None:
    """An array is a list of all its numbers, and an integer has no point."""
    path = tmp_path / "log.csv"
    adds = LambdaCallback(on_epoch_end=lambda _, logs: logs.update(every=np.arange(2000) / 2))
    train([adds, CSVLogger(path)], [{"seen": 3, "some": np.int64(4), "loss": 2.0}])

    with path.open() as file:
        row = next(csv.DictReader(file))
    assert ("0", "2.0", "3", "4") == (row["epoch"], row["loss"], row["seen"], row["some"])
    assert f'"{[number / 2 for number in range(2000)]}"' == row["every"]


RANK = """
import sys, warnings
from tests.helpers.trainings import train
from eventwriter.callbacks import CSVLogger, LambdaCallback
warnings.simplefilter("ignore")
wait = LambdaCallback(on_train_begin=lambda _: (print("begun", flush=True), sys.stdin.readline()))
train([CSVLogger(sys.argv[1]), wait], [{"rank": 1.0, "val_rank": 0.0}] * 3)
"""


@pytest.mark.parametrize("append", [False, True])
def test_csv_of_two_processes(tmp_path: Path, append: bool) -> None:
    """Each rank has a file of its own, and the second is told which."""
    path = tmp_path / "log.csv"
    command = [sys.executable, "-c", RANK, str(path)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as rank:
        assert rank.stdout is not None
        assert "begun\n" == rank.stdout.readline()
        with pytest.warns(EventWriterWarning, match=r"log\.csv.* go to .*log-2\.csv") as told:
            train([CSVLogger(path, append=append)], [{"rank": 2.0, "val_rank": 0.0}] * 3)
        rank.communicate("\n", timeout=LONG_SECS)

    assert 1 == len(told)
    assert 0 == rank.returncode
    header = ["epoch,rank,val_rank"]
    assert header + [f"{n},1.0,0.0" for n in range(3)] == path.read_text().splitlines()
    second = (tmp_path / "log-2.csv").read_text().splitlines()
    assert header + [f"{n},2.0,0.0" for n in range(3)] == second


def test_csv_after_a_training_that_was_left_open(tmp_path: Path) -> None:
    """The next training of this process has the file."""
    path = tmp_path / "log.csv"
    left = CSVLogger(path)
    Loop(None, [left]).begin()
    train([CSVLogger(path)], [{"a": 1.0}])
    left.close("failed")

    assert ["epoch,a,val_a", "0,1.0,NA"] == path.read_text().splitlines()


def train_and_leave_a_child(path: str) -> None:
    """Train, and fork a child within the training that lives longer than the training."""
    end, of_this = os.pipe()
    pids = []

    def fork(_: Any) -> None:
        pids.append(os.fork())
        if not pids[0]:
            os.close(of_this)
            os.read(end, 1)  # returns when this process closes its end
            os._exit(0)

    train([CSVLogger(path), LambdaCallback(on_train_begin=fork)], [{"a": 1.0}])
    children.run(train_again, path)
    assert (0, 0) == os.waitpid(pids[0], os.WNOHANG)
    os.close(of_this)
    assert (pids[0], 0) == os.waitpid(pids[0], 0)


def train_again(path: str) -> None:
    train([CSVLogger(path)], [{"a": 2.0}])


def test_csv_beside_a_child(tmp_path: Path) -> None:
    """A child that outlives the training, such as a worker that loads data, keeps no lock."""
    children.run(train_and_leave_a_child, str(tmp_path / "log.csv"))

    assert ["log.csv"] == [path.name for path in tmp_path.iterdir()]
    assert "0,2.0,NA" in (tmp_path / "log.csv").read_text()


def test_csv_of_training_alone(tmp_path: Path) -> None:
    """There is room for validation that comes later."""
    path = tmp_path / "log.csv"
    train([CSVLogger(path, separator=";")], [{"a": 1.0}, {"a": 2.0, "val_a": 3.0}])

    assert ["epoch;a;val_a", "0;1.0;NA", "1;2.0;3.0"] == path.read_text().splitlines()


def test_csv_appends(tmp_path: Path) -> None:
    """With `append`, a second training goes on below the first, under one header."""
    path = tmp_path / "log.csv"
    for _ in range(2):
        train([CSVLogger(path, append=True)], [{"val_a": 1.0, "a": 1.0}])

    assert ["epoch,a,val_a", "0,1.0,1.0", "0,1.0,1.0"] == path.read_text().splitlines()


def test_csv_on_a_full_disk(tmp_path: Path) -> None:
    """It is warned of once, stops nothing, and what was refused is written when there is room."""
    path = tmp_path / "log.csv"
    with contextlib.ExitStack() as disk:

        def fill(epoch: int, _: Any) -> None:
            if epoch == 1:
                disk.enter_context(children.full_descriptor(path))
            if epoch == 3:
                disk.close()

        callbacks = [CSVLogger(path), LambdaCallback(on_epoch_begin=fill)]
        with pytest.warns(EventWriterWarning, match="No space left") as caught:
            train(callbacks, [{"a": float(n)} for n in range(4)])

    assert 1 == len(caught)
    assert "epoch,a,val_a\n0,0.0,NA\n1,1.0,NA\n2,2.0,NA\n3,3.0,NA\n" == path.read_text()


def test_csv_of_a_training_that_fails(tmp_path: Path) -> None:
    """Every epoch that ended is there while training goes on."""
    path = tmp_path / "log.csv"
    seen = []

    def fail(epoch: int, logs: Any) -> None:
        seen.append(path.read_text().count("\n"))
        raise OSError("own")

    with pytest.raises(OSError, match="own"):
        train([CSVLogger(path), LambdaCallback(on_epoch_end=fail)], [{"a": 1.0}])
    assert [2] == seen


def test_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """Each epoch is a bar with its number, its batches, and its metrics in the end."""
    with Loop(None, [ProgressBar()], 2) as loop:
        for _ in loop:
            for loss in loop.batches([0.5, 0.25]):
                loop.log(loss=loss)
            loop.log(val_loss=0.125)

    shown = capsys.readouterr().err
    assert "Epoch 1/2" in shown
    assert "Epoch 2/2" in shown
    assert "2/2" in shown
    assert "loss=0.375, val_loss=0.125" in shown


class Terminal(io.StringIO):
    """Takes what is drawn, like a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_bar_on_a_terminal() -> None:
    """There it is drawn at once, and again in its line."""
    terminal = Terminal()
    with Loop(None, [ProgressBar(file=terminal, mininterval=0)]) as loop:
        for _ in loop:
            for loss in loop.batches([0.5, 0.25]):
                loop.log(loss=loss)

    drawn = terminal.getvalue().split("\r")
    assert len(drawn) > 3
    assert "loss=0.375" in drawn[-1]
    assert 1 == terminal.getvalue().count("\n")


def test_progress_bar_without_a_terminal() -> None:
    """Each epoch is a line, also one that fails, however many batches there are."""
    file = io.StringIO()

    def fail(epoch: int, logs: Any) -> None:
        if epoch == 1:
            raise OSError("own")

    callbacks = [LambdaCallback(on_epoch_end=fail), ProgressBar(file=file, mininterval=0)]
    with pytest.raises(OSError, match="own"):
        train_on(callbacks, [0.5] * 100, epochs=2)

    first, second = file.getvalue().splitlines()
    assert first.startswith("Epoch 1/2: 100/100 [")
    assert first.endswith(", loss=0.5]")
    assert second.startswith("Epoch 2/2: 100/100 [")


def test_progress_bar_that_is_switched_off() -> None:
    """Tqdm's own switch holds for the lines too."""
    file = io.StringIO()
    train_on([ProgressBar(file=file, disable=True)], [0.5])
    train_on([ProgressBar(file=file, disable=None)], [0.5])

    assert "" == file.getvalue()


def test_progress_bar_of_rounds() -> None:
    """Where an epoch is one batch, the whole training is one bar, which begins where it begins."""
    file = io.StringIO()
    callbacks = [ProgressBar(file=file)]
    with Loop(None, callbacks, 5, initial_epoch=2, steps=1) as loop:
        for epoch in loop:
            for _ in loop.batches([0]):
                loop.log(loss=epoch)

    (line,) = file.getvalue().splitlines()
    assert line.startswith("Training: 5/5 [")
    assert line.endswith(", loss=4]")


def test_messages_leave_the_bar_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback's message is a line of its own, above the bar, which is drawn again below it."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    rates = LearningRateScheduler(lambda epoch: 0.5, verbose=1)
    bar = ProgressBar(mininterval=0)
    train([bar, rates, TerminateOnNaN()], [{"loss": 1.0}])

    before, after = terminal.getvalue().split("Epoch 1: setting the learning rate to 0.5.\n")
    assert before.endswith("\r")
    assert "" == before.split("\r")[-2].strip()  # what was drawn has been cleared
    assert after.startswith("\rEpoch 1/1:")


def test_progress_bar_fetches_seldom() -> None:
    """A metric is fetched when the bar is drawn again, not at every batch."""
    fetched = []

    class Number(float):
        def __format__(self, form: str) -> str:
            fetched.append(self)
            return super().__format__(form)

    bar = ProgressBar(mininterval=3600, file=Terminal())
    bar.on_epoch_begin(0, {})
    for batch in range(1000):
        bar.on_batch_end(batch, {"loss": Number(1)})
    bar.close("failed")

    assert [] == fetched


def test_progress_bar_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra."""
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)

    with pytest.raises(MissingDependencyError, match=r"eventwriter\[progress\]"):
        ProgressBar()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_terminate_on_nan(loss: float, capsys: pytest.CaptureFixture[str]) -> None:
    """Training ends after the batch whose loss is no number."""
    seen: list[int] = []
    watch = LambdaCallback(on_batch_end=lambda batch, logs: seen.append(batch))
    loop = train_on([watch, TerminateOnNaN()], [1.0, loss, 1.0], epochs=3)

    assert 2 == len(seen)
    assert "stopped" == loop.status
    assert "Batch 1" in capsys.readouterr().out


def test_terminate_on_nan_raises() -> None:
    """With `raise_error`, the callback raises an error."""
    with pytest.raises(RuntimeError, match="Batch 0"):
        train_on([TerminateOnNaN(raise_error=True)], [float("nan")])


def test_lambdas() -> None:
    """Functions are called with their hook's arguments."""
    seen: list[Any] = []
    callback = LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["a"])),
        on_train_end=None,
        close=seen.append,
    )
    train([callback], [{"a": 1.0}, {"a": 2.0}])

    assert [(0, 1.0), (1, 2.0), "finished"] == seen


@pytest.mark.parametrize(
    ("hooks", "match"),
    [({"on_epoch_ends": print}, "on_epoch_end,"), ({"on_epoch_end": 3}, "expected a function")],
)
def test_wrong_lambdas(hooks: Any, match: str) -> None:
    """A hook that does not exist is refused with the names of those that do."""
    with pytest.raises(ArgumentTypeError, match=match):
        LambdaCallback(**hooks)


def test_activations(tmp_path: Path) -> None:
    """Each epoch's file holds every layer's output for one example, without pickle."""
    view = NumpyView({}, activations=lambda x: {"a/b": x * 2, "c": x[:, :1]})
    data = (np.arange(6.0).reshape(3, 2), np.zeros(3))
    train([ActivationLogger(tmp_path / "new")], [{}, {}], view=view, validation_data=data)

    for epoch in range(2):
        path = tmp_path / f"new/activations_at_epoch_{epoch}.npz"
        with np.load(path, allow_pickle=False) as file:
            assert {"a/b": [[0, 2]], "c": [[0]]} == {k: file[k].tolist() for k in file}


def test_activations_without_data() -> None:
    """Without data, an error comes when training begins."""
    view = NumpyView({}, activations=lambda x: {})

    with pytest.raises(ArgumentTypeError, match="validation_data"):
        train([ActivationLogger()], [{}], view=view)


@pytest.fixture
def received() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A server's address, and the requests that it got: path, content type, body."""
    requests: list[tuple[str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requests
        server.shutdown()
        thread.join(LONG_SECS)


def test_remote_monitor(received: tuple[str, list[tuple[str, str, bytes]]]) -> None:
    """Every epoch's metrics arrive as JSON in a field of a form."""
    root, requests = received
    train([RemoteMonitor(root, field="it", timeout_secs=LONG_SECS)], [{"a": 1.5}])

    ((path, kind, body),) = requests
    assert "/publish/epoch/end/" == path
    assert "application/x-www-form-urlencoded" == kind
    ((field, value),) = urllib.parse.parse_qsl(body.decode())
    assert "it" == field
    assert {"epoch": 0, "a": 1.5} == json.loads(value)


def test_remote_monitor_as_json(received: tuple[str, list[tuple[str, str, bytes]]]) -> None:
    """Or as the body itself."""
    root, requests = received
    monitor = RemoteMonitor(root, path="/x", send_as_json=True, timeout_secs=LONG_SECS)
    train([monitor], [{"a": 1.5}])

    assert [("/x", "application/json", b'{"epoch": 0, "a": 1.5}')] == requests


def test_remote_monitor_of_what_json_lacks(
    received: tuple[str, list[tuple[str, str, bytes]]],
) -> None:
    """NaN and infinity are null, at any depth. Arrays are lists, and integers stay integers."""
    root, requests = received
    monitor = RemoteMonitor(root, send_as_json=True, timeout_secs=LONG_SECS)
    strange = {"all": np.array([[1.5, np.nan]]), "in": {1: [np.inf]}, "what": object}
    adds = LambdaCallback(on_epoch_end=lambda _, logs: logs.update(strange))
    train([adds, monitor], [{"loss": np.nan, "seen": 7}])

    def refuse(name: str) -> None:
        raise AssertionError(name)

    ((_, _, body),) = requests
    assert {
        "epoch": 0,
        "loss": None,
        "seen": 7,
        "all": [[1.5, None]],
        "in": {"1": [None]},
        "what": "<class 'object'>",
    } == json.loads(body, parse_constant=refuse)


def test_remote_monitor_without_a_server() -> None:
    """It is warned of once, and training goes on."""
    with pytest.warns(EventWriterWarning, match="Training goes on") as told:
        loop = train([RemoteMonitor("http://127.0.0.1:9")], [{"a": 1.0}] * 3)

    assert 1 == len(told)
    assert "finished" == loop.status


def test_remote_monitor_elsewhere() -> None:
    """Only the web's schemes are taken."""
    with pytest.raises(ArgumentValueError, match="http"):
        RemoteMonitor("file:///tmp")


@pytest.mark.parametrize(
    "callback", [ActivationLogger, BackupAndRestore, CSVLogger, ModelCheckpoint, TensorBoard]
)
@pytest.mark.parametrize("what", [None, 3, b"bytes"])
def test_what_is_no_path(callback: Any, what: Any) -> None:
    """It is refused at once, with the names of the callback and its argument."""
    with pytest.raises(ArgumentTypeError, match=rf"^{callback.__name__}: \w+: expected a path"):
        callback(what)
