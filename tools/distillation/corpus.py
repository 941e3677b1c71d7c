"""A corpus as clips for a decoder: prepared speech parameters take the place of latents, recordings are the goal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tools.distillation.segments import Clip
from tools.prepare_corpus import held_out_prompts, read_takes

RATE, HOP = 32000, 640
FRAMES_PER_LATENT = 2
"""Parameters come every 10 ms, latents last 20."""


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each latent channel [inter]."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        return (z - self.mean[:, None]) / self.deviation[:, None]

    @staticmethod
    def of(content: Mapping[str, Any]) -> Scale | None:
        """The scale that a decoder's file holds; None for a voice whose latents are not speech parameters."""
        features = content.get("features")
        if not isinstance(features, dict):
            return None
        return Scale(torch.tensor(features["mean"]), torch.tensor(features["deviation"]))


def raw_latents(features: Path) -> Tensor:
    """[176, f]: two parameter frames (envelope, log F0, voicing, periodicities) on top of one another."""
    with np.load(features) as arrays:
        frames = np.concatenate([arrays["env"], arrays["lf0"][:, None], arrays["voiced"][:, None], arrays["per"]], 1)
    count = len(frames) // FRAMES_PER_LATENT
    return torch.from_numpy(frames[: count * FRAMES_PER_LATENT].reshape(count, -1).T.copy()).float()


def recording(path: Path, frames: int) -> Tensor:
    """The first `frames` latent frames of a recording at 32 kHz: [frames * hop], zeros after its end."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32")
    wave = torch.from_numpy(np.asarray(soxr.resample(samples, rate, RATE), dtype=np.float32))[: frames * HOP]
    return torch.nn.functional.pad(wave, (0, frames * HOP - len(wave)))


def takes(corpus: Path, features: Path, held_out: bool, most: int) -> Iterator[tuple[Path, Path]]:
    """Up to `most` (features, recording) pairs of takes that are to be learned from, or of held-out prompts."""
    held, found = held_out_prompts(), 0
    for take in read_takes(corpus):
        made = features / f"{take.id}.npz"
        if take.clean and (take.prompt in held) == held_out and made.exists() and found < most:
            found += 1
            yield made, corpus / "flac" / f"{take.id}.flac"


def load_clips(folders: Sequence[Path], *, held_out: bool, most: int, scale: Scale | None) -> tuple[list[Clip], Scale]:
    """Clips of (corpus, features) with scaled latents, and the scale: the one given, or what these clips call for."""
    corpus, features = folders
    pairs = []
    for made, flac in takes(corpus, features, held_out, most):
        z = raw_latents(made)
        pairs.append((z, recording(flac, z.shape[1])))
    if not pairs:
        raise FileNotFoundError(f"{features}: no features of any usable take of {corpus}; run tools.prepare_corpus")
    if scale is None:
        together = torch.cat([z for z, _ in pairs], dim=1)
        scale = Scale(together.mean(1), together.std(1).clamp(min=1e-3))
    return [Clip(scale(z), wave) for z, wave in pairs], scale
