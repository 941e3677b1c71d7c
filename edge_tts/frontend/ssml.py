"""A useful subset of SSML 1.1: speak, p, s, break, sub, say-as, prosody, emphasis, phoneme (x-arpabet).

Markup that changes the delivery or asks for a pause ends the sentence it stands in: a voice speaks a sentence in one
delivery. `emphasis` is read without emphasis. A pause before the first word is left out.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree

from edge_tts.errors import BadRequest, NothingToSay
from edge_tts.frontend.base import Phonemizer, SpokenPart
from edge_tts.frontend.phonemize import parse_phonemes
from edge_tts.sentence import Sentence, Word

MAX_DEPTH = 32
MAX_BREAK = 10.0
"""Seconds."""
_PRIVATE = range(0xE000, 0xF900)
_PRIVATE_USE = re.compile("[\ue000-\uf8ff]")
_STRENGTHS: dict[str, str | float] = {
    "none": "",
    "x-weak": ",",
    "weak": ",",
    "medium": ",",
    "strong": 0.6,
    "x-strong": 1.0,
}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.3, "x-fast": 1.7}
_PITCHES = {"x-low": -4.0, "low": -2.0, "medium": 0.0, "default": 0.0, "high": 2.0, "x-high": 4.0}
_VOLUMES = {"silent": 0.0, "x-soft": 0.25, "soft": 0.5, "medium": 1.0, "default": 1.0, "loud": 1.0, "x-loud": 1.0}
_NUMBER = re.compile(r"(?P<number>[+-]?\d{1,6}(?:\.\d{1,6})?)(?P<unit>%|st|dB|s|ms)?")
_ATTRIBUTES = {
    "speak": {"version", "lang", "schemaLocation"},
    "p": {"lang"},
    "s": {"lang"},
    "break": {"time", "strength"},
    "sub": {"alias"},
    "say-as": {"interpret-as", "format", "detail"},
    "prosody": {"rate", "pitch", "volume"},
    "emphasis": {"level"},
    "phoneme": {"alphabet", "ph"},
}
_LEAVES = frozenset(("break", "sub", "say-as", "phoneme"))
"""Elements that hold no other element."""


@dataclass(frozen=True)
class Prosody:
    """The delivery in force at one place of the document."""

    rate: float = 1.0
    pitch: float = 0.0
    volume: float = 1.0


@dataclass
class Run:
    """Text under one delivery."""

    prosody: Prosody
    text: str = ""
    inserts: dict[str, tuple[Word, ...]] = field(default_factory=dict)
    pause: float | None = None
    """Seconds after its last sentence; None for what is natural there."""


def ssml_parts(text: str, phonemizer: Phonemizer) -> Iterator[SpokenPart]:
    """The document's sentences in order, phonemized as they are asked for.

    Raises BadRequest naming an element, attribute or value that is not understood, NothingToSay for an empty document.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadRequest("ssml: document types and entities are not allowed; write the text itself")
    reader = _Reader(phonemizer)
    parser = ElementTree.XMLParser(target=reader)
    try:
        parser.feed(text.strip())
        parser.close()
    except ElementTree.ParseError as error:
        raise BadRequest(f"ssml: not well-formed XML ({error}); write & as &amp; and < as &lt;") from error
    parts = _speak(reader.runs, phonemizer)
    first = next(parts, None)
    if first is None:
        raise NothingToSay("the document holds no word, number or symbol that can be spoken")
    return itertools.chain((first,), parts)


def _speak(runs: list[Run], phonemizer: Phonemizer) -> Iterator[SpokenPart]:
    held: SpokenPart | None = None
    for run in runs:
        try:
            sentences: Iterator[Sentence] = phonemizer.sentences(run.text, run.inserts)
        except NothingToSay:
            sentences = iter(())
        for sentence in sentences:
            if held is not None:
                yield held
            held = SpokenPart(sentence, run.prosody.rate, run.prosody.pitch, run.prosody.volume)
        if held is not None and run.pause is not None:
            held = replace(held, sentence=replace(held.sentence, pause=run.pause))
    if held is not None:
        yield held


