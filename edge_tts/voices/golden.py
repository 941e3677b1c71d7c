"""The golden utterance: a voice that does not reproduce it is damaged, silent or off, whatever its checksums say."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.errors import BundleError
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.base import ChunkPlan, Delivery, Sampling, Voice, VoiceSession
from edge_tts.voices.bundle import Golden

FLOOR_DB = -70.0
DURATION_TOLERANCE = 0.05


@runtime_checkable
class Rehearsing(Protocol):
    """A voice that draws at random what it says, and so has its own way to speak a golden utterance."""

    def rehearse(self, sentence: Sentence) -> VoiceSession:
        """Speak the sentence's phones in a manner that no rounding can turn into another one."""


def golden_sentence(phonemes: str) -> Sentence:
    """The sentence that a Golden's phonemes stand for (see Golden.phonemes)."""
    ending = phonemes[-1] if phonemes[-1:] in {".", "?", "!"} else "."
    groups = [tuple(group.split()) for group in phonemes.rstrip(".?! ").split("|")]
    words = [Word(text="-".join(group).lower(), phones=group) for group in groups if group]
    last = words.pop()
    return Sentence((*words, Word(last.text, last.phones, Break.MAJOR)), ending=ending)


def repeatable(voice: Voice, sentence: Sentence) -> VoiceSession:
    """A session that takes the same course on every machine and in every precision."""
    if isinstance(voice, Rehearsing):
        return voice.rehearse(sentence)
    return voice.open(sentence, Delivery(sampling=Sampling(seed=0)), ChunkPlan())


def speak(voice: Voice, sentence: Sentence) -> Samples:
    """The whole sentence, shape [n]; chunks must be exact or the overlap is left in place."""
    chunks = [chunk.samples for chunk in repeatable(voice, sentence)]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)


def levels_db(samples: Samples, sample_rate: int) -> tuple[float, ...]:
    """RMS level of each full 100 ms, in dB relative to full scale, not below -70."""
    size = sample_rate // 10
    frames = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    levels = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
    return tuple(round(float(level), 1) for level in np.maximum(levels, FLOOR_DB))


def make_golden(voice: Voice, phonemes: str) -> Golden:
    """What `voice` makes of `phonemes` now, for its voice.json."""
    samples = speak(voice, golden_sentence(phonemes))
    duration = round(1000 * len(samples) / voice.sample_rate)
    return Golden(phonemes=phonemes, duration_ms=duration, levels_db=levels_db(samples, voice.sample_rate))


def check_golden(voice: Voice, golden: Golden) -> None:
    """Speak the golden utterance and compare. Raises BundleError that says what is off."""
    samples = speak(voice, golden_sentence(golden.phonemes))
    who = f"{voice.name} ({voice.precision}): the golden utterance"
    if not np.all(np.isfinite(samples)):
        raise BundleError(f"{who} has NaN or infinite samples")
    if len(samples) == 0 or float(np.max(np.abs(samples))) < 1e-3:
        raise BundleError(f"{who} is silent")
    duration = 1000 * len(samples) / voice.sample_rate
    if abs(duration - golden.duration_ms) > DURATION_TOLERANCE * golden.duration_ms:
        raise BundleError(f"{who} lasts {duration:.0f} ms instead of {golden.duration_ms}")
    levels = levels_db(samples, voice.sample_rate)
    count = min(len(levels), len(golden.levels_db))
    difference = np.subtract(levels[:count], golden.levels_db[:count])
    off = float(np.sqrt(np.mean(difference**2)))
    if off > golden.tolerance_db:
        raise BundleError(f"{who}'s level is off by {off:.1f} dB")
