"""A piece of speech on its way from a voice to the sound device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Mark:
    """Something that happens at one sample of a chunk: a word begins, the mouth takes a shape."""

    offset: int
    """Samples from the beginning of the sentence."""
    kind: Literal["word", "viseme"]
    value: str
    """The word, or the phone whose mouth shape is taken (ARPAbet without stress, `SIL` for a closed mouth)."""
    index: int = -1
    """For a word: its number within the sentence, from 0."""


@dataclass(frozen=True)
class AudioChunk:
    """Consecutive speech: float32 mono in -1..1, shape [n]."""

    samples: Samples
    sample_rate: int
    marks: tuple[Mark, ...] = ()
    """Marks that fall into this chunk, in order."""
