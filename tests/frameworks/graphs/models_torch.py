"""Models of torch that people draw. Each function returns a model and what it is called with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # as everyone writes it

Example = tuple[nn.Module, Any]


def mlp() -> Example:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), torch.ones(2, 8)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + x)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.stem(x))
        return self.head(self.drop(x.mean((2, 3))))


def resnet() -> Example:
    return ResNet(), torch.ones(2, 3, 8, 8)


def transformer() -> Example:
    """An encoder-decoder with a causal mask, said to be one, and a padding mask."""
    model, inputs = transformer_with_any_mask()
    return model, {**inputs, "tgt_is_causal": True}


def transformer_with_any_mask() -> Example:
    """The same, but torch looks into the mask to see what it is, which no tracer can do."""
    model = nn.Transformer(16, 2, 2, 2, 32, batch_first=True)
    return model, {
        "src": torch.ones(2, 5, 16),
        "tgt": torch.ones(2, 4, 16),
        "tgt_mask": nn.Transformer.generate_square_subsequent_mask(4),
        "src_key_padding_mask": torch.zeros(2, 5, dtype=torch.bool),
    }


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 6, batch_first=True)
        self.head = nn.Linear(6, 1)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        x, (_, cell) = self.lstm(self.embed(tokens))
        _, hidden = self.gru(x)
        return self.head(hidden[-1]), cell


def recurrent() -> Example:
    return Recurrent(), torch.zeros(2, 7, dtype=torch.long)


class DictInputs(nn.Module):
    """Nested inputs, None, keywords; a dict of results."""

    def __init__(self) -> None:
        super().__init__()
        self.text = nn.Embedding(20, 4)
        self.number = nn.Linear(3, 4)

    def forward(
        self, batch: dict[str, Any], mask: Tensor | None = None, scale: float = 1.0
    ) -> dict[str, Any]:
        text = self.text(batch["text"]).mean(1)
        numbers = [self.number(number) for number in batch["numbers"]]
        total = text + sum(numbers) * scale
        if mask is not None:
            total = total * mask
        return {"total": total, "parts": [text, *numbers], "nothing": None}


def dict_inputs() -> Example:
    numbers = [torch.ones(2, 3), torch.ones(2, 3)]
    return DictInputs(), {
        "batch": {"text": torch.zeros(2, 5, dtype=torch.long), "numbers": numbers},
        "mask": None,
        "scale": 0.5,
    }


class Undecided(nn.Module):
    """A branch of Python that depends on values: no tracer can take it."""

    def __init__(self) -> None:
        super().__init__()
        self.positive = nn.Linear(4, 4)
        self.negative = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x) + 1
        x = self.positive(x) if x.sum() > 0 else self.negative(x)
        return self.drop(F.relu(x))


def undecided() -> Example:
    return Undecided(), torch.ones(3, 4)


class Cond(nn.Module):
    """torch.cond, whose branches use a module of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda t: self.fc(t).relu(), lambda t: t - 1, (x,)) * 2


def cond() -> Example:
    return Cond(), torch.ones(2, 4)


class BookConvnet(nn.Module):
    """The convolutional network on text of a well-known book on deep learning."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(2000, 128)
        self.conv1 = nn.Conv1d(128, 32, 7)
        self.conv2 = nn.Conv1d(32, 32, 7)
        self.fc = nn.Linear(32, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).transpose(1, 2)
        x = F.max_pool1d(F.relu(self.conv1(x)), 5)
        return self.fc(F.relu(self.conv2(x)).amax(2))


def book_convnet() -> Example:
    return BookConvnet(), torch.zeros(1, 500, dtype=torch.long)


class Shared(nn.Module):
    """One module under two names, called twice, and a weight that two modules share."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.again = self.block
        self.out = nn.Linear(8, 20, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.again(self.block(self.embed(tokens))))


def shared() -> Example:
    return Shared(), torch.zeros(2, 5, dtype=torch.long)


def deep_transformer(layers: int = 100) -> Example:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    return model, torch.ones(1, 4, 16)


EXPORTED = [mlp, resnet, transformer, recurrent, dict_inputs, cond, book_convnet, shared]
NOT_EXPORTED = [transformer_with_any_mask, undecided]
