"""Cut a text into sentences, lazily, so that the first can be spoken before the last is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_tts.frontend.word_lists import word_set

MAX_WORDS = 30
"""A longer sentence is cut at its commas, so that synthesis starts early and memory stays bounded."""
MIN_WORDS = 8
"""No piece of an over-long sentence is shorter than this."""
MAX_WORD = 120
"""Characters; a longer run without spaces is cut."""

_SENTENCE_PAUSE = 0.35
_QUESTION_PAUSE = 0.4
_PARAGRAPH_PAUSE = 0.6
_COMMA_PAUSE = 0.15

_END = re.compile(r"[.!?…]+|[。！？]|\n")
_CLOSING = frozenset("\"'”’»)]}*_")
_WRAPPED = 60
"""A line at least this long, ended by neither a mark nor a blank line, was wrapped by an editor."""


@dataclass(frozen=True)
class Segment:
    """The text of one sentence, without line ends."""

    text: str
    ending: str
    """`.`, `?` or `!`, or `,` where an over-long sentence was cut."""
    pause: float
    """Silence after it in seconds."""


Ends = Callable[[str, str], bool]
"""Whether a full stop ends the sentence, given the word it stands after and what follows it."""


def segment(text: str, ends: Ends) -> Iterator[Segment]:
    """The sentences of `text` in order; pieces without letters or digits are the caller's to drop."""
    begin = 0
    for mark in _END.finditer(text):
        stop = mark.end()
        if stop <= begin:
            continue
        if mark[0] == "\n":
            if _joins(text, begin, mark.start(), stop):
                continue
            blank = not text[stop : stop + 80].partition("\n")[0].strip() or text[begin : mark.start()].isspace()
            yield from _split(text[begin : mark.start()], _PARAGRAPH_PAUSE if blank else None)
            begin = stop
            continue
        while stop < len(text) and text[stop] in _CLOSING:
            stop += 1
        word = _word_before(text, begin, mark.start())
        if stop < len(text) and not text[stop].isspace() and mark[0] not in "。！？":
            forgotten_space = word.isalpha() and word[1:].islower() and text[stop].isupper()
            if not forgotten_space:
                continue
        if mark[0] == "." and not ends(word, text[stop : stop + 40].lstrip(" \t")):
            continue
        paragraph = text[stop : stop + 80].lstrip(" \t\r").startswith(("\n\n", "\n\r\n"))
        yield from _split(text[begin:stop], _PARAGRAPH_PAUSE if paragraph else None)
        begin = stop
    yield from _split(text[begin:], None)


def _word_before(text: str, begin: int, stop: int) -> str:
    start = stop
    while start > max(begin, stop - 40) and not text[start - 1].isspace():
        start -= 1
    return text[start:stop]


def _joins(text: str, begin: int, stop: int, after: int) -> bool:
    """Whether the line end at `stop` is only an editor's wrapping."""
    following = text[after : after + 80].lstrip(" \t\r")
    if not following or following[0] == "\n":
        return False
    line_start = max(text.rfind("\n", begin, stop) + 1, begin)
    long = stop - line_start >= _WRAPPED
    return following[0].islower() or (long and following[0].isalnum())


def _split(text: str, pause: float | None) -> Iterator[Segment]:
    stripped = text.rstrip().rstrip("".join(_CLOSING))
    ending = stripped[-1] if stripped.endswith(("?", "!")) else "."
    ending = {"？": "?", "！": "!"}.get(stripped[-1:], ending)
    if pause is None:
        pause = _SENTENCE_PAUSE if ending == "." else _QUESTION_PAUSE
    words = [word[at : at + MAX_WORD] for word in text.split() for at in range(0, len(word), MAX_WORD)]
    while len(words) > MAX_WORDS:
        cut = _best_cut(words)
        yield Segment(" ".join(words[:cut]), ",", _COMMA_PAUSE)
        words = words[cut:]
    if words:
        yield Segment(" ".join(words), ending, pause)


_BEFORE = word_set(
    """
    and but or because which that while when where so if then than as with for from to in
    """
)


def _best_cut(words: list[str]) -> int:
    """How many words to take from an over-long sentence: up to the last comma, else before the last small word."""
    last = min(MAX_WORDS - 4, len(words) - MIN_WORDS)
    after_colon, after_comma, before_small_word = 0, 0, 0
    for at in range(MIN_WORDS, last + 1):
        if words[at - 1][-1] in ";:—–":
            after_colon = at
        elif words[at - 1][-1] in ",)" or words[at] in ("—", "–", "-"):
            after_comma = at
        elif words[at].lower() in _BEFORE:
            before_small_word = at
    return after_colon or after_comma or before_small_word or last
