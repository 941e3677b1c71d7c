"""What every voice family offers: open a sentence, iterate over chunks of audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from edge_tts.audio.chunk import AudioChunk
from edge_tts.sentence import Sentence


@dataclass(frozen=True)
class Sampling:
    """How an autoregressive voice draws its tokens; other families use `seed` alone. None: the voice's default."""

    seed: int | None = None
    top_k: int | None = None
    top_p: float | None = None
    temperature: float | None = None
    repetition_penalty: float | None = None


@dataclass(frozen=True)
class Delivery:
    """How one sentence is to be spoken."""

    rate: float = 1.0
    """Speed, 0.5 to 2; 2 is twice as fast."""
    pitch: float = 0.0
    """Shift in semitones, -6 to 6."""
    style: str | None = None
    """One of the voice's styles; None is its default."""
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class ChunkPlan:
    """How much audio the first chunk holds, and towards what size the later ones grow."""

    first_ms: int = 100
    target_ms: int = 800
    overlap: int = 512
    """Samples by which a family whose chunks are not exact lets them overlap, to be cross-faded."""


class VoiceSession(Protocol):
    """One sentence being synthesized. Closing the iterator between two chunks abandons it, too."""

    @property
    def overlap(self) -> int:
        """Samples of a chunk's end that the next chunk's beginning covers again; 0 where chunks are exact."""

    def __iter__(self) -> Iterator[AudioChunk]: ...

    def cancel(self) -> None:
        """Let the iterator end as soon as it can, also within a chunk. For any thread, at any time."""


class Voice(Protocol):
    """A loaded voice. Sessions are opened and consumed by one thread at a time."""

    @property
    def name(self) -> str: ...
    @property
    def language(self) -> str:
        """BCP 47, e.g. `en-US`."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def precision(self) -> str:
        """What the graphs in use compute in: `int8`, `fp16` or `fp32`."""

    @property
    def styles(self) -> tuple[str, ...]: ...

    def open(self, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> VoiceSession:
        """Begin to speak `sentence`. Raises VoiceError when it cannot."""

    def close(self) -> None:
        """Free the sessions and memory."""
