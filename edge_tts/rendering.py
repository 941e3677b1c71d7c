"""One sentence through a voice: samples with their marks, or the same from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from edge_tts.audio.chunk import Mark, Samples
from edge_tts.audio.overlap import OverlapAdder
from edge_tts.cache import Phrase, PhraseCache, phrase_key
from edge_tts.sentence import Sentence
from edge_tts.voices.base import ChunkPlan, Delivery, Voice, VoiceSession

Piece = tuple[Samples, tuple[Mark, ...]]
WHOLE_SENTENCE_MS = 60_000


class Renderer:
    """Makes the sound of sentences; belongs to one thread, but for `cancel`."""

    def __init__(self, cache: PhraseCache, plan: ChunkPlan, edition: Callable[[Voice], str] = lambda voice: "") -> None:
        """`edition` tells apart two releases of a voice under one name."""
        self._cache = cache
        self._plan = plan
        self._edition = edition
        self._session: VoiceSession | None = None
        self._cancelled = False

    def pieces(self, voice: Voice, sentence: Sentence, delivery: Delivery, cached: bool = True) -> Iterator[Piece]:
        """The sentence piece by piece: samples [n] and the marks that begin in them or later.

        With `cached`, a phrase that is known comes at once and one that is not is remembered when it is complete.
        Raises VoiceError.
        """
        if not cached:
            yield from self._synthesize(voice, sentence, delivery, self._plan)
            return
        key = phrase_key(voice, sentence, delivery, self._edition(voice))
        phrase = self._cache.get(key)
        if phrase is not None:
            yield phrase.samples, phrase.marks
            return
        pieces = []
        self._cancelled = False
        for piece in self._synthesize(voice, sentence, delivery, self._plan):
            pieces.append(piece)
            yield piece
        if not self._cancelled:
            self._cache.put(key, _phrase(pieces, voice.sample_rate))

    def keep(self, voice: Voice, sentence: Sentence, delivery: Delivery) -> Phrase:
        """Synthesize a sentence and store it for later starts. Raises VoiceError, OSError when it cannot be written."""
        # Nobody waits for the first chunk, so a voice may retry until the sentence is whole.
        unhurried = replace(self._plan, first_ms=WHOLE_SENTENCE_MS)
        phrase = _phrase(list(self._synthesize(voice, sentence, delivery, unhurried)), voice.sample_rate)
        self._cache.keep(phrase_key(voice, sentence, delivery, self._edition(voice)), phrase)
        return phrase

    def cancel(self) -> None:
        """Have the sentence being synthesized end early."""
        self._cancelled = True
        session = self._session
        if session is not None:
            session.cancel()

    def _synthesize(self, voice: Voice, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> Iterator[Piece]:
        session = self._session = voice.open(sentence, delivery, plan)
        adder = OverlapAdder(session.overlap)
        try:
            for chunk in session:
                yield adder.push(chunk.samples), chunk.marks
            yield adder.flush(), ()
        finally:
            self._session = None


def _phrase(pieces: list[Piece], sample_rate: int) -> Phrase:
    samples = np.concatenate([np.zeros(0, np.float32), *(piece for piece, _ in pieces)])
    return Phrase.of(samples, sample_rate, tuple(mark for _, marks in pieces for mark in marks))
