"""What every language's front end offers: text in, sentences of phones out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_tts.sentence import Sentence, Word

Inserts = Mapping[str, tuple[Word, ...]]
"""Words that stand in the text as one private-use character each, already pronounced (SSML's `phoneme`, `say-as`)."""


@dataclass(frozen=True)
class SpokenPart:
    """A sentence and the delivery its markup asks for, relative to the request's own."""

    sentence: Sentence
    rate: float = 1.0
    """Factor, 0.5 to 2."""
    pitch: float = 0.0
    """Semitones, -6 to 6."""
    volume: float = 1.0
    """Factor, 0 to 1."""


class Phonemizer(Protocol):
    """One language's front end. Thread-safe: it holds no state but caches."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The BCP 47 tags it answers to, the most exact first."""

    def phonemize(self, text: str) -> list[Sentence]:
        """The whole text as sentences. Raises NothingToSay when nothing in it can be spoken."""

    def sentences(self, text: str, inserts: Inserts | None = None) -> Iterator[Sentence]:
        """The same one by one, each worked out when it is asked for.

        Raises NothingToSay at the call, before there is an iterator.
        """

    def say_as(self, text: str, interpretation: str, detail: str = "") -> tuple[Word, ...]:
        """The words of SSML's `say-as`, with its `format` as `detail`. Raises BadRequest for what it does not know."""
