"""The readings that SSML's `say-as` asks for, in English."""

from __future__ import annotations

import re
from collections.abc import Callable

from edge_tts.errors import BadRequest
from edge_tts.frontend.english.codes import spell
from edge_tts.frontend.english.dates import date
from edge_tts.frontend.english.numbers import digits, number, ordinal
from edge_tts.frontend.normalize import clean

_NAMES = {
    **{".": "dot", ",": "comma", "-": "dash", "/": "slash", "_": "underscore", "@": "at", "+": "plus", ":": "colon"},
    **{"#": "hash", "*": "star", "&": "and", "%": "percent", "?": "question mark", "!": "exclamation mark"},
    **{"=": "equals", "(": "parenthesis", ")": "parenthesis", "$": "dollar", ";": "semicolon", "'": "apostrophe"},
}


def say_as(text: str, interpretation: str, detail: str = "") -> list[str] | None:
    """Tokens for `text`; None where the ordinary rules read it well (times, dates in words).

    Raises BadRequest for an interpretation that is not known, or a text it does not fit.
    """
    reader = _READERS.get(interpretation)
    if reader is None:
        raise BadRequest(f"ssml: say-as interpret-as={interpretation!r} is not known; use {', '.join(_READERS)}")
    return reader(clean(text).strip(), detail)


def _characters(text: str, detail: str) -> list[str]:
    tokens: list[str] = []
    for character in text:
        if character.isascii() and character.isalnum():
            tokens += spell(character)
        else:
            tokens += _NAMES.get(character, "").split()
    return tokens


def _digits(text: str, detail: str) -> list[str]:
    return digits(text)


def _cardinal(text: str, detail: str) -> list[str]:
    match = re.fullmatch(r"([-+]?)((?:\d[\d,]{0,400})(?:\.\d{1,400})?)", text)
    if not match:
        raise BadRequest(f"ssml: say-as cardinal needs a number, not {text[:40]!r}")
    return [*({"-": ["minus"], "+": ["plus"]}.get(match[1], [])), *number(match[2])]


def _ordinal(text: str, detail: str) -> list[str]:
    match = re.fullmatch(r"(\d{1,15})(?:st|nd|rd|th)?", text.replace(",", ""))
    if not match:
        raise BadRequest(f"ssml: say-as ordinal needs a whole number, not {text[:40]!r}")
    return ordinal(int(match[1]))


def _date(text: str, detail: str) -> list[str] | None:
    parts = re.findall(r"\d+", text)
    order = re.sub(r"[^dmy]", "", detail.lower())
    if not order or len(parts) != len(order) or re.search("[A-Za-z]", text):
        return None
    fields = dict(zip(order, map(int, parts), strict=True))
    month, day = fields.get("m"), fields.get("d")
    if month is None or day is None or not (1 <= month <= 12 and 1 <= day <= 31):
        raise BadRequest(f"ssml: say-as date {text[:40]!r} is no date in the order {detail!r}")
    return date(month, day, fields.get("y"))


def _time(text: str, detail: str) -> None:
    return None


def _telephone(text: str, detail: str) -> list[str]:
    tokens = ["plus"] if text.startswith("+") else []
    for index, group in enumerate(re.findall(r"\d+", text)):
        tokens += [*([","] if index else []), *digits(group)]
    return tokens


_READERS: dict[str, Callable[[str, str], list[str] | None]] = {
    "characters": _characters,
    "spell-out": _characters,
    "verbatim": _characters,
    "digits": _digits,
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    "date": _date,
    "time": _time,
    "telephone": _telephone,
}
