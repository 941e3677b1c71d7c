"""What begins with a digit, a sign or a currency: money, ranges, fractions, ordinals, phone numbers, plain numbers."""

from __future__ import annotations

import re

from edge_tts.frontend.english.numbers import cardinal, digits, fraction, number, ordinal, pairs, year
from edge_tts.frontend.english.rules import NUMBER, PLACES, SIGN, Context, Rule, sign

_CURRENCIES = {
    **{
        "$": ("dollar", "cent"),
        "€": ("euro", "cent"),
        "£": ("pound", "penny"),
        "¥": ("yen", ""),
        "₹": ("rupee", "paisa"),
    },
    **{"USD": ("dollar", "cent"), "US$": ("dollar", "cent"), "EUR": ("euro", "cent"), "GBP": ("pound", "penny")},
    **{"JPY": ("yen", ""), "CHF": ("franc", "centime"), "CNY": ("yuan", "fen"), "INR": ("rupee", "paisa")},
    **{
        "CAD": ("canadian dollar", "cent"),
        "AUD": ("australian dollar", "cent"),
        "¢": ("cent", ""),
        "₿": ("bitcoin", ""),
    },
    **{"₩": ("won", ""), "₽": ("ruble", "kopeck"), "₴": ("hryvnia", "kopiyka"), "₺": ("lira", "kurush")},
}
_PLURALS = {
    "yen": "yen",
    "yuan": "yuan",
    "won": "won",
    "penny": "pence",
    "fen": "fen",
    "paisa": "paise",
    "lira": "lira",
}
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion"}
_CURRENCY = "|".join(re.escape(symbol) for symbol in sorted(_CURRENCIES, key=len, reverse=True))
_SCALE = r"(?: ?(?P<scale>thousand|million|billion|trillion|mn|bn|[kKmMbBtT])(?![\w]))"
_MONEY = re.compile(
    rf"(?P<sign>[-−+±]?)(?P<currency>{_CURRENCY}) ?(?P<number>{NUMBER})(?: ?(?:-|–) ?(?P<to>{NUMBER}))?{_SCALE}?"
)
_MONEY_AFTER = re.compile(rf"(?P<sign>{SIGN})(?P<number>{NUMBER})(?P<to>)(?P<scale>)? ?(?P<currency>{_CURRENCY})(?!\w)")

_PHONE = re.compile(
    r"(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]\d{2,10}){1,5}|\+\d{8,15}"
    r"|(?:1[ .-])?(?:\(\d{3}\)[ -]?|\d{3}[ .-])\d{3}[ .-]\d{4}"
    r"|0\d{2,4}[ /-]\d{3,8}(?:[ -]\d{2,4}){0,2}|\d{3}-\d{4})(?![\w-]|\.\d)"
)
_ORDINAL = re.compile(r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,9})(?:st|nd|rd|th|ST|ND|RD|TH)(?!\w)")
_FRACTION = re.compile(r"(?:(?P<whole>\d{1,4})[ -])?(?P<top>\d{1,4})[/⁄](?P<bottom>\d{1,4})(?![\w/]|\.\d)")
_CHAIN = re.compile(r"\d{1,4}(?:-\d{1,4}){2,9}(?![\w-]|\.\d)")
_RANGE = re.compile(
    rf"(?P<sign>{SIGN})(?P<first>{NUMBER})(?: ?[–—] ?|-|\.\.\.?)(?P<second>{NUMBER})(?![\w-]|/\d)(?! ?=)"
)
_PRODUCT = re.compile(rf"(?P<first>{NUMBER}) x (?P<second>{NUMBER})(?! ?[\w²])")
_DIMENSIONS = re.compile(
    rf"(?P<first>{NUMBER})(?:×| ?x ?)(?P<second>{NUMBER})(?:(?:×| ?x ?)(?P<third>{NUMBER}))?(?![\d.]*\w)"
)
_TIMES = re.compile(rf"(?P<number>{NUMBER})[x×](?!\w)")
_RATIO = re.compile(r"(?P<first>\d{1,4}):(?P<second>\d{1,4})(?![\w:])")
_SCIENTIFIC = re.compile(
    rf"(?P<sign>{SIGN})(?P<number>\d{{1,20}}(?:\.\d{{1,20}})?)(?:[eE]| ?[x×] ?10\^)(?P<power>[-+−]?\d{{1,4}})(?!\w)"
)
_POWER = re.compile(rf"(?P<sign>{SIGN})(?P<number>{NUMBER})\^(?P<power>[-−]?\d{{1,4}})(?!\w)")
_SCALED = re.compile(rf"(?P<sign>{SIGN})(?P<number>{NUMBER})(?P<scale>[KkMB]|bn|mn)(?![\w'])")
_FEET = re.compile(r"(?P<feet>\d{1,2})(?:'|ft) ?(?P<inches>\d{1,2})(?:\"|''|in)(?!\w)")
_SPACED = re.compile(r"(?P<number>[1-9]\d{0,2}(?: \d{3}){2,4})(?! ?[\d-])")
_NUMBER = re.compile(rf"(?P<sign>{SIGN})(?P<number>{NUMBER}|(?<!\w)\.\d{{1,60}})")

