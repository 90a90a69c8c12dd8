"""Torch, a training that is interrupted: the second start goes on where the first one ended.

A number after LOG_DIR interrupts the training when that many epochs are over.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from eventwriter.callbacks import BackupAndRestore, Loop, TensorBoard
from tests.trainings.data import moons

EPOCHS = 5


def main(log_dir: Path, interrupt_after: int = EPOCHS) -> None:
    """Train up to the fifth epoch. If there is a backup, begin where it ended."""
    torch.manual_seed(0)
    x_train, y_train, x_val, y_val = map(torch.from_numpy, moons())
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    loss_of = nn.CrossEntropyLoss()

    callbacks = [
        TensorBoard(log_dir, histogram_freq=1, update_freq="batch"),
        BackupAndRestore(log_dir / "backup", extra={"scheduler": scheduler}),
    ]
    validation = (x_val, y_val)
    with Loop(model, callbacks, EPOCHS, optimizer=optimizer, validation_data=validation) as loop:
        for epoch in loop:
            if epoch == interrupt_after:
                sys.exit(f"interrupted in epoch {epoch}")
            for rows in loop.batches(torch.randperm(len(x_train)).split(32)):
                loss = loss_of(model(x_train[rows]), y_train[rows].long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss, size=len(rows))
            scheduler.step()
            with torch.no_grad():
                loop.log(val_loss=loss_of(model(x_val), y_val.long()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
