"""Abbreviations and acronyms, and whether a full stop after a word ends the sentence."""

from __future__ import annotations

import re

from edge_tts.frontend.english.rules import Context, Rule
from edge_tts.frontend.word_lists import word_map, word_set

_TITLES = word_map(
    """
    mr mister; mrs missus; ms miz; prof professor; capt captain; sgt sergeant; lt lieutenant; col colonel;
    gen general; rev reverend; gov governor; sen senator; rep representative; hon honorable; pres president;
    messrs messrs; mt mount; ft fort
    """
)
_WITH_DOT = word_map(
    """
    jr junior; sr senior; ave avenue; blvd boulevard; rd road; ln lane; hwy highway; pkwy parkway; sq square;
    apt apartment; bldg building; dept department; est established; inc incorporated; ltd limited;
    corp corporation; co company; bros brothers; approx approximately; max maximum; min minimum; avg average;
    temp temperature; vol volume; ext extension; tel telephone; misc miscellaneous; incl including; excl excluding;
    resp respectively; orig original; esp especially; assn association; univ university; intl international;
    govt government; mgr manager; asst assistant; cf compare; ca circa; dia diameter; qty quantity; ref reference;
    dist distance; cont continued; attn attention; hrs hours; hr hour; mins minutes; secs seconds; sec section;
    ed edition; def definition; ex example
    """
)
_ANYWHERE = word_map(
    """
    etc et cetera; vs versus; approx approximately; dept department; blvd boulevard; ave avenue; hwy highway;
    bldg building; mr mister; mrs missus; avg average; hrs hours; mins minutes; secs seconds; qty quantity;
    ltd limited; prof professor; sgt sergeant; capt captain; incl including; pls please; thx thanks; ctrl control
    """
)
_BEFORE_NUMBER = word_map(
    """
    no number; nos numbers; nr number; fig figure; figs figures; ch chapter; pp pages; p page; pg page; vol volume;
    sec section; art article; eq equation; para paragraph; par paragraph; rm room; pt part; op opus; ca circa;
    tab table
    """
)
_WORDS_WITHOUT_DOT = word_set("no op art tab par p pt ca")
_DOTTED = {"eg": "for example", "ie": "that is"}

_ABBREVIATION = re.compile(r"(?P<word>[A-Za-z]{1,8})(?P<dot>\.)?(?![\w'@])")
_INITIALISM = re.compile(
    r"(?P<letters>[A-Za-z]\.(?:[A-Za-z]\.){1,6}|[A-Za-z](?:\.[A-Za-z]){1,6})(?![\w])(?P<possessive>'s)?"
)
_PHD = re.compile(r"Ph\.? ?D\.?(?!\w)")
_WITH = re.compile(r"(?:w/o|c/o|n/a|N/A|b/c|A/C)(?!\w)|w/(?=\s|[A-Za-z]{2})")
_SLASHED = {
    **{"w/o": ["without"], "w/": ["with"], "c/o": ["care", "of"], "n/a": ["not", "applicable"], "b/c": ["because"]},
    "a/c": ["AC"],
}


def _abbreviation(match: re.Match[str], context: Context) -> list[str] | None:
    word, after = match["word"].lower(), match.string[match.end() : match.end() + 3].lstrip()
    dot = match["dot"] is not None
    if match["word"].isupper() and len(word) > 1 and not context.shouting:
        return None
    numbered = after[:1].isdigit() or (after[:1].isupper() and after[1:2].isdigit())
    if numbered and word in _BEFORE_NUMBER and (dot or word not in _WORDS_WITHOUT_DOT or match["word"] == "No"):
        return [_BEFORE_NUMBER[word]]
    name = after[:1].isupper()
    if word == "dr" and (dot or match["word"] == "Dr"):
        return ["doctor"] if name or not context.spoken else ["drive"]
    if word == "st" and (dot or match["word"] == "St"):
        return ["saint"] if name and not _after_street_name(match) else ["street"]
    if word in _TITLES and name and (dot or word in _ANYWHERE) and match["word"][0].isupper():
        return [_TITLES[word]]
    if dot and word in _WITH_DOT and (after or word not in _ENDING_WORDS):
        return _WITH_DOT[word].split()
    return _ANYWHERE[word].split() if word in _ANYWHERE else None


_ENDING_WORDS = word_set("max min temp ed def ex ref co sec resp cont")
"""With a dot at the end of the text these are more likely words (`set it to max.`)."""


def _after_street_name(match: re.Match[str]) -> bool:
    """`Main St. Station`, `5th St. North`: a capitalised word or a number stands before, in the same phrase."""
    before = match.string[: match.start()].rstrip(" ").rpartition(" ")[2]
    return before[:1].isdigit() or (before[:1].isupper() and before[-1:].isalpha() and before not in _NOT_STREETS)


_NOT_STREETS = word_set("The At In To From Welcome Visit And Of Saint Near By Is")


def _initialism(match: re.Match[str], context: Context) -> list[str] | None:
    letters = match["letters"].replace(".", "")
    expansion = _DOTTED.get(letters.lower())
    if expansion and letters.islower():
        return expansion.split()
    return [letters.upper() + (match["possessive"] or "")]


def _with(match: re.Match[str], context: Context) -> list[str]:
    return _SLASHED[match[0].lower()]


def _phd(match: re.Match[str], context: Context) -> list[str]:
    return ["PHD"]


RULES: tuple[Rule, ...] = ((_PHD, _phd), (_WITH, _with), (_INITIALISM, _initialism), (_ABBREVIATION, _abbreviation))
WITHOUT_DOT = frozenset(_ANYWHERE)
"""Abbreviations that are read out even where their dot was forgotten."""
_NEVER_END = frozenset(_TITLES) | {"dr", "st", "vs", "approx", "e.g", "i.e", "eg", "ie", "cf", "incl", "avg", "resp"}
_END_BEFORE_CAPITAL = frozenset(_WITH_DOT) | {"etc"}
_MONTHS_AND_DAYS = word_set(
    """
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
    """
)


def ends_sentence(word: str, following: str) -> bool:
    """Whether the full stop after `word` ends the sentence, when `following` comes next."""
    if not following or following[0] == "\n":
        return True
    bare = word.lstrip("(\"'[“‘").lower()
    if bare in _NEVER_END:
        return False
    numbered = following[0].isdigit() or (following[0].isupper() and following[1:2].isdigit())
    if numbered and (bare in _BEFORE_NUMBER or (len(bare) == 1 and word.islower())):
        return False
    if bare in _MONTHS_AND_DAYS:
        return not following[0].isdigit() and following[0].isupper() and bare in ("mar", "sat", "sun")
    if len(bare) == 1 and bare.isalpha() and word[-1].isupper():
        return bare == "i" or not following[0].isupper()
    if re.fullmatch(r"(?:[a-z]\.){1,6}[a-z]", bare):
        return following[0].isupper() and bare not in ("u.s", "u.k", "u.n", "d.c")
    if bare in _END_BEFORE_CAPITAL:
        return following[0].isupper()
    return True
