"""Dates and times of day: `2026-11-20`, `Nov. 3rd`, `20 Nov 2026`, `14:05`, `7 a.m.`"""

from __future__ import annotations

import re

from edge_tts.frontend.english.numbers import cardinal, decade, ordinal, year
from edge_tts.frontend.english.rules import Context, Rule

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    "december",
)
_MONTH_NUMBER = {month[:3]: number for number, month in enumerate(MONTHS, 1)}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = {day[:3]: day for day in _WEEKDAYS} | {"tues": "tuesday", "thur": "thursday", "thurs": "thursday"}

_MONTH = (
    r"(?P<month>(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)(?![A-Za-z]))"
)
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?P<year>[12]\d{3})(?![\w%]|[.,]\d)"
_ISO = re.compile(r"(?P<year>[12]\d{3})-(?P<month>1[0-2]|0?[1-9])-(?P<day>3[01]|[12]\d|0?[1-9])(?:T(?=\d)|(?!\w|-))")
_SLASHED = re.compile(
    r"(?P<first>\d{1,2})(?P<mark>[/.-])(?P<second>\d{1,2})(?P=mark)(?P<year>[12]\d{3}|\d{2})(?![\w/]|[.:]\d)"
)
_DAY_MONTH = re.compile(rf"{_DAY}(?:st|nd|rd|th)?[ -](?:of )?{_MONTH}(?:\.(?= ?\d))?(?:,?[ -]{_YEAR})?", re.IGNORECASE)
_MONTH_DAY = re.compile(
    rf"{_MONTH}\.?(?: the)? {_DAY}(?:st|nd|rd|th)?(?![\w:%/-]|[.,]\d)(?:,? {_YEAR})?", re.IGNORECASE
)
_MONTH_YEAR = re.compile(rf"{_MONTH}\.?,? {_YEAR}", re.IGNORECASE)
_THROUGH = r"(?P<to> ?[-–] ?(?=[A-Z]))?"
_MONTH_ALONE = re.compile(
    r"(?P<month>Jan|Feb|Apr|Aug|Sept?|Oct|Nov|Dec|(?<=[-–])(?:Mar|Jun|Jul)|(?:Mar|Jun|Jul)(?=[-–]))(?![\w'])\.?"
    + _THROUGH
)
_WEEKDAY_ALONE = re.compile(
    r"(?:(?P<day>Mon|Tues?|Wed|Thu(?:rs?)?|Fri)(?![\w'])\.?|(?P<end>Sat|Sun)(?:\.|(?=, ?\w+ \d)|(?<=[-–]...))(?!\w))"
    + _THROUGH
)
_DECADE = re.compile(r"(?P<decade>[12]\d\d0|'?\d0)(?P<s>'?s)(?!\w)")

_TO = r"(?P<to> ?[-–—] ?(?=\d))?"
_HALF = r"(?P<half>[aApP]\.?[mM](?:\.(?=\W|$)|\b))"
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?!\d)(?::(?P<second>[0-5]\d)(?:[.,]\d{1,9})?(?!\d))?(?P<zulu>Z\b)?"
    rf"(?: ?{_HALF})?{_TO}"
)
_HOUR = re.compile(rf"(?P<hour>1[0-2]|0?[1-9]) ?{_HALF}{_TO}")
_HOUR_RANGE = re.compile(
    r"(?P<first>1[0-2]|0?[1-9])(?::(?P<minute>[0-5]\d))? ?[-–—] ?(?=\d{1,2}(?::[0-5]\d)? ?[aApP]\.?[mM]\b)"
)


def _month(name: str) -> str:
    return MONTHS[_MONTH_NUMBER[name[:3].lower()] - 1]


def date(month: int, day: int, year_: int | None) -> list[str]:
    """`november twentieth , twenty twenty six`, with a break before the year."""
    return [MONTHS[month - 1], *ordinal(day), *([",", *year(year_)] if year_ else [])]


def _iso(match: re.Match[str], context: Context) -> list[str]:
    words = date(int(match["month"]), int(match["day"]), int(match["year"]))
    return [*words, "at"] if match[0].endswith("T") else words


def _slashed(match: re.Match[str], context: Context) -> list[str] | None:
    first, second = int(match["first"]), int(match["second"])
    month, day = (second, first) if match["mark"] == "." or first > 12 else (first, second)
    if not (1 <= month <= 12 and 1 <= day <= 31) or (match["mark"] != "/" and len(match["year"]) < 4):
        return None
    value = int(match["year"])
    return date(month, day, value + 2000 if value < 70 else value + 1900 if value < 100 else value)


