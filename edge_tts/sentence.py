"""What the front end hands to a voice: one sentence as words of ARPAbet phones with breaks between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Break(IntEnum):
    """How strongly the speaker pauses after a word."""

    NONE = 0
    MINOR = 1
    """At a comma, a dash, a bracket: a short pause."""
    MEDIUM = 2
    """At a semicolon or a colon."""
    MAJOR = 3
    """At the end of a sentence."""


@dataclass(frozen=True)
class Word:
    """One spoken word."""

    text: str
    """The word as it is spoken, lower case (`twenty`, not `20`)."""
    phones: tuple[str, ...]
    """ARPAbet; vowels carry their stress: `("HH", "AH0", "L", "OW1")`."""
    break_after: Break = Break.NONE


@dataclass(frozen=True)
class Sentence:
    """One sentence, ready to be spoken. `words` is never empty; the last word has `Break.MAJOR`."""

    words: tuple[Word, ...]
    ending: str = "."
    """The sentence's final mark: `.`, `?` or `!`."""
    pause: float = 0.3
    """Silence in seconds that naturally follows before the next sentence."""

    @property
    def text(self) -> str:
        """The spoken words, joined by spaces."""
        return " ".join(word.text for word in self.words)
