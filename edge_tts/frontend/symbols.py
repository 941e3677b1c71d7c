"""The phones that English words are made of: ARPAbet as in CMUdict, stress as a digit on the vowel."""

from __future__ import annotations

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
ARPABET = tuple(sorted(VOWELS + CONSONANTS))
"""The 39 phones without stress."""
PHONES = CONSONANTS + tuple(vowel + stress for vowel in VOWELS for stress in "012")
"""Every phone a word may hold: 24 consonants, and 15 vowels with stress 0 (none), 1 (primary) or 2 (secondary).

The order is part of the lexicon's file format: a phone is stored as its index here.
"""
PHONE_INDEX = {phone: index for index, phone in enumerate(PHONES)}


def is_vowel(phone: str) -> bool:
    """Whether `phone` (with its stress digit) is a vowel."""
    return phone[-1] in "012"