_BY_PAIRS = frozenset(
    ("room", "suite", "flight", "apartment", "route", "highway", "interstate", "extension", "bus", "train")
)
_BY_DIGIT = frozenset(
    ("code", "pin", "PIN", "dial", "call", "serial", "password", "passcode", "zip", "ticket", "id", "ID")
)
_YEAR_BEFORE = frozenset(
    ("in", "since", "until", "till", "by", "from", "year", "of", "before", "after", "during", "anno")
)


def _plural(name: str) -> str:
    return _PLURALS.get(name) or name + "s"


def _amount(count: str, name: str) -> list[str]:
    return [*cardinal(count), *(name if count == "1" else _plural(name)).split()]


def _money(match: re.Match[str], context: Context) -> list[str]:
    main, small = _CURRENCIES[match["currency"]]
    value, scale = match["number"].replace(",", ""), match["scale"]
    words = sign(match["sign"])
    if scale or match["to"]:
        to = ["to", *number(match["to"])] if match["to"] else []
        scaled = [_SCALES.get(scale.lower(), scale)] if scale else []
        return [*words, *number(value), *to, *scaled, *_plural(main).split()]
    whole, _, cents = value.partition(".")
    if not small or len(cents) != 2:
        return [*words, *number(value), *(main if value == "1" else _plural(main)).split()]
    whole = whole.lstrip("0") or "0"
    parts = [_amount(amount, name) for amount, name in ((whole, main), (cents.lstrip("0"), small)) if amount.strip("0")]
    if len(parts) == 2:
        return [*words, *parts[0], "and", *parts[1]]
    return [*words, *(parts[0] if parts else _amount("0", main))]


def _phone(match: re.Match[str], context: Context) -> list[str]:
    groups = re.findall(r"\d+", match[0])
    words = ["plus"] if match[0].startswith("+") else []
    for index, group in enumerate(groups):
        tens = group == "800" or (group == "900" and len(groups) > 2)
        words += [*([","] if index else []), *(pairs(group) if tens else digits(group))]
    return words


def _ordinal(match: re.Match[str], context: Context) -> list[str]:
    return ordinal(int(match["number"].replace(",", "")))


def _fraction(match: re.Match[str], context: Context) -> list[str]:
    whole, top, bottom = match["whole"], int(match["top"]), int(match["bottom"])
    if top == bottom and top not in (20, 50):
        return [*cardinal(match["top"]), "out", "of", *cardinal(match["bottom"])]
    if top == bottom or (top, bottom) == (24, 7):
        return [*cardinal(match["top"]), *cardinal(match["bottom"])]
    if 0 < top < bottom and (bottom <= 10 or bottom in (12, 16, 32, 64, 100, 1000)):
        words = fraction(top, bottom)
        if whole:
            return [*cardinal(whole), "and", *(["a", *words[1:]] if top == 1 else words)]
        return words
    return [*(cardinal(whole) if whole else []), *cardinal(match["top"]), "slash", *cardinal(match["bottom"])]


def _chain(match: re.Match[str], context: Context) -> list[str]:
    groups = match[0].split("-")
    if len(match[0]) == 2 * len(groups) - 1:
        return digits("".join(groups))
    return [word for group in groups for word in (",", *pairs(group))][1:]


def _range(match: re.Match[str], context: Context) -> list[str]:
    first, second = match["first"], match["second"]
    read = year_or_number if len(first) == len(second) == 4 else number
    return [*sign(match["sign"]), *read(first), "to", *read(second)]


