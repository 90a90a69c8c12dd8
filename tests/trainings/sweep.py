"""A sweep over learning rates: each is a training of its own, in runs that it names."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from eventwriter.callbacks import Loop, TensorBoard
from tests.trainings.data import moons

RATES = (0.01, 0.1, 1.0)


def train(log_dir: Path, learning_rate: float) -> None:
    """Train for six epochs."""
    torch.manual_seed(0)
    x_train, y_train, x_val, y_val = map(torch.from_numpy, moons())
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    loss_of = nn.CrossEntropyLoss()
    log = TensorBoard(log_dir, histogram_freq=2)
    validation = (x_val, y_val)
    with Loop(model, [log], epochs=6, optimizer=optimizer, validation_data=validation) as loop:
        for _ in loop:
            for rows in loop.batches(torch.randperm(len(x_train)).split(32)):
                loss = loss_of(model(x_train[rows]), y_train[rows].long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss, size=len(rows))
            with torch.no_grad():
                loop.log(val_loss=loss_of(model(x_val), y_val.long()))


def main(log_dir: Path) -> None:
    """Train with each learning rate."""
    for rate in RATES:
        train(log_dir / f"lr-{rate:g}", rate)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
