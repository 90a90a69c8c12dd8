"""A GAN in torch: two models, two optimizers, one loop. It learns to draw one cloud of points."""

from __future__ import annotations

import sys

import torch
from torch import nn

from eventwriter.callbacks import Loop, TensorBoard

EPOCHS = 6


def network(inputs: int, outputs: int) -> nn.Module:
    """Return a network with one hidden layer."""
    return nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(), nn.Linear(32, outputs))


def main(log_dir: str) -> None:
    """Train the generator `g` and the discriminator `d` for six epochs."""
    torch.manual_seed(0)
    real = torch.tensor([2.0, -1.0]) + 0.3 * torch.randn(384, 2)
    g, d = network(4, 2), network(2, 1)
    g_optimizer = torch.optim.Adam(g.parameters(), lr=0.01, betas=(0.5, 0.99))
    d_optimizer = torch.optim.Adam(d.parameters(), lr=0.005, betas=(0.5, 0.99))
    loss_of = nn.BCEWithLogitsLoss()

    noise = torch.randn(128, 4)
    with Loop(
        {"g": g, "d": d},
        [TensorBoard(log_dir, histogram_freq=1)],
        EPOCHS,
        optimizer={"g": g_optimizer, "d": d_optimizer},
        validation_data=[{"g": noise, "d": real[:128]}],
    ) as loop:
        for _ in loop:
            for rows in loop.batches(torch.randperm(len(real)).split(32)):
                yes, no = torch.ones(len(rows), 1), torch.zeros(len(rows), 1)
                fake = g(torch.randn(len(rows), 4))
                d_loss = loss_of(d(real[rows]), yes) + loss_of(d(fake.detach()), no)
                d_optimizer.zero_grad()
                d_loss.backward()
                d_optimizer.step()
                g_loss = loss_of(d(fake), yes)
                g_optimizer.zero_grad()
                g_loss.backward()
                g_optimizer.step()
                loop.log(g_loss=g_loss, d_loss=d_loss, size=len(rows))
            distance = (g(noise).mean(0) - real.mean(0)).norm()
            loop.log(distance=distance)


if __name__ == "__main__":
    main(sys.argv[1])
