"""Numbers as English words. Words come in lists; num2words does the counting and is loaded at the first number."""

from __future__ import annotations

from functools import lru_cache

MAX_COUNTED_DIGITS = 15
"""A longer integer is read digit by digit."""
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DENOMINATORS = {2: ("half", "halves"), 4: ("quarter", "quarters")}


@lru_cache(maxsize=2048)
def _words(value: int, kind: str) -> tuple[str, ...]:
    from num2words import num2words

    text: str = num2words(value, to=kind)
    return tuple(word for word in text.replace("-", " ").replace(",", "").split() if word != "and")


def digits(text: str) -> list[str]:
    """Each digit by its name; other characters are left out."""
    return [_DIGITS[int(character)] for character in text if character in "0123456789"]


def cardinal(text: str) -> list[str]:
    """The count for a string of digits: `21` twenty one. Leading zeros and very long numbers are read by the digit."""
    if len(text) > MAX_COUNTED_DIGITS or (text[0] == "0" and len(text) > 1):
        return digits(text)
    return list(_words(int(text), "cardinal"))


def ordinal(value: int) -> list[str]:
    """`21` twenty first."""
    return list(_words(value, "ordinal"))


def year(value: int) -> list[str]:
    """`1999` nineteen ninety nine, `2005` two thousand five, `1900` nineteen hundred."""
    return list(_words(value, "year"))


def number(text: str) -> list[str]:
    """A decimal number as it is written, with thousands commas (`1,234.5`) or a decimal comma (`3,5`)."""
    before, comma, after = text.rpartition(",")
    text = f"{before}.{after}" if comma and len(after) < 3 else text.replace(",", "")
    whole, point, fraction = text.partition(".")
    words = cardinal(whole) if whole else ["zero"]
    return [*words, "point", *digits(fraction)] if point and fraction else words


def pairs(text: str) -> list[str]:
    """As room, flight and model numbers are read: `101` one oh one, `1204` twelve oh four, `90210` by the digit."""
    if len(text) < 3:
        return cardinal(text)
    if len(text) > 4 or text[0] == "0":
        return digits(text)
    if text.endswith("00"):
        return cardinal(text) if text.endswith("000") else [*cardinal(text[:-2]), "hundred"]
    return [*cardinal(text[:-2]), *(["oh", *digits(text[-1])] if text[-2] == "0" else cardinal(text[-2:]))]


def fraction(numerator: int, denominator: int) -> list[str]:
    """`3`, `4`: three quarters."""
    one, many = _DENOMINATORS.get(denominator) or (" ".join(ordinal(denominator)), "")
    name = one if numerator == 1 else many or f"{one}s"
    return [*cardinal(str(numerator)), *name.split()]


def decade(value: int) -> list[str]:
    """`1990` nineteen nineties, `1900` nineteen hundreds, `20` twenties."""
    words = year(value) if value >= 1000 else cardinal(str(value))
    last = words[-1]
    return [*words[:-1], last[:-1] + "ies" if last.endswith("y") else last + "s"]
