"""Codes and addresses: versions, IP and MAC addresses, serial numbers, e-mail, URLs, file names."""

from __future__ import annotations

import re

from edge_tts.frontend.english.numbers import cardinal, digits, pairs
from edge_tts.frontend.english.rules import Context, Rule
from edge_tts.frontend.word_lists import word_map

_IP = re.compile(r"(?P<octets>\d{1,3}(?:\.\d{1,3}){3})(?P<port>:\d{1,5})?(?P<net>/\d{1,2}(?!\w))?(?!\w|\.\w)")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:(?P<mark>[:-])[0-9A-Fa-f]{2})(?:(?P=mark)[0-9A-Fa-f]{2}){4,6}(?!\w)")
_HEX = re.compile(r"0x(?P<hex>[0-9A-Fa-f]{1,32})(?!\w)")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?!\w)")
_VERSION = re.compile(
    r"(?P<v>[vV])(?P<number>\d{1,9}(?:\.\d{1,9}){0,5})(?![\w]|\.\d)|(?P<bare>\d{1,9}(?:\.\d{1,9}){2,5})(?!\w)"
)
_ALPHANUMERIC = re.compile(
    r"(?P<code>(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{2,120})(?P<decimal>(?<=\d)\.\d{1,3}(?!\w|\.\w))?"
)
_RUN = re.compile(r"[A-Za-z]+|\d+")

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}(?<![.-])")
_URL = re.compile(r"(?:[a-z]{2,9}://|www\.)[^\s<>\"]{1,400}", re.IGNORECASE)
_TOP_LEVEL = (
    "com|org|net|edu|gov|io|ai|dev|app|info|local|eu|uk|de|fr|nl|es|ch|jp|cn|ca|au|tv"
    "|py|js|toml|json|yaml|yml|txt|md|wav|mp3|onnx|conf|cfg|log|sh|csv|html|xml|pdf|jpg|png|zip|service|exe"
)
_DOTTED = re.compile(
    rf"[A-Za-z0-9_-]{{1,63}}(?:\.[A-Za-z0-9_-]{{1,63}}){{0,6}}\.(?:{_TOP_LEVEL})(?![\w-]|\.\w)(?:/[^\s<>\"]{{0,200}})?"
)
_PATH = re.compile(r"(?:~|\.{1,2})?/[\w.-]{1,100}(?:/[\w.-]{1,100}){1,20}/?")
_TRAILING = ".,;:!?)]}'\""
_NAMES = word_map(
    """
    . dot; / slash; - dash; _ underscore; @ at; + plus; : colon; ? question mark; = equals; & and; # hash;
    % percent; ~ tilde; * star
    """
)
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SMALL_WORDS = frozenset(
    ("me", "my", "to", "in", "on", "of", "go", "do", "up", "is", "at", "by", "we", "be", "no", "or")
)
_ADDRESS_PART = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]")


def spell(text: str) -> list[str]:
    """Every letter by its name and every digit: `7F3A` seven F three A."""
    return [digits(character)[0] if character in "0123456789" else character.upper() for character in text]


def letters(run: str, context: Context) -> list[str]:
    """A run of letters in a code: a known word of some length as a word, else spelled if short or unpronounceable."""
    lower = run.lower()
    if not (run.islower() or run.isupper() or run.istitle() or context.is_word(lower)):
        return [word for part in _CAMEL.findall(run) for word in letters(part, context)]
    if run in _SMALL_WORDS:
        return [run]
    if len(run) >= 3 and context.is_word(lower) and not (run.isupper() and len(run) == 3):
        return [lower]
    if len(run) <= 4 or not any(vowel in lower for vowel in "aeiouy"):
        return [run.upper()] if len(run) <= 6 else spell(run)
    return [lower]


def _ip(match: re.Match[str], context: Context) -> list[str] | None:
    octets = match["octets"].split(".")
    if any(int(octet) > 255 for octet in octets):
        return None
    words: list[str] = []
    for octet in octets:
        words += [*(["dot"] if words else []), *(digits(octet) if len(octet) == 3 else cardinal(octet))]
    if match["port"]:
        words += ["port", *pairs(match["port"][1:])]
    if match["net"]:
        words += ["slash", *cardinal(match["net"][1:])]
    return words


def _grouped(text: str, size: int) -> list[str]:
    words: list[str] = []
    for begin in range(0, len(text), size):
        words += [*([","] if begin else []), *spell(text[begin : begin + size])]
    return words


def _mac(match: re.Match[str], context: Context) -> list[str]:
    return _grouped(match[0].replace(match["mark"], ""), 2)


def _uuid(match: re.Match[str], context: Context) -> list[str]:
    return _grouped(match[0].replace("-", ""), 4)


def _hex(match: re.Match[str], context: Context) -> list[str]:
    return ["zero", "X", *spell(match["hex"])]


def _version(match: re.Match[str], context: Context) -> list[str]:
    parts = (match["number"] or match["bare"]).split(".")
    if match["bare"] and all(len(part) == 3 for part in parts[1:]) and len(parts[0]) < 4:
        return cardinal("".join(parts))
    words = ["version"] if match["v"] and context.last != "version" else []
    for index, part in enumerate(parts):
        words += [*(["point"] if index else []), *cardinal(part)]
    return words


def _alphanumeric(match: re.Match[str], context: Context) -> list[str]:
    code = match["code"]
    runs = _RUN.findall(code)
    if len(runs) > 3:
        return _grouped(code, 4) if len(code) > 8 else spell(code)
    words: list[str] = []
    for run in runs:
        words += pairs(run) if run.isdigit() else letters(run, context)
    return [*words, "point", *digits(match["decimal"])] if match["decimal"] else words


def address(text: str, context: Context) -> list[str]:
    """An address part by part, punctuation by its name: `info@example.com` info at example dot com."""
    words: list[str] = []
    for part in _ADDRESS_PART.findall(text):
        if part.isdigit():
            words += pairs(part)
        elif part.isalpha() and part.isascii():
            words += letters(part, context)
        else:
            words += _NAMES.get(part, "").split()
    return words


def _email(match: re.Match[str], context: Context) -> list[str]:
    return address(match[0], context)


def _url(match: re.Match[str], context: Context) -> list[str]:
    text = match[0].rstrip(_TRAILING)
    text = text.partition("://")[2] or text
    host = _IP.match(text)
    words = (host and _ip(host, context)) or []
    return [*words, *address(text[host.end() :] if host and words else text, context)]


def _path(match: re.Match[str], context: Context) -> list[str]:
    return address(match[0].rstrip(_TRAILING), context)


ADDRESS_RULES: tuple[Rule, ...] = ((_URL, _url), (_EMAIL, _email), (_PATH, _path), (_DOTTED, _url))
"""For text that holds a dot, a slash or an at sign; tried before anything else."""
DIGIT_RULES: tuple[Rule, ...] = ((_UUID, _uuid), (_MAC, _mac), (_IP, _ip), (_HEX, _hex))
VERSION_RULES: tuple[Rule, ...] = ((_VERSION, _version),)
ALPHANUMERIC_RULES: tuple[Rule, ...] = ((_ALPHANUMERIC, _alphanumeric),)
CODE_RULES: tuple[Rule, ...] = ((_UUID, _uuid), (_MAC, _mac), *VERSION_RULES, *ALPHANUMERIC_RULES)
"""For what begins with a letter. What begins with a digit may be a date or a quantity before it is one of these."""
