"""The phones of one English word or spelled letter group, out of context."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from edge_tts.frontend.english.inflect import derive, plural_phones
from edge_tts.frontend.lexicon import Lexicon
from edge_tts.frontend.word_lists import word_map

if TYPE_CHECKING:
    from edge_tts.frontend.letter_to_sound import LetterToSound

DATA = Path(__file__).resolve().parent.parent / "data"
Phones = tuple[str, ...]

_LETTERS = word_map(
    """
    A EY1; B B IY1; C S IY1; D D IY1; E IY1; F EH1 F; G JH IY1; H EY1 CH; I AY1; J JH EY1; K K EY1; L EH1 L;
    M EH1 M; N EH1 N; O OW1; P P IY1; Q K Y UW1; R AA1 R; S EH1 S; T T IY1; U Y UW1; V V IY1; X EH1 K S;
    W D AH1 B AH0 L Y UW0; Y W AY1; Z Z IY1
    """
)


_SPELLED_TAIL = re.compile(r"(?P<word>[a-z]{3,20})(?P<letters>tts|stt|gpt|bnb|sql|xml|html|mqtt|css|php|gps|lcd|rtc)")
"""A product name that ends in an acronym: chatgpt, edgetts."""


class Pronouncer:
    """Looks words up, derives them, or reads them letter by letter. The letter-to-sound model is loaded when needed."""

    def __init__(self) -> None:
        self._lexicon = Lexicon(DATA / "en_us.lexicon")
        self._letter_to_sound: LetterToSound | None = None
        self.phones = lru_cache(maxsize=8192)(self._phones)
        self.is_word = lru_cache(maxsize=8192)(self._is_word)

    def _is_word(self, word: str) -> bool:
        return self._lexicon.get(word) is not None

    def _phones(self, token: str) -> Phones:
        """Phones of a normalized token: never empty for one that holds a letter."""
        if token[0].isupper():
            return _spelled(token)
        word = token.strip("'")
        if phones := self._lexicon.get(token) or self._lexicon.get(word):
            return phones
        if word.endswith("'s"):
            return plural_phones(self.phones(word[:-2]))
        tail = _SPELLED_TAIL.fullmatch(word)
        if tail and (phones := self._lexicon.get(tail["word"])):
            return (*phones, *(phone.replace("1", "2") for phone in _spelled(tail["letters"].upper())))
        if phones := derive(word, self._lexicon.get):
            return phones
        bare = word.replace("'", "")
        if len(bare) <= 6 and not any(vowel in bare for vowel in "aeiouy"):
            return _spelled(bare.upper())
        if self._letter_to_sound is None:
            from edge_tts.frontend.letter_to_sound import LetterToSound

            self._letter_to_sound = LetterToSound(DATA / "en_us_letters.onnx")
        return self._letter_to_sound.phones(bare)


def _spelled(token: str) -> Phones:
    """Letter names, the last with the primary stress: GPS JH IY2 P IY2 EH1 S; `GPU's` in the plural."""
    letters = token.partition("'")[0]
    phones: list[str] = []
    for letter in letters[:-1]:
        phones += _LETTERS[letter].replace("1", "2").split()
    phones += _LETTERS[letters[-1]].split()
    return plural_phones(tuple(phones)) if "'" in token else tuple(phones)
