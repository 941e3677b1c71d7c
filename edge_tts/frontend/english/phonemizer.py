"""English text to sentences of ARPAbet."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from edge_tts.errors import NothingToSay
from edge_tts.frontend.base import Inserts
from edge_tts.frontend.english.abbreviations import ends_sentence
from edge_tts.frontend.english.homographs import homograph
from edge_tts.frontend.english.normalize import normalize
from edge_tts.frontend.english.pronounce import Phones, Pronouncer
from edge_tts.frontend.english.say_as import say_as
from edge_tts.frontend.segment import Segment, segment
from edge_tts.frontend.symbols import is_vowel
from edge_tts.frontend.word_lists import word_set
from edge_tts.sentence import Break, Sentence, Word

_BREAKS = {",": Break.MINOR, ";": Break.MEDIUM, ":": Break.MEDIUM}
_WEAK_FORMS = {
    "an": ("AH0", "N"),
    "and": ("AE0", "N", "D"),
    "can": ("K", "AH0", "N"),
    "for": ("F", "ER0"),
    "our": ("AA0", "R"),
    "than": ("DH", "AH0", "N"),
    "to": ("T", "AH0"),
    "was": ("W", "AH0", "Z"),
    "with": ("W", "IH0", "TH"),
}
_BEFORE_VOWELS = {"the": ("DH", "IY0"), "to": ("T", "UW0"), "for": ("F", "AO0", "R")}
_WEAK = word_set(
    """
    a an the of to for and or nor but if than as at by from in into on onto with is am are was were be been it its
    he him his she her they them their we us our you your i me my that can could would should will shall must do
    does has have had there so
    """
)
"""Function words: without stress, and some with another vowel, unless a break follows."""


class EnglishPhonemizer:
    """The front end for American English."""

    languages: tuple[str, ...] = ("en-US", "en")

    def __init__(self) -> None:
        self._pronouncer = Pronouncer()

    def phonemize(self, text: str) -> list[Sentence]:
        """The whole text as sentences. Raises NothingToSay when nothing in it can be spoken."""
        return list(self.sentences(text))

    def sentences(self, text: str, inserts: Inserts | None = None) -> Iterator[Sentence]:
        """The same one by one. Raises NothingToSay at the call, before there is an iterator."""
        sentences = self._sentences(text, inserts or {})
        first = next(sentences, None)
        if first is None:
            raise NothingToSay("the text holds no word, number or symbol that can be spoken")
        return itertools.chain((first,), sentences)

    def say_as(self, text: str, interpretation: str, detail: str = "") -> tuple[Word, ...]:
        """The words of SSML's `say-as`. Raises BadRequest naming an interpretation it does not know."""
        tokens = say_as(text, interpretation, detail)
        return tuple(self.words(normalize(text, self._pronouncer.is_word) if tokens is None else tokens))

    def words(self, tokens: Sequence[str], inserts: Inserts | None = None) -> list[Word]:
        """Normalized tokens as words with their breaks, each pronounced as its neighbours ask."""
        inserts = inserts or {}
        words: list[Word] = []
        for at, token in enumerate(tokens):
            if token in _BREAKS:
                if words:
                    words[-1] = replace(words[-1], break_after=_BREAKS[token])
            elif token in inserts:
                words += inserts[token]
            elif phones := self._in_context(tokens, at, inserts):
                words.append(Word(token.lower(), phones))
        return words

    def _sentences(self, text: str, inserts: Inserts) -> Iterator[Sentence]:
        for part in segment(text, ends_sentence):
            words = self.words(normalize(part.text, self._pronouncer.is_word), inserts)
            if words:
                yield _sentence(words, part)

    def _in_context(self, tokens: Sequence[str], at: int, inserts: Inserts) -> Phones:
        token = tokens[at]
        if not token[0].isalpha():
            return ()
        phones = homograph(tokens, at) or self._pronouncer.phones(token)
        if token not in _WEAK or at + 1 == len(tokens) or tokens[at + 1] in _BREAKS:
            return phones
        if token in _BEFORE_VOWELS and self._begins_with_vowel(tokens[at + 1], inserts):
            return _BEFORE_VOWELS[token]
        return _WEAK_FORMS.get(token) or tuple(phone.replace("1", "0") for phone in phones)

    def _begins_with_vowel(self, token: str, inserts: Inserts) -> bool:
        if token[0].isalpha():
            return is_vowel(self._pronouncer.phones(token)[0])
        inserted = inserts.get(token, ())
        return bool(inserted) and is_vowel(inserted[0].phones[0])


def _sentence(words: list[Word], part: Segment) -> Sentence:
    words[-1] = replace(words[-1], break_after=Break.MAJOR)
    return Sentence(tuple(words), "." if part.ending == "," else part.ending, part.pause)
