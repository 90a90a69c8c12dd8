"""Torch in bfloat16: four batches make a step, and a scheduler of torch sets the learning rate."""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from eventwriter.callbacks import Loop, TensorBoard
from tests.trainings.data import moons

ACCUMULATE = 4


def main(log_dir: str) -> None:
    """Train for six epochs of 12 steps each. The learning rate is halved after two epochs."""
    torch.manual_seed(0)
    x_train, y_train, x_val, y_val = map(torch.from_numpy, moons())
    batches = DataLoader(TensorDataset(x_train, y_train.long()), 8, shuffle=True)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2)).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    loss_of = nn.CrossEntropyLoss()
    validation = (x_val.bfloat16(), y_val.long())

    log = TensorBoard(log_dir, histogram_freq=1, update_freq="batch")
    with Loop(model, [log], epochs=6, optimizer=optimizer, validation_data=validation) as loop:
        for _ in loop:
            for x, y in loop.batches(batches, accumulate=ACCUMULATE):
                loss = loss_of(model(x.bfloat16()), y)
                (loss / ACCUMULATE).backward()
                if loop.should_step:
                    optimizer.step()
                    optimizer.zero_grad()
                loop.log(loss=loss, size=len(x))
            with torch.no_grad():
                loop.log(val_loss=loss_of(model(validation[0]), validation[1]))
            scheduler.step()


if __name__ == "__main__":
    main(sys.argv[1])
