"""Inflected and compound words from the phones of the words they are made of."""

from __future__ import annotations

from collections.abc import Callable

from edge_tts.frontend.symbols import is_vowel
from edge_tts.frontend.word_lists import word_set

Phones = tuple[str, ...]
Lookup = Callable[[str], "Phones | None"]

_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH", "S", "SH", "CH"))
_SUFFIXES: tuple[tuple[str, Phones], ...] = (
    ("ing", ("IH0", "NG")),
    ("ings", ("IH0", "NG", "Z")),
    ("er", ("ER0",)),
    ("ers", ("ER0", "Z")),
    ("est", ("AH0", "S", "T")),
    ("able", ("AH0", "B", "AH0", "L")),
    ("ly", ("L", "IY0")),
    ("ness", ("N", "AH0", "S")),
    ("less", ("L", "AH0", "S")),
    ("ful", ("F", "AH0", "L")),
    ("ment", ("M", "AH0", "N", "T")),
    ("like", ("L", "AY2", "K")),
    ("proof", ("P", "R", "UW2", "F")),
    ("wise", ("W", "AY2", "Z")),
    ("n't", ("AH0", "N", "T")),
    ("'ll", ("AH0", "L")),
    ("'ve", ("AH0", "V")),
    ("'re", ("ER0",)),
    ("'d", ("D",)),
)
_PREFIXES: dict[str, Phones] = {
    "anti": ("AE2", "N", "T", "IY0"),
    "auto": ("AO2", "T", "OW0"),
    "counter": ("K", "AW2", "N", "T", "ER0"),
    "cyber": ("S", "AY2", "B", "ER0"),
    "de": ("D", "IY2"),
    "dis": ("D", "IH0", "S"),
    "giga": ("G", "IH2", "G", "AH0"),
    "hecto": ("HH", "EH2", "K", "T", "OW0"),
    "hyper": ("HH", "AY2", "P", "ER0"),
    "inter": ("IH2", "N", "T", "ER0"),
    "kilo": ("K", "IH2", "L", "AH0"),
    "mega": ("M", "EH2", "G", "AH0"),
    "micro": ("M", "AY2", "K", "R", "OW0"),
    "milli": ("M", "IH2", "L", "AH0"),
    "mis": ("M", "IH0", "S"),
    "multi": ("M", "AH2", "L", "T", "IY0"),
    "nano": ("N", "AE2", "N", "OW0"),
    "non": ("N", "AA0", "N"),
    "out": ("AW2", "T"),
    "over": ("OW2", "V", "ER0"),
    "pico": ("P", "IY2", "K", "OW0"),
    "pre": ("P", "R", "IY0"),
    "re": ("R", "IY0"),
    "semi": ("S", "EH2", "M", "IY0"),
    "sub": ("S", "AH0", "B"),
    "super": ("S", "UW2", "P", "ER0"),
    "tele": ("T", "EH2", "L", "AH0"),
    "tera": ("T", "EH2", "R", "AH0"),
    "ultra": ("AH2", "L", "T", "R", "AH0"),
    "un": ("AH0", "N"),
    "under": ("AH2", "N", "D", "ER0"),
}
_MEASURED = frozenset(("amp", "bar", "bit", "lux", "mol", "ohm"))
_SHORTEST_PART = 4
"""Letters in each half of a compound; shorter ones match by accident, but for `_SHORT_PARTS`."""
_SHORT_PARTS = word_set(
    """
    air bar bay bed bot box bus cam car day eye fan gas hub ice jet key lab lap log map net oil pad pay pen pin pod
    sea sky sun tap tax top toy tub van way web
    """
)


def plural_phones(phones: Phones) -> Phones:
    """With the s of plural, possessive or third person: S, Z or AH0 Z."""
    last = phones[-1]
    return (*phones, *(("AH0", "Z") if last in _SIBILANTS else ("S",) if last in _VOICELESS else ("Z",)))


def past_phones(phones: Phones) -> Phones:
    """With the ending -ed: T, D or AH0 D."""
    last = phones[-1]
    return (*phones, *(("AH0", "D") if last in ("T", "D") else ("T",) if last in _VOICELESS else ("D",)))


def derive(word: str, look_up: Lookup) -> Phones | None:
    """Phones of an inflection, prefixed word or compound of words that `look_up` knows; None if it is none."""
    return _inflected(word, look_up) or _prefixed(word, look_up) or _compound(word, look_up)


def _inflected(word: str, look_up: Lookup) -> Phones | None:
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        for stem_word in _stems(word[:-1], "s"):
            if stem := look_up(stem_word):
                return plural_phones(stem)
    if word.endswith("ed") and len(word) > 4:
        for stem_word in _stems(word[:-2], "ed"):
            if stem := look_up(stem_word):
                return past_phones(stem)
    for suffix, phones in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            for stem_word in _stems(word[: -len(suffix)], suffix):
                if stem := look_up(stem_word):
                    return (*stem, *phones)
    return None


def _stems(stem: str, suffix: str) -> list[str]:
    """Spellings the stem may have had before the suffix: `stopp` stop, `charg` charge, `carri` carry."""
    stems = [stem]
    if suffix[0] in "aei":
        stems.append(stem + "e")
        if len(stem) > 3 and stem[-1] == stem[-2]:
            stems.insert(0, stem[:-1])
    if stem.endswith("i"):
        stems.append(stem[:-1] + "y")
    if suffix == "s" and stem.endswith("ie"):
        stems.append(stem[:-2] + "y")
    if suffix == "s" and stem.endswith("e"):
        stems.append(stem[:-1])
    return stems


def _prefixed(word: str, look_up: Lookup) -> Phones | None:
    for length in range(min(7, len(word) - 3), 1, -1):
        prefix = _PREFIXES.get(word[:length])
        if prefix and (len(word) - length >= 4 or word[length:] in _MEASURED):
            rest = look_up(word[length:]) or _inflected(word[length:], look_up)
            if rest and any(map(is_vowel, rest)):
                return (*prefix, *rest)
    return None


def _is_part(word: str) -> bool:
    return len(word) >= _SHORTEST_PART or word in _SHORT_PARTS


def _compound(word: str, look_up: Lookup) -> Phones | None:
    middle = len(word) / 2
    places = [at for at in range(3, len(word) - 2) if _is_part(word[:at]) and _is_part(word[at:])]
    for at in sorted(places, key=lambda place: abs(place - middle)):
        first = look_up(word[:at])
        second = first and look_up(word[at:])
        if first and second:
            return (*first, *(phone[:-1] + "2" if phone.endswith("1") else phone for phone in second))
    return None
