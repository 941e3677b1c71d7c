"""Written English to spoken words: one pass from left to right, at each place the first rule that applies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from edge_tts.frontend.english import abbreviations, codes, dates, quantities, units, words
from edge_tts.frontend.english.rules import Context, Rule
from edge_tts.frontend.normalize import clean
from edge_tts.frontend.word_lists import word_map, word_set

_BARE = re.compile(r"[a-z]{2,}(?:'[a-z]{1,2})?(?=[ ,;?!]|$)")
_MARKUP = re.compile(r"!?\[(?P<link>[^\[\]]{1,200})\]\([^()\s]{0,400}\)|</?[A-Za-z][^<>]{0,100}>|&(?:nbsp|#\d{1,5});")
_LINE_START = re.compile(r"^\s*(?:#{1,6} |[-*+] |> |(?:[-*_=] ?){3,}\s*$)+")
_OTHER_STOPS = re.compile("[。！？、，]")
_BREAKS = {",": ",", ";": ";", ":": ":", "(": ",", ")": ",", "[": ",", "]": ",", "{": ",", "}": ",", "|": ",", "—": ","}
_OPERATORS = word_map(
    """
    & and; @ at; + plus; = equals; ÷ divided by; < less than; > greater than; ≤ less than or equal to;
    ≥ greater than or equal to; ≠ not equal to; ≈ approximately; ± plus or minus; × times; % percent; § section;
    © copyright; ° degrees; − minus; ∞ infinity; √ square root of; ‰ per mille; $ dollar; € euro; £ pound; ¥ yen;
    Ω ohm; µ micro; ≡ equals; ✓ check; ✔ check
    """
)
_SYMBOLS = tuple(
    (re.compile(pattern), spoken.split())
    for pattern, spoken in (
        (r"(?:-{1,2}|=)>|[→⇒]", "to"),
        (r"<=", "less than or equal to"),
        (r">=", "greater than or equal to"),
        (r"!=", "not equal to"),
        (r"==+", "equals"),
        (r"(?<=[\d)]) ?\* ?(?=[\d(])", "times"),
        (r"(?<=[\d)] )/ (?=[\d(])", "divided by"),
        (r"(?<=[\d)])/(?=[\d(])", "slash"),
        (r"(?<=[\d)] )- (?=[\d(])", "minus"),
        (r"/(?=[A-Za-z])", "slash"),
        (r"/(?=100 ?km)", "per"),
        (r"~ ?(?=[\d$€£])", "approximately"),
        (r"\^2(?!\d)", "squared"),
        (r"\^3(?!\d)", "cubed"),
        (r"\^", "to the power of"),
        (r"(?<=\d )– ?(?=[\d+−-])", "to"),
        (r"(?<!\S)\.(?=[A-Za-z]{2})", "dot"),
        (r"(?<=UTC|GMT)-(?=\d)", "minus"),
        (r"<3(?!\d)|[:;]-?[()DP](?!\w)", ""),
        (r"(?:(?<=[Pp]ress )|(?<= or ))\*(?!\w)|\*(?= key\b)", "star"),
        (r"(?:(?<=[Pp]ress )|(?<= or ))#(?!\w)|#(?= key\b)", "pound"),
        (r"#(?=\d)", "number"),
        (r"#(?=[A-Za-z])", "hashtag"),
        (r"'n'(?!\w)", "and"),
        (r"(?<!\w)(?:-{1,3}|–)(?!\w)|-{2,3}|–|\.{3,}", ","),
    )
)
_GREEK_NAMES = word_set(
    """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lamda mu nu xi omicron pi rho sigma tau upsilon phi chi
    psi omega
    """
)
_GREEK = {unicodedata.lookup(f"GREEK SMALL LETTER {name}"): name for name in _GREEK_NAMES} | {"λ": "lambda"}

_DIGIT_RULES: tuple[Rule, ...] = (
    *codes.DIGIT_RULES,
    *dates.DIGIT_RULES,
    *codes.VERSION_RULES,
    *units.QUANTITY_RULES,
    *quantities.RULES,
    *codes.ALPHANUMERIC_RULES,
    *quantities.PLAIN_RULES,
)
_CAPITAL_RULES: tuple[Rule, ...] = (
    *dates.WORD_RULES,
    *units.UNIT_RULES,
    *codes.CODE_RULES,
    *quantities.MONEY_RULES,
    *abbreviations.RULES,
    *words.RULES,
)
_SMALL_RULES: tuple[Rule, ...] = (
    *dates.WORD_RULES[:2],
    *units.UNIT_RULES,
    *codes.CODE_RULES,
    *abbreviations.RULES,
    *words.RULES,
)
_SIGNED = frozenset("+-−±.$€£¥₹₿₩₽₴₺'(")
_HANDLED = abbreviations.WITHOUT_DOT | frozenset(dates.MONTHS) | units.SMALL_UNITS
"""Words in small letters that are not simply read as they stand."""


def normalize(text: str, is_word: Callable[[str], bool]) -> list[str]:
    """The tokens to speak: lower-case words, words in capitals for letters to spell, and the breaks `,` `;` `:`.

    `is_word` tells whether the dictionary has a lower-case word. Characters of the private use area stay as tokens.
    """
    text = clean(text)
    if not text.isascii() or not text.isalnum():
        text = _LINE_START.sub("", _MARKUP.sub(lambda match: match["link"] or " ", text), count=1)
    context = Context(is_word, shouting=text.isupper() and sum(map(str.isalpha, text)) > 4)
    inner = text.rstrip(" .!?")
    addresses = codes.ADDRESS_RULES if any(mark in inner for mark in "./@") else ()
    at, end, spoken = 0, len(text), context.spoken
    while at < end:
        if text[at] == " ":
            at += 1
            continue
        bare = _BARE.match(text, at)
        if bare and bare[0] not in _HANDLED and (at == 0 or text[at - 1] == " "):
            spoken.append(bare[0])
            at = bare.end()
        else:
            at = _apply(text, at, context, addresses)
    return _tidy(spoken)


def _apply(text: str, at: int, context: Context, addresses: tuple[Rule, ...]) -> int:
    """Speak what begins at `at` by the first rule that reads it; returns where it ends."""
    character = text[at]
    rules: tuple[Rule, ...] = ()
    if character.isdigit() or (character in _SIGNED and text[at + 1 : at + 3].lstrip(".$€£¥₹")[:1].isdigit()):
        rules = _DIGIT_RULES
    elif character == "/":
        rules = units.SLASH_RULES
    elif character.isascii() and character.isalpha():
        rules = _SMALL_RULES if character.islower() else _CAPITAL_RULES
    begins = at == 0 or not (text[at - 1].isalnum() or text[at - 1] in "_/.")
    for pattern, read in (*addresses, *rules) if begins and addresses else rules:
        match = pattern.match(text, at)
        if match and match.end() > at and (tokens := read(match, context)) is not None:
            context.spoken += tokens
            return match.end()
    return _symbol(text, at, context)


def _symbol(text: str, at: int, context: Context) -> int:
    """Speak a mark or symbol, or leave it out."""
    character, spoken = text[at], context.spoken
    for pattern, tokens in _SYMBOLS:
        if match := pattern.match(text, at):
            spoken += tokens
            return match.end()
    if character in _BREAKS:
        spoken.append(_BREAKS[character])
    elif character in "!?" or _OTHER_STOPS.match(character):
        spoken.append(",")
    elif "\ue000" <= character <= "\uf8ff":
        spoken.append(character)
    elif character in _OPERATORS:
        spoken += _OPERATORS[character].split()
    elif character.lower() in _GREEK:
        spoken.append(_GREEK[character.lower()])
    return at + 1


def _tidy(tokens: list[str]) -> list[str]:
    """Breaks only between words, the strongest of several."""
    result: list[str] = []
    for token in tokens:
        if token not in ",;:":
            result.append(token)
        elif result and result[-1] in ",;:":
            result[-1] = max(result[-1], token, key=",;:".index)
        elif result:
            result.append(token)
    if result and result[-1] in ",;:":
        result.pop()
    return result
