"""One sentence through a voice: samples with their marks, or the same from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edge_tts.audio.chunk import Mark, Samples
from edge_tts.audio.overlap import OverlapAdder
from edge_tts.cache import Phrase, PhraseCache, phrase_key
from edge_tts.sentence import Sentence
from edge_tts.voices.base import ChunkPlan, Delivery, Voice

Piece = tuple[Samples, tuple[Mark, ...]]


class Renderer:
    """Makes the sound of sentences; belongs to one thread."""

    def __init__(self, cache: PhraseCache, plan: ChunkPlan, edition: Callable[[Voice], str] = lambda voice: "") -> None:
        """`edition` tells apart two releases of a voice under one name."""
        self._cache = cache
        self._plan = plan
        self._edition = edition

    def pieces(self, voice: Voice, sentence: Sentence, delivery: Delivery, cached: bool = True) -> Iterator[Piece]:
        """The sentence piece by piece: samples [n] and the marks that begin in them or later.

        With `cached`, a phrase that is known comes at once and one that is not is remembered when it is complete.
        Raises VoiceError.
        """
        if not cached:
            yield from self._synthesize(voice, sentence, delivery)
            return
        key = phrase_key(voice, sentence, delivery, self._edition(voice))
        phrase = self._cache.get(key)
        if phrase is not None:
            yield phrase.samples, phrase.marks
            return
        pieces = []
        for piece in self._synthesize(voice, sentence, delivery):
            pieces.append(piece)
            yield piece
        self._cache.put(key, _phrase(pieces, voice.sample_rate))

    def keep(self, voice: Voice, sentence: Sentence, delivery: Delivery) -> Phrase:
        """Synthesize a sentence and store it for later starts. Raises VoiceError, OSError when it cannot be written."""
        phrase = _phrase(list(self._synthesize(voice, sentence, delivery)), voice.sample_rate)
        self._cache.keep(phrase_key(voice, sentence, delivery, self._edition(voice)), phrase)
        return phrase

    def _synthesize(self, voice: Voice, sentence: Sentence, delivery: Delivery) -> Iterator[Piece]:
        session = voice.open(sentence, delivery, self._plan)
        adder = OverlapAdder(session.overlap)
        for chunk in session:
            yield adder.push(chunk.samples), chunk.marks
        yield adder.flush(), ()


def _phrase(pieces: list[Piece], sample_rate: int) -> Phrase:
    samples = np.concatenate([np.zeros(0, np.float32), *(piece for piece, _ in pieces)])
    return Phrase.of(samples, sample_rate, tuple(mark for _, marks in pieces for mark in marks))
