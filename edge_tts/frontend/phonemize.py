"""Find the front end for a language, and read phones that were given directly."""

from __future__ import annotations

from functools import lru_cache

from edge_tts.errors import BadRequest, NothingToSay, UnknownLanguage
from edge_tts.frontend.base import Phonemizer
from edge_tts.frontend.english import EnglishPhonemizer
from edge_tts.frontend.symbols import PHONE_INDEX, VOWELS
from edge_tts.sentence import Break, Sentence, Word

__all__ = ["EnglishPhonemizer", "parse_phonemes", "phonemizer_for"]

_BREAKS = {",": Break.MINOR, ";": Break.MEDIUM, ":": Break.MEDIUM, ".": Break.MAJOR, "?": Break.MAJOR, "!": Break.MAJOR}
_PAUSES = {".": 0.35, "?": 0.4, "!": 0.4}


def phonemizer_for(language: str) -> Phonemizer:
    """The front end for a BCP 47 tag (`en-US`, `en`, `en_GB`). Raises UnknownLanguage."""
    primary = language.replace("_", "-").partition("-")[0].lower()
    if primary == "en":
        return _english()
    raise UnknownLanguage(f"language: {language!r} is not spoken here; use en-US")


@lru_cache(maxsize=1)
def _english() -> EnglishPhonemizer:
    return EnglishPhonemizer()


def parse_phonemes(text: str) -> list[Sentence]:
    """Sentences given as ARPAbet: phones apart by spaces, words by `|`, breaks as `,` `;` `:` `.` `?` `!`.

    A break ends a word too, so `HH AH0 L OW1 , W ER1 L D .` has two words. A vowel without a digit is stressed if it
    is its word's first. Raises BadRequest naming a phone that is not ARPAbet, NothingToSay when there is none.
    """
    sentences: list[Sentence] = []
    words: list[Word] = []
    phones: list[str] = []

    def end_word(strength: Break) -> None:
        if phones:
            words.append(Word(" ".join(phones).lower(), tuple(phones), strength))
            phones.clear()
        elif words and strength > words[-1].break_after:
            words[-1] = Word(words[-1].text, words[-1].phones, strength)

    def end_sentence(ending: str) -> None:
        end_word(Break.MAJOR)
        if words:
            sentences.append(Sentence(tuple(words), ending, _PAUSES[ending]))
            words.clear()

    for mark in "|,;:.?!":
        text = text.replace(mark, f" {mark} ")
    for token in text.split():
        if token == "|":
            end_word(Break.NONE)
        elif token in _PAUSES:
            end_sentence(token)
        elif token in _BREAKS:
            end_word(_BREAKS[token])
        else:
            phones.append(_phone(token, stressed=not any(phone[-1] in "12" for phone in phones)))
    end_sentence(".")
    if not sentences:
        raise NothingToSay("the phonemes hold no phone; write for example `HH AH0 L OW1`")
    return sentences


def _phone(token: str, *, stressed: bool) -> str:
    phone = token.upper()
    if phone in VOWELS:
        phone += "1" if stressed else "0"
    if phone not in PHONE_INDEX:
        raise BadRequest(f"phonemes: {token!r} is not an ARPAbet phone; write for example `HH AH0 L OW1 | W ER1 L D`")
    return phone
