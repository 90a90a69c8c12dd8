"""Reinforcement learning without epochs: the steps are the moves in a corridor.

The agent stands in a corridor of eight cells, and the goal is its right end. It learns by
REINFORCE, in numpy, which way to go.
"""

from __future__ import annotations

import sys

import numpy as np

from eventwriter.callbacks import Loop, TensorBoard

CELLS = 8
LONGEST = 60


def policy(params: dict[str, np.ndarray]) -> np.ndarray:
    """Return the probabilities of left and right in each cell, `[cells, 2]`."""
    powers = np.exp(params["preferences"])
    return powers / powers.sum(1, keepdims=True)


def walk(params: dict[str, np.ndarray], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Walk from the left end to the goal. Return each cell on the way, and the move there."""
    cell, path = 0, []
    while cell < CELLS - 1 and len(path) < LONGEST:
        move = int(rng.random() < policy(params)[cell, 1])
        path.append((cell, move))
        cell = max(cell + 2 * move - 1, 0)
    return path


def main(log_dir: str) -> None:
    """Train until 20 walks in a row were nearly straight, each from its beginning to its end."""
    rng = np.random.default_rng(0)
    params = {"preferences": np.zeros((CELLS, 2))}
    usual, lengths = float(LONGEST), []
    log = TensorBoard(log_dir, histogram_freq=10, write_activations=False, write_gradients=False)
    with Loop(params, [log], epochs=None) as loop:
        for _ in loop:
            path = walk(params, rng)
            advantage = (usual - len(path)) / LONGEST
            usual += 0.1 * (len(path) - usual)
            losses = []
            for cell, move in path:
                share = policy(params)[cell]
                losses.append(-advantage * np.log(share[move]))
                params["preferences"][cell] += advantage * (np.eye(2)[move] - share)
            loop.step += len(path)
            loop.log(loss=np.mean(losses), reward=-len(path))
            lengths.append(len(path))
            if len(lengths) >= 20 and np.mean(lengths[-20:]) < CELLS + 2:
                loop.stop_training = True


if __name__ == "__main__":
    main(sys.argv[1])
