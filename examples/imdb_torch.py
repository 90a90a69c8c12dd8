"""A convnet for film reviews, in a plain PyTorch loop with callbacks."""

from __future__ import annotations

import torch
from reviews import LENGTH, WORDS, arguments, load_reviews
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from eventwriter.callbacks import (
    EarlyStopping,
    Loop,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TensorBoard,
)

BATCH_SIZE = 128


class Convnet(nn.Module):
    """A convnet: words `[n, 500]` -> logits `[n]`."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, 128)
        nn.init.uniform_(self.embed.weight, -0.05, 0.05)
        self.conv1 = nn.Conv1d(128, 32, 7)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool1d(5)
        self.conv2 = nn.Conv1d(32, 32, 7)
        self.relu2 = nn.ReLU()
        self.largest = nn.AdaptiveMaxPool1d(1)
        self.dense = nn.Linear(32, 1)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return the logits: the larger, the more favourable is the review."""
        x = self.embed(words).transpose(1, 2)
        x = self.pool(self.relu1(self.conv1(x)))
        x = self.largest(self.relu2(self.conv2(x))).squeeze(2)
        return self.dense(x).squeeze(1)


def accuracy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the share of reviews that were classified correctly."""
    return ((logits > 0) == (targets > 0.5)).float().mean()


def main() -> None:
    """Train, validate, and log."""
    options = arguments(__doc__)
    torch.manual_seed(0)
    reviews = load_reviews(options.reviews)
    x_train, y_train, x_val, y_val = map(torch.from_numpy, reviews[:4])
    train = DataLoader(TensorDataset(x_train, y_train), BATCH_SIZE, shuffle=True)
    validation = DataLoader(TensorDataset(x_val, y_val), 512)
    model = Convnet()
    assert x_train.shape[1] == LENGTH
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9)
    loss_of = nn.BCEWithLogitsLoss()

    callbacks = [
        TensorBoard(
            options.logdir,
            histogram_freq=1,
            embeddings_freq=1,
            embeddings_metadata=reviews.vocabulary,
        ),
        EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        ModelCheckpoint(
            f"{options.logdir}/checkpoints/{{epoch:02d}}-{{val_loss:.3f}}", save_best_only=True
        ),
        ReduceLROnPlateau("val_loss", factor=0.1, patience=1),
        ProgressBar(),
    ]
    with Loop(
        model,
        callbacks,
        epochs=options.epochs,
        optimizer=optimizer,
        validation_data=(x_val, y_val),
    ) as loop:
        for _ in loop:
            model.train()
            for x, y in loop.batches(train):
                logits = model(x)
                loss = loss_of(logits, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loop.log(loss=loss, acc=accuracy(logits, y), size=len(x))
            model.eval()
            with torch.no_grad():
                for x, y in loop.test_batches(validation):
                    logits = model(x)
                    loop.log(loss=loss_of(logits, y), acc=accuracy(logits, y), size=len(x))
    print(f"best validation accuracy: {max(loop.history['val_acc']):.3f}")
    print(f"now run: tensorboard --logdir {options.logdir}")


if __name__ == "__main__":
    main()
