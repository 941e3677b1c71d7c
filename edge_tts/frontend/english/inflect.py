"""Inflected and compound words from the phones of the words they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable

from edge_tts.frontend.symbols import is_vowel
from edge_tts.frontend.word_lists import word_set

Phones = tuple[str, ...]
Lookup = Callable[[str], "Phones | None"]

_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH", "S", "SH", "CH"))
_SUFFIXES: tuple[tuple[str, Phones], ...] = (
    ("able", ("AH0", "B", "AH0", "L")),
    ("ful", ("F", "AH0", "L")),
    ("less", ("L", "AH0", "S")),
    ("like", ("L", "AY2", "K")),
    ("ness", ("N", "AH0", "S")),
    ("proof", ("P", "R", "UW2", "F")),
    ("wise", ("W", "AY2", "Z")),
    ("n't", ("AH0", "N", "T")),
    ("'ll", ("AH0", "L")),
    ("'ve", ("AH0", "V")),
    ("'re", ("ER0",)),
    ("'d", ("D",)),
)
"""Only those that come out better this way than from the letter-to-sound model (-ing, -er and -ly do not)."""
_PREFIXES: dict[str, Phones] = {
    "anti": ("AE2", "N", "T", "IY0"),
    "auto": ("AO2", "T", "OW0"),
    "counter": ("K", "AW2", "N", "T", "ER0"),
    "cyber": ("S", "AY2", "B", "ER0"),
    "giga": ("G", "IH2", "G", "AH0"),
    "hecto": ("HH", "EH2", "K", "T", "OW0"),
    "hyper": ("HH", "AY2", "P", "ER0"),
    "inter": ("IH2", "N", "T", "ER0"),
    "kilo": ("K", "IH2", "L", "AH0"),
    "mega": ("M", "EH2", "G", "AH0"),
    "micro": ("M", "AY2", "K", "R", "OW0"),
    "milli": ("M", "IH2", "L", "AH0"),
    "multi": ("M", "AH2", "L", "T", "IY0"),
    "nano": ("N", "AE2", "N", "OW0"),
    "non": ("N", "AA0", "N"),
    "over": ("OW2", "V", "ER0"),
    "pico": ("P", "IY2", "K", "OW0"),
    "re": ("R", "IY0"),
    "semi": ("S", "EH2", "M", "IY0"),
    "super": ("S", "UW2", "P", "ER0"),
    "tele": ("T", "EH2", "L", "AH0"),
    "tera": ("T", "EH2", "R", "AH0"),
    "ultra": ("AH2", "L", "T", "R", "AH0"),
    "un": ("AH0", "N"),
    "under": ("AH2", "N", "D", "ER0"),
}
_SHORT_SYLLABLE = re.compile("(?:^|[^aeiou])[aeiou][^aeiouwxy]$")
"""Before -ed such a stem has lost an e: `nam`, `pip`."""
_MEASURED = frozenset(("amp", "bar", "bit", "lux", "mol", "ohm"))
_SECOND_PARTS = word_set(
    """
    arm band bank bar base belt board boot bot box bus cam camera car card case chain chair code copter craft desk
    disk dock door drive driver fan feed field file finder flow frame gate grid guard hand head holder host house hub
    kit lab lamp lane lift light line list load loader lock log mark meter mode mount net pad page park path phone
    piece pipe plan plate plug point port print pump rack rail reader room route safe scan scanner screen sensor
    service set sheet shop side sink site space speed spot stand station stick stop stream switch table tag tank tape
    time tool track train truck view wall ware watch wave way wheel wire word work works yard zone
    """
)
"""What compounds end in; with any word allowed there, most surnames would be taken for compounds."""


def plural_phones(phones: Phones) -> Phones:
    """With the s of plural, possessive or third person: S, Z or IH0 Z."""
    last = phones[-1]
    return (*phones, *(("IH0", "Z") if last in _SIBILANTS else ("S",) if last in _VOICELESS else ("Z",)))


def past_phones(phones: Phones) -> Phones:
    """With the ending -ed: T, D or IH0 D."""
    last = phones[-1]
    return (*phones, *(("IH0", "D") if last in ("T", "D") else ("T",) if last in _VOICELESS else ("D",)))


def derive(word: str, look_up: Lookup) -> Phones | None:
    """Phones of an inflection, prefixed word or compound of words that `look_up` knows; None if it is none."""
    phones = _inflected(word, look_up) or _prefixed(word, look_up) or _compound(word, look_up)
    if phones is None and word.endswith("s"):
        stem = _prefixed(word[:-1], look_up) or _compound(word[:-1], look_up)
        return plural_phones(stem) if stem else None
    return phones


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
    """Spellings the stem may have had before the suffix, likeliest first: `stopp` stop, `nam` name, `carri` carry."""
    if suffix == "s":
        return [stem, stem[:-2] + "y"] if stem.endswith("ie") else [stem, stem[:-1]] if stem.endswith("e") else [stem]
    stems = [stem]
    if suffix[0] in "ae":
        stems.insert(0 if _SHORT_SYLLABLE.search(stem) else 1, stem + "e")
        if len(stem) > 3 and stem[-1] == stem[-2]:
            stems.insert(0, stem[:-1])
    if stem.endswith("i"):
        stems.append(stem[:-1] + "y")
    return stems


def _prefixed(word: str, look_up: Lookup) -> Phones | None:
    for length in range(min(7, len(word) - 3), 1, -1):
        prefix = _PREFIXES.get(word[:length])
        if prefix and (len(word) - length >= 4 or word[length:] in _MEASURED):
            rest = look_up(word[length:]) or _inflected(word[length:], look_up)
            if rest and any(map(is_vowel, rest)):
                return (*prefix, *rest)
    return None


def _compound(word: str, look_up: Lookup) -> Phones | None:
    for at in range(3, len(word) - 2):
        if word[at:] in _SECOND_PARTS and (first := look_up(word[:at])) and (second := look_up(word[at:])):
            return (*first, *(phone[:-1] + "2" if phone.endswith("1") else phone for phone in second))
    return None
