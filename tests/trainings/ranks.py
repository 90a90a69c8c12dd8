"""Two ranks of torch's DistributedDataParallel: each process writes to runs of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from eventwriter.callbacks import Loop, ModelCheckpoint, TensorBoard
from tests.trainings.data import moons

RANKS = 2


def train(rank: int, log_dir: Path) -> None:
    """Train on this rank's half of the points for four epochs."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{log_dir.absolute()}/meeting", rank=rank, world_size=RANKS
    )
    torch.manual_seed(0)
    x_train, y_train, x_val, y_val = map(torch.from_numpy, moons())
    x, y = x_train[rank::RANKS], y_train[rank::RANKS].long()
    model = DistributedDataParallel(nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    loss_of = nn.CrossEntropyLoss()

    callbacks = [TensorBoard(log_dir / f"rank-{rank}", histogram_freq=1)]
    if rank == 0:
        callbacks.append(ModelCheckpoint(log_dir / "model"))
    validation = (x_val, y_val)
    with Loop(model, callbacks, epochs=4, optimizer=optimizer, validation_data=validation) as loop:
        for _ in loop:
            for rows in loop.batches(torch.randperm(len(x)).split(32)):
                loss = loss_of(model(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss, size=len(rows))
            with torch.no_grad():
                loop.log(val_loss=loss_of(model(x_val), y_val.long()))
    distributed.destroy_process_group()


def main(log_dir: Path) -> None:
    """Train in two processes."""
    log_dir.mkdir(parents=True, exist_ok=True)
    multiprocessing.start_processes(train, (log_dir,), RANKS, start_method="fork")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
