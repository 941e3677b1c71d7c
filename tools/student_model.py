"""The student's networks in PyTorch: phones to durations, and frames to speech parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edge_tts.voices.envelope import POINTS
from edge_tts.voices.linguistic import FEATURES
from edge_tts.voices.student import BUMPS


@dataclass(frozen=True)
class Shape:
    """Widths and depths; the defaults are the built-in voice's."""

    channels: int = 192
    encoder_hidden: int = 384
    encoder_blocks: int = 5
    encoder_kernel: int = 5
    decoder_hidden: int = 576
    decoder_blocks: int = 6
    prosody_channels: int = 96
    prosody_hidden: int = 192
    prosody_blocks: int = 4
    decoder_kernel: int = 7
    style: int = 9
    noise: int = 16
    bands: int = 6

    @property
    def encoder_reach(self) -> int:
        """Phones on either side that a phone's encoding depends on."""
        return self.encoder_blocks * (self.encoder_kernel // 2)

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's parameters depend on."""
        return max(self.decoder_blocks, self.prosody_blocks) * (self.decoder_kernel // 2)

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Block(nn.Module):
    """ConvNeXt block (Liu et al. 2022) over [batch, time, channels], with ReLU."""

    def __init__(self, channels: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, (1, kernel), padding=(0, kernel // 2), groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, hidden)
        self.narrow = nn.Linear(hidden, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))
        # Whole hidden channels of an utterance: drawing a mask for every element costs a quarter of a training step.
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        # Conv1d is several times slower on CPU than the same convolution as a channels-last Conv2d.
        y = self.depthwise(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        y = torch.relu(self.widen(self.norm(y)))
        if self.training:
            y = y * self.dropout(y.new_ones(y.shape[0], y.shape[2], 1)).transpose(1, 2)
        y = self.narrow(y)
        return x + self.scale * y


def _blocks(count: int, channels: int, hidden: int, kernel: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(*(Block(channels, hidden, kernel, dropout) for _ in range(count)))


class Encoder(nn.Module):
    """Phone features [B, N, features] and a style [B, style] to encodings [B, N, channels] and log durations [B, N]."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, shape.channels, padding_idx=0) for size in FEATURES.values())
        self.style = nn.Linear(shape.style, shape.channels)
        self.blocks = _blocks(shape.encoder_blocks, shape.channels, shape.encoder_hidden, shape.encoder_kernel, dropout)
        self.norm = nn.LayerNorm(shape.channels)
        self.duration = nn.Sequential(
            nn.Dropout(2 * dropout), nn.Linear(shape.channels, 96), nn.ReLU(), nn.Dropout(dropout), nn.Linear(96, 1)
        )

    def embed(self, ids: Tensor, style: Tensor) -> Tensor:
        """Sum of the feature embeddings; padding (symbol 0) is the zero vector."""
        x = torch.stack([table(ids[..., i]) for i, table in enumerate(self.tables)]).sum(0)
        return x + self.style(style)[:, None] * (ids[..., :1] > 0)

    def forward(self, ids: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        h = self.norm(self.blocks(self.embed(ids, style)))
        return h, self.duration(h).squeeze(-1)


class Decoder(nn.Module):
    """Frame inputs [B, T, channels], positions [B, T, 10] and noise [B, T, noise] to normalized parameters [B, T, 88].

    Everything is zero before the sentence's first frame and after its last, so that a chunk with `Shape.reach` frames
    of context computes what the whole sentence would.
    """

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        side = BUMPS + 2
        self.side = nn.Linear(side, shape.channels, bias=False)
        self.noise = nn.Linear(shape.noise, shape.channels, bias=False)
        nn.init.zeros_(self.noise.weight)
        self.blocks = _blocks(shape.decoder_blocks, shape.channels, shape.decoder_hidden, shape.decoder_kernel, dropout)
        self.norm = nn.LayerNorm(shape.channels)
        self.envelope = nn.Linear(shape.channels, POINTS)
        self.prosody_in = nn.Linear(shape.channels + side, shape.prosody_channels, bias=False)
        self.prosody_blocks = _blocks(
            shape.prosody_blocks, shape.prosody_channels, shape.prosody_hidden, shape.decoder_kernel, 2 * dropout
        )
        self.prosody_norm = nn.LayerNorm(shape.prosody_channels)
        self.prosody = nn.Linear(shape.prosody_channels, 2 + shape.bands)

    def forward(self, frames: Tensor, side: Tensor, noise: Tensor | None = None) -> Tensor:
        x = frames + self.side(side)
        if noise is not None:
            x = x + self.noise(noise)
        envelope = self.envelope(self.norm(self.blocks(x)))
        y = self.prosody_blocks(self.prosody_in(torch.cat([frames, side], -1)))
        return torch.cat([envelope, self.prosody(self.prosody_norm(y))], -1)


class Student(nn.Module):
    """Both networks, and the statistics that normalize their targets and styles."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape, dropout)
        self.decoder = Decoder(shape, dropout)
        self.register_buffer("mean", torch.zeros(POINTS + 1))
        self.register_buffer("std", torch.ones(POINTS + 1))

    def checkpoint(self) -> dict[str, Any]:
        return {"shape": self.shape.as_dict(), "state": self.state_dict()}

    @staticmethod
    def from_checkpoint(checkpoint: dict[str, Any]) -> Student:
        student = Student(Shape(**checkpoint["shape"]), dropout=0.0)
        student.load_state_dict(checkpoint["state"])
        student.eval()
        return student