def _dimensions(match: re.Match[str], context: Context) -> list[str]:
    sides = [side for side in (match["first"], match["second"], match["third"]) if side]
    words: list[str] = []
    for index, side in enumerate(sides):
        words += [*(["by"] if index else []), *(pairs(side) if side.isdigit() and len(side) == 4 else number(side))]
    return words


def _product(match: re.Match[str], context: Context) -> list[str]:
    return [*number(match["first"]), "times", *number(match["second"])]


def _times(match: re.Match[str], context: Context) -> list[str]:
    return [*number(match["number"]), "times"]


def _ratio(match: re.Match[str], context: Context) -> list[str]:
    return [*cardinal(match["first"]), "to", *cardinal(match["second"])]


def _exponent(text: str) -> list[str]:
    return ["to", "the", *(["minus"] if text[0] in "-−" else []), *ordinal_or_digits(text.lstrip("+-−"))]


def ordinal_or_digits(text: str) -> list[str]:
    """The exponent of a power of ten: `twelfth`."""
    return ordinal(int(text)) if int(text) else ["zero"]


def _scientific(match: re.Match[str], context: Context) -> list[str]:
    return [*sign(match["sign"]), *number(match["number"]), "times", "ten", *_exponent(match["power"])]


def _power(match: re.Match[str], context: Context) -> list[str]:
    words = [*sign(match["sign"]), *number(match["number"])]
    if match["power"] in ("2", "3"):
        return [*words, "squared" if match["power"] == "2" else "cubed"]
    return [*words, *_exponent(match["power"])]


def _scaled(match: re.Match[str], context: Context) -> list[str] | None:
    scale = match["scale"]
    if context.last in PLACES:
        return None
    return [*sign(match["sign"]), *number(match["number"]), "K" if scale == "K" else _SCALES[scale.lower()]]


def _spaced(match: re.Match[str], context: Context) -> list[str]:
    return number(match["number"].replace(" ", ""))


def _feet(match: re.Match[str], context: Context) -> list[str]:
    feet, inches = match["feet"], match["inches"]
    return [
        *cardinal(feet),
        "foot" if feet == "1" else "feet",
        *cardinal(inches),
        "inch" if inches == "1" else "inches",
    ]


def year_or_number(text: str) -> list[str]:
    """Years from 1900 to 2099 as years, everything else as a count."""
    if len(text) == 4 and text.isdigit() and 1900 <= int(text) <= 2099:
        return year(int(text))
    return number(text)


def _number(match: re.Match[str], context: Context) -> list[str]:
    value, words = match["number"], sign(match["sign"])
    if value.startswith("."):
        return [*words, "zero", "point", *digits(value)]
    if not value.isdigit():
        return [*words, *number(value)]
    last = context.last
    if value == "911" or last in _BY_DIGIT or (len(value) > 9 and not value.endswith("000000")):
        return [*words, *digits(value)]
    in_code = re.search(r"[A-Za-z][-.]$", match.string[max(0, match.start() - 2) : match.start()]) is not None
    if in_code or last in _BY_PAIRS or (last.isupper() and not _BY_PAIRS.isdisjoint(context.spoken[-2:])):
        return pairs(value)
    if last in _YEAR_BEFORE and len(value) == 4 and 1100 <= int(value) < 1900:
        return year(int(value))
    return [*words, *year_or_number(value)]


RULES: tuple[Rule, ...] = (
    (_MONEY, _money),
    (_MONEY_AFTER, _money),
    (_SPACED, _spaced),
    (_PHONE, _phone),
    (_FEET, _feet),
    (_ORDINAL, _ordinal),
    (_FRACTION, _fraction),
    (_SCIENTIFIC, _scientific),
    (_POWER, _power),
    (_CHAIN, _chain),
    (_RANGE, _range),
    (_PRODUCT, _product),
    (_DIMENSIONS, _dimensions),
    (_TIMES, _times),
    (_RATIO, _ratio),
    (_SCALED, _scaled),
)
"""In the order in which they are tried; units and codes come after them, `PLAIN_RULES` last."""
PLAIN_RULES: tuple[Rule, ...] = ((_NUMBER, _number),)
MONEY_RULES: tuple[Rule, ...] = RULES[:1]
"""For currencies written in letters: `EUR 5`."""
