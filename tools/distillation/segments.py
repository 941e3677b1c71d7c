"""Short stretches of latents, with the sound that belongs to them, for training decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FRAMES = 48
"""Latent frames of a training segment, 0.96 s."""


@dataclass(frozen=True)
class Clip:
    """One utterance: latents z [inter, f] and its recording [f * hop], None where the teacher makes the sound."""

    z: Tensor
    wave: Tensor | None = None


def segment(clips: Sequence[Clip], step: int, hop: int, frames: int = FRAMES) -> tuple[Tensor, Tensor | None]:
    """The segment of a training step: z [inter, frames] and its recording. The same step gives the same segment."""
    random = torch.Generator().manual_seed(step)
    clip = clips[int(torch.randint(len(clips), (), generator=random))]
    first = int(torch.randint(max(1, clip.z.shape[1] - frames + 1), (), generator=random))
    z = clip.z[:, first : first + frames]
    if clip.wave is None:
        return z, None
    return z, clip.wave[first * hop : (first + z.shape[1]) * hop]
