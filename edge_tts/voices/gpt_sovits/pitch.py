"""Shifts the pitch of a stream by playing it faster or slower, as a tape does; its speed is set right beforehand.

GPT-SoVITS decodes latents without a fundamental frequency to turn, so the shift is a change of sample rate (soxr) of
speech that was synthesized slower or faster by the same factor. It is free of artefacts, and moves the formants along:
a shift by more than about three semitones sounds like another speaker.
"""

from __future__ import annotations

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.errors import VoiceError


def pitch_factor(semitones: float) -> float:
    """By how much a shift multiplies frequencies."""
    return float(2 ** (semitones / 12))


class TapeSpeed:
    """Plays a stream of samples `factor` times as fast. Raises VoiceError when soxr is not installed."""

    def __init__(self, factor: float, sample_rate: int) -> None:
        try:
            import soxr
        except ImportError as error:
            raise VoiceError("this voice needs soxr to change its pitch: pip install soxr, or use pitch 0") from error
        self._stream = soxr.ResampleStream(sample_rate * factor, sample_rate, 1, dtype="float32")

    def push(self, samples: Samples, last: bool) -> Samples:
        """What can be converted so far, or with `last` everything that is left, shape [n]."""
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(samples), last=last), np.float32)
