"""English text to sentences of ARPAbet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from edge_tts.errors import NothingToSay
from edge_tts.frontend.base import Inserts
from edge_tts.frontend.english.normalize import normalize
from edge_tts.frontend.letter_to_sound import LetterToSound
from edge_tts.frontend.lexicon import Lexicon
from edge_tts.frontend.segment import Segment, segment
from edge_tts.sentence import Break, Sentence, Word

LEXICON = Path(__file__).resolve().parent.parent / "data" / "en_us.lexicon"
_BREAKS = {",": Break.MINOR, ";": Break.MEDIUM, ":": Break.MEDIUM}
_VOWEL_LETTERS = "aeiou"

WEAK = frozenset(
    (
        *("a", "an", "the", "of", "to", "for", "and", "or", "nor", "but", "if", "than", "as", "at", "by", "from", "in"),
        *(
            "into",
            "on",
            "onto",
            "with",
            "is",
            "am",
            "are",
            "was",
            "were",
            "be",
            "been",
            "it",
            "its",
            "he",
            "him",
            "his",
        ),
        *("she", "her", "they", "them", "their", "we", "us", "our", "you", "your", "i", "me", "my", "that", "can"),
        *("could", "would", "should", "will", "shall", "must", "do", "does", "has", "have", "had", "there", "so"),
    )
)
"""Function words, which carry no stress inside a phrase."""


class EnglishPhonemizer:
    """The front end for American English."""

    languages = ("en-US", "en")

    def __init__(self) -> None:
        self._lexicon = Lexicon(LEXICON)
        self._letter_to_sound = LetterToSound()
        self._pronounce = lru_cache(maxsize=4096)(self._look_up)

    def phonemize(self, text: str) -> list[Sentence]:
        return list(self.sentences(text))

    def sentences(self, text: str, inserts: Inserts | None = None) -> Iterator[Sentence]:
        sentences = (
            self._sentence(words, part)
            for part in segment(text, lambda word, after: True)
            if (words := self._words(normalize(part.text)))
        )
        first = next(sentences, None)
        if first is None:
            raise NothingToSay("the text holds no word, number or symbol that can be spoken")
        return itertools.chain((first,), sentences)

    def _sentence(self, words: list[Word], part: Segment) -> Sentence:
        words[-1] = Word(words[-1].text, words[-1].phones, Break.MAJOR)
        return Sentence(tuple(words), "." if part.ending == "," else part.ending, part.pause)

    def _words(self, tokens: list[str]) -> list[Word]:
        words: list[Word] = []
        for at, token in enumerate(tokens):
            if token in _BREAKS:
                if words and words[-1].break_after < _BREAKS[token]:
                    words[-1] = Word(words[-1].text, words[-1].phones, _BREAKS[token])
                continue
            following = tokens[at + 1] if at + 1 < len(tokens) else ""
            phones = self._pronounce(token)
            if token in WEAK and following and following not in _BREAKS:
                phones = tuple(phone.replace("1", "0") for phone in phones)
                if token == "the" and self._pronounce(following)[0][-1].isdigit():
                    phones = ("DH", "IY0")
            if phones:
                words.append(Word(token.lower(), phones))
        return words

    def _look_up(self, word: str) -> tuple[str, ...]:
        phones = self._lexicon.get(word.lower())
        if phones is None and word.endswith("'s"):
            stem = self._look_up(word[:-2])
            phones = (*stem, *_sibilant(stem[-1])) if stem else None
        return phones or self._letter_to_sound.phones(word)


def _sibilant(last: str) -> tuple[str, ...]:
    """The phones of a plural or possessive s after a word that ends in this phone."""
    if last in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return ("AH0", "Z")
    return ("S",) if last in ("P", "T", "K", "F", "TH") else ("Z",)
