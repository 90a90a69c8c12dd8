"""Torch, with callbacks and a writer of one's own: its records stand beside the callbacks'."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from eventwriter import SummaryWriter
from eventwriter.callbacks import EarlyStopping, Loop, ModelCheckpoint, TensorBoard
from tests.trainings.data import moons


def main(log_dir: Path) -> None:
    """Train for six epochs."""
    torch.manual_seed(0)
    x_train, y_train, x_val, y_val = map(torch.from_numpy, moons())
    batches = DataLoader(TensorDataset(x_train, y_train.long()), 32, shuffle=True)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss_of = nn.CrossEntropyLoss()

    callbacks = [
        TensorBoard(log_dir, histogram_freq=1),
        EarlyStopping("val_loss", patience=3),
        ModelCheckpoint(log_dir / "best", "val_loss", save_best_only=True),
    ]
    with (
        SummaryWriter(log_dir / "mine") as writer,
        Loop(
            model, callbacks, epochs=6, optimizer=optimizer, validation_data=(x_val, y_val)
        ) as loop,
    ):
        writer.add_graph(model, x_val)
        for epoch in loop:
            for x, y in loop.batches(batches):
                loss = loss_of(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss, size=len(x))
                writer.add_scalar("train/loss", loss, loop.step)
            with torch.no_grad():
                scores = model(x_val)
            accuracy = (scores.argmax(1) == y_val).float().mean()
            loop.log(val_loss=loss_of(scores, y_val.long()), val_acc=accuracy)
            writer.add_histogram("scores", scores, epoch)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