def _named(match: re.Match[str], context: Context) -> list[str] | None:
    name = match["month"]
    if name[0].islower() and (len(name) < 4 or name == "march"):
        return None
    month = _MONTH_NUMBER[name[:3].lower()]
    words = date(month, int(match["day"]), int(match["year"]) if match["year"] else None)
    if " of " in match[0]:
        day = ordinal(int(match["day"]))
        words = [*day, "of", *words[:1], *words[1 + len(day) :]]
    return words


def _month_year(match: re.Match[str], context: Context) -> list[str] | None:
    if match["month"][0].islower() and len(match["month"]) < 4:
        return None
    return [_month(match["month"]), *year(int(match["year"]))]


def _month_alone(match: re.Match[str], context: Context) -> list[str]:
    return [_month(match["month"]), *(["to"] if match["to"] else [])]


def _weekday(match: re.Match[str], context: Context) -> list[str]:
    name = (match["day"] or match["end"]).lower()
    return [_WEEKDAY.get(name) or _WEEKDAY[name[:3]], *(["to"] if match["to"] else [])]


def _decade(match: re.Match[str], context: Context) -> list[str] | None:
    digits = match["decade"].lstrip("'")
    if len(digits) == 2 and (
        digits in ("00", "10") or not ("'" in match[0] or context.last in ("the", "mid", "early", "late"))
    ):
        return None
    return decade(int(digits))


def time(hour: int, minute: int, second: int | None = None, half: str | None = None) -> list[str]:
    """`14:05` fourteen oh five, `9:00` nine o'clock, `2:30 pm` two thirty PM, `14:00` fourteen hundred."""
    if second is None and minute == 0 and half is None:
        if hour in (0, 24):
            return ["midnight"]
        return [*cardinal(str(hour)), "o'clock"] if hour <= 12 else [*cardinal(str(hour)), "hundred"]
    words = cardinal(str(hour))
    if minute or second is not None:
        words = [*words, *(["oh"] if minute < 10 else []), *cardinal(str(minute))]
    if second:
        words = [*words, "and", *cardinal(str(second)), "second" if second == 1 else "seconds"]
    return [*words, *([half] if half else [])]


def _half(text: str | None) -> str | None:
    return None if text is None else text.replace(".", "").upper()


def _clock(match: re.Match[str], context: Context) -> list[str] | None:
    hour, half = int(match["hour"]), _half(match["half"])
    if hour > 24 or (half and not 1 <= hour <= 12):
        return None
    second = int(match["second"]) if match["second"] else None
    if match["hour"] == "00" and second is not None and (minutes := int(match["minute"])) + second and not half:
        parts = [(minutes, "minute"), (second, "second")]
        spans = [[*cardinal(str(count)), name if count == 1 else name + "s"] for count, name in parts if count]
        return [*spans[0], *(["and", *spans[1]] if spans[1:] else []), *(["to"] if match["to"] else [])]
    words = time(hour, int(match["minute"]), second or None, half)
    return [*words, *(["UTC"] if match["zulu"] else []), *(["to"] if match["to"] else [])]


def _hour(match: re.Match[str], context: Context) -> list[str]:
    return [*time(int(match["hour"]), 0, None, _half(match["half"])), *(["to"] if match["to"] else [])]


def _hour_range(match: re.Match[str], context: Context) -> list[str]:
    words = cardinal(match["first"].lstrip("0"))
    if match["minute"] and match["minute"] != "00":
        words = time(int(match["first"]), int(match["minute"]), None, "")
    return [*words, "to"]


DIGIT_RULES: tuple[Rule, ...] = (
    (_ISO, _iso),
    (_SLASHED, _slashed),
    (_DAY_MONTH, _named),
    (_HOUR_RANGE, _hour_range),
    (_CLOCK, _clock),
    (_HOUR, _hour),
    (_DECADE, _decade),
)
"""For what begins with a digit (or an apostrophe: `'90s`)."""
WORD_RULES: tuple[Rule, ...] = (
    (_MONTH_DAY, _named),
    (_MONTH_YEAR, _month_year),
    (_MONTH_ALONE, _month_alone),
    (_WEEKDAY_ALONE, _weekday),
)
"""For what begins with a capital letter."""