class _Reader:
    """The parser's target: turns elements into runs as they begin and end."""

    def __init__(self, phonemizer: Phonemizer) -> None:
        self.runs = [Run(Prosody())]
        self._phonemizer = phonemizer
        self._open: list[tuple[str, dict[str, str]]] = []
        self._prosody = [Prosody()]
        self._held = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        given = {key.rpartition("}")[2]: value.strip() for key, value in attributes.items()}
        if name not in _ATTRIBUTES:
            raise BadRequest(f"ssml: <{name}> is not supported; use {', '.join(sorted(_ATTRIBUTES))}")
        if (name == "speak") != (not self._open):
            raise BadRequest("ssml: the document must be one <speak> element")
        unknown = sorted(given.keys() - _ATTRIBUTES[name])
        if unknown:
            raise BadRequest(
                f"ssml: <{name}> has no attribute {unknown[0]!r}; use {', '.join(sorted(_ATTRIBUTES[name]))}"
            )
        if len(self._open) >= MAX_DEPTH:
            raise BadRequest(f"ssml: elements are nested more than {MAX_DEPTH} deep")
        if self._open and self._open[-1][0] in _LEAVES:
            raise BadRequest(f"ssml: <{self._open[-1][0]}> cannot hold <{name}>")
        self._open.append((name, given))
        if name in _LEAVES:
            self._held = ""
        if name in ("p", "s"):
            self._end_run()
        elif name == "prosody":
            self._prosody.append(_prosody(self._prosody[-1], given))
            self._end_run()

    def data(self, text: str) -> None:
        text = _PRIVATE_USE.sub("", text)
        if self._open and self._open[-1][0] in _LEAVES:
            self._held += text
        else:
            self.runs[-1].text += re.sub(r"\s+", " ", text)

    def end(self, tag: str) -> None:
        name, given = self._open.pop()
        if name == "break":
            self._break(given)
        elif name == "sub":
            self.runs[-1].text += _required(name, given, "alias")
        elif name == "say-as":
            self._insert(
                self._phonemizer.say_as(self._held, _required(name, given, "interpret-as"), given.get("format", ""))
            )
        elif name == "phoneme":
            self._phoneme(given)
        elif name in ("p", "s"):
            self._end_run(0.6 if name == "p" else None)
        elif name == "prosody":
            self._prosody.pop()
            self._end_run()

    def close(self) -> None:
        """Nothing is left to do when the document ends."""

    def _end_run(self, pause: float | None = None) -> None:
        if self.runs[-1].text.strip():
            self.runs[-1].pause = pause
            self.runs.append(Run(self._prosody[-1]))
        else:
            self.runs[-1].prosody = self._prosody[-1]

    def _break(self, given: dict[str, str]) -> None:
        strength = _STRENGTHS.get(given.get("strength", "medium"))
        if strength is None:
            raise BadRequest(f"ssml: break strength {given['strength']!r}; use {', '.join(_STRENGTHS)}")
        if "time" in given:
            value, unit = _number("break", "time", given["time"])
            strength = value / 1000 if unit == "ms" else value
            if unit not in ("s", "ms") or not 0 <= strength <= MAX_BREAK:
                raise BadRequest(f"ssml: break time {given['time']!r}; write 500ms or 2s, at most {MAX_BREAK:g}s")
        if isinstance(strength, str):
            self.runs[-1].text += f"{strength} "
        elif self.runs[-1].text.strip():
            self._end_run(strength)
        elif len(self.runs) > 1:
            self.runs[-2].pause = (self.runs[-2].pause or 0.0) + strength

    def _phoneme(self, given: dict[str, str]) -> None:
        alphabet = given.get("alphabet", "x-arpabet")
        if alphabet not in ("x-arpabet", "arpabet"):
            raise BadRequest(f"ssml: phoneme alphabet {alphabet!r} is not supported; use x-arpabet")
        words = [word for sentence in parse_phonemes(_required("phoneme", given, "ph")) for word in sentence.words]
        if len(words) == 1 and self._held.strip():
            words = [replace(words[0], text=self._held.strip().lower())]
        self._insert(tuple(words))

    def _insert(self, words: tuple[Word, ...]) -> None:
        inserts = self.runs[-1].inserts
        character = chr(_PRIVATE[len(inserts)])
        inserts[character] = words
        self.runs[-1].text += f" {character} "


def _required(element: str, given: dict[str, str], name: str) -> str:
    value = given.get(name, "")
    if not value:
        raise BadRequest(f"ssml: <{element}> needs the attribute {name}")
    return value


def _number(element: str, attribute: str, text: str) -> tuple[float, str]:
    match = _NUMBER.fullmatch(text)
    if not match:
        raise BadRequest(f"ssml: {element} {attribute} {text!r} is not understood")
    return float(match["number"]), match["unit"] or ""


def _prosody(outer: Prosody, given: dict[str, str]) -> Prosody:
    rate, pitch, volume = outer.rate, outer.pitch, outer.volume
    if "rate" in given:
        rate *= _rate(given["rate"])
    if "pitch" in given:
        pitch += _pitch(given["pitch"])
    if "volume" in given:
        volume *= _volume(given["volume"])
    return Prosody(min(max(rate, 0.5), 2.0), min(max(pitch, -6.0), 6.0), min(max(volume, 0.0), 1.0))


def _rate(text: str) -> float:
    if text in _RATES:
        return _RATES[text]
    value, unit = _number("prosody", "rate", text)
    if unit not in ("", "%"):
        raise BadRequest(f"ssml: prosody rate {text!r}; write 80%, +20%, 1.2 or {', '.join(_RATES)}")
    if unit == "%":
        value = 1 + value / 100 if text[0] in "+-" else value / 100
    return value


def _pitch(text: str) -> float:
    if text in _PITCHES:
        return _PITCHES[text]
    value, unit = _number("prosody", "pitch", text)
    if unit == "%":
        ratio = 1 + value / 100 if text[0] in "+-" else value / 100
        return 12 * math.log2(max(ratio, 0.25))
    if unit != "st":
        raise BadRequest(f"ssml: prosody pitch {text!r}; write +2st, -10% or {', '.join(_PITCHES)}")
    return value


def _volume(text: str) -> float:
    if text in _VOLUMES:
        return _VOLUMES[text]
    value, unit = _number("prosody", "volume", text)
    if unit == "dB":
        return float(10 ** (min(value, 0.0) / 20))
    if unit not in ("", "%"):
        raise BadRequest(f"ssml: prosody volume {text!r}; write 0 to 100, -6dB or {', '.join(_VOLUMES)}")
    return 1 + value / 100 if text[0] in "+-" else value / 100
