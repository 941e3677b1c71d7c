"""What is written, and what a listener should hear."""

from __future__ import annotations

import random
import sys
import unicodedata
from pathlib import Path

import pytest

from edge_tts.frontend.english.normalize import normalize
from edge_tts.frontend.english.pronounce import Pronouncer
from edge_tts.frontend.english.units import UNITS, plural
from edge_tts.frontend.normalize import clean

TABLE = Path(__file__).parent / "data" / "spoken_english.txt"
CASES = [tuple(line.split(" => ")) for line in TABLE.read_text(encoding="utf-8").splitlines() if " => " in line]
PRONOUNCER = Pronouncer()


def spoken(text: str) -> str:
    return " ".join(normalize(text, PRONOUNCER.is_word))


@pytest.mark.parametrize(("written", "expected"), CASES, ids=[written for written, _ in CASES])
def test_is_read_as_people_say_it(written: str, expected: str) -> None:
    assert spoken(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("zero\u200bwidth", "zerowidth"),
        ("soft\u00adhyphen", "softhyphen"),
        ("10\u00a0kg", "ten kilograms"),
        ("1\u202f000\u202f000", "one million"),
        ("cafe\u0301", "cafe"),
        ("10\u2076", "ten to the sixth"),
        ("10\u207b\u00b9\u00b2", "ten to the minus twelfth"),
        ("\u0663 doors", "three doors"),
        ("bell\u0007 and \u202eoverride", "bell and override"),
        ("3\u2032 board", "three feet board"),
    ],
)
def test_invisible_and_combining_characters(written: str, expected: str) -> None:
    assert spoken(written) == expected


@pytest.mark.parametrize(
    "written", ["", "   ", "...", "!?", "((((", "\u2028", "---", "** __ **", "\U0001f600", "\u4f60\u597d"]
)
def test_nothing_speakable_gives_no_tokens(written: str) -> None:
    assert normalize(written, PRONOUNCER.is_word) == []


@pytest.mark.parametrize("digits", [16, 31, 120, 400])
def test_long_numbers_are_read_by_the_digit(digits: int) -> None:
    assert spoken("1" * digits) == " ".join(["one"] * digits)


def test_every_unit_is_read_in_the_singular_and_plural() -> None:
    for symbol, name in UNITS.items():
        glue = " " if symbol == "K" else ""
        assert spoken(f"1{glue}{symbol}") == f"one {name}"
        assert spoken(f"7{glue}{symbol}") == f"seven {plural(name)}"


def test_unit_names_are_words_a_voice_can_say() -> None:
    for name in UNITS.values():
        assert all(PRONOUNCER.phones(word) for word in plural(name).split())


def test_clean_leaves_plain_text_alone() -> None:
    assert clean("Plain text, with 3 marks.") == "Plain text, with 3 marks."


def test_arbitrary_text_never_raises() -> None:
    source = random.Random(20)
    assigned = [
        chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
    ]
    dense = "0123456789.,:;/-+$%°@#&'()[]*_^~<>=xXeEkKmMvVIVX ABCabc\n\t½²€→"
    for _ in range(1500):
        alphabet = dense if source.random() < 0.8 else assigned
        text = "".join(source.choice(alphabet) for _ in range(source.randrange(1, 60)))
        tokens = normalize(text, PRONOUNCER.is_word)
        assert all(token and " " not in token for token in tokens), text
        assert all(token in ",;:" or PRONOUNCER.phones(token) for token in tokens), text
