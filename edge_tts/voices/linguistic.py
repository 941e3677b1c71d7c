"""Turns a Sentence into the integer features per phone that a student voice reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_tts.errors import VoiceError
from edge_tts.sentence import Break, Sentence, Word

SILENCE = "SIL"
SYMBOLS = (
    *("PAD", SILENCE, "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH"),
    *("IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W"),
    *("Y", "Z", "ZH"),
)
"""ARPAbet without stress, in the order of their ids; id 0 pads."""

FAR = 5
"""Word distances are counted up to here."""

FEATURES = {
    "symbol": len(SYMBOLS),
    "stress": 4,
    "in_word": 5,
    "boundary": 3,
    "from_start": FAR + 2,
    "to_end": FAR + 2,
    "word_class": 3,
}
"""Columns of the features and how many values each takes; 0 is `none` or padding."""

FUNCTION_WORDS = frozenset(
    word
    for line in (
        "a about above after again against all am an and any are as at be because been before being below between",
        "both but by can could did do does doing down during each few for from had has have having he her hers him",
        "his how i if in into is it its just may me might more most must my no nor not of off on once only or",
        "other our out over own shall she should so some such than that the their them then there these they this",
        "those through to too under until up upon us very was we were what when where which while who whom why",
        "will with would you your i'm i'll i've i'd he's she's it's that's there's we're they're you're he'd she'd",
        "we'd they'd you'd he'll she'll we'll they'll you'll don't didn't doesn't can't couldn't won't wouldn't",
        "wasn't weren't isn't aren't hadn't hasn't haven't",
    )
    for word in line.split()
)
"""Words of grammar, which are seldom accented."""


@dataclass(frozen=True)
class Tokens:
    """A sentence as a row of phones with silences at its edges and breaks."""

    ids: npt.NDArray[np.int64]
    """[phones, len(FEATURES)]"""
    phones: tuple[str, ...]
    """Without stress."""
    words: tuple[int, ...]
    """For each phone the number of its word, -1 for silence."""


def _split(phone: str, symbols: dict[str, int]) -> tuple[str, int]:
    bare = phone.rstrip("012")
    if bare not in symbols or bare in ("PAD", SILENCE) or len(phone) - len(bare) > 1:
        raise VoiceError(f"the voice has no phone {phone!r}; it knows {' '.join(SYMBOLS[2:])}")
    stress = {"": 0, "0": 1, "1": 2, "2": 3}[phone[len(bare) :]]
    return bare, stress


def _phrases(words: tuple[Word, ...]) -> list[list[int]]:
    phrases: list[list[int]] = [[]]
    for index, word in enumerate(words):
        phrases[-1].append(index)
        if word.break_after >= Break.MINOR and index + 1 < len(words):
            phrases.append([])
    return phrases


def tokenize(sentence: Sentence) -> Tokens:
    """The sentence's phones with silences. Raises VoiceError naming a phone that the voice does not know."""
    ids = {symbol: i for i, symbol in enumerate(SYMBOLS)}
    rows = [(ids[SILENCE], 0, 0, 0, 0, 0, 0)]
    phones, owners = [SILENCE], [-1]
    phrases = _phrases(sentence.words)
    for number, phrase in enumerate(phrases):
        boundary = 2 if number + 1 == len(phrases) else 1
        for position, index in enumerate(phrase):
            word = sentence.words[index]
            left = len(phrase) - 1 - position
            kind = 2 if word.text in FUNCTION_WORDS else 1
            last = len(word.phones) - 1
            for i, phone in enumerate(word.phones):
                bare, stress = _split(phone, ids)
                in_word = 4 if last == 0 else 1 if i == 0 else 3 if i == last else 2
                ends = boundary if left == 0 else 0
                rows.append((ids[bare], stress, in_word, ends, 1 + min(position, FAR), 1 + min(left, FAR), kind))
                phones.append(bare)
                owners.append(index)
        rows.append((ids[SILENCE], 0, 0, boundary, 0, 0, 0))
        phones.append(SILENCE)
        owners.append(-1)
    return Tokens(np.array(rows, np.int64), tuple(phones), tuple(owners))
