"""Words that no dictionary lists."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from edge_tts.errors import BundleError
from edge_tts.frontend.english.pronounce import DATA
from edge_tts.frontend.letter_to_sound import MAX_LETTERS, LetterToSound
from edge_tts.frontend.symbols import PHONE_INDEX, is_vowel

SHIPPED = DATA / "en_us_letters.onnx"


@pytest.fixture(scope="module")
def model() -> LetterToSound:
    return LetterToSound(SHIPPED)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("blick", "B L IH1 K"),
        ("frobe", "F R OW1 B"),
        ("shreet", "SH R IY1 T"),
        ("phantomic", "F AE0 N T AA1 M IH0 K"),
        ("knill", "N IH1 L"),
        ("chipmonk", "CH IH1 P M AH0 NG K"),
    ],
)
def test_regular_spellings(model: LetterToSound, word: str, phones: str) -> None:
    assert " ".join(model.phones(word)) == phones


def test_every_word_has_known_phones_and_one_primary_stress(model: LetterToSound) -> None:
    source = random.Random(3)
    for _ in range(500):
        word = "".join(source.choices(string.ascii_lowercase, k=source.randrange(1, MAX_LETTERS)))
        phones = model.phones(word)
        assert phones
        assert all(phone in PHONE_INDEX for phone in phones)
        assert sum(phone.endswith("1") for phone in phones) == 1 or not any(map(is_vowel, phones))


def test_other_characters_are_left_out(model: LetterToSound) -> None:
    assert model.phones("bl-i'ck") == model.phones("blick")
    assert model.phones("123") == ()


def test_word_longer_than_the_network_reads_at_once(model: LetterToSound) -> None:
    assert len(model.phones("banana" * 50)) > 200


def test_length_does_not_change_what_letters_say(model: LetterToSound) -> None:
    """Padding at the ends is the same for every length: no state is left from a longer word."""
    before = model.phones("blick")
    model.phones("antidisestablishmentarianism")
    assert model.phones("blick") == before


def test_shipped_file_is_small() -> None:
    assert SHIPPED.stat().st_size < 1_000_000


def test_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "letters.onnx"
    path.write_bytes(SHIPPED.read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"letters\.onnx"):
        LetterToSound(path)


def test_absent_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"letters\.onnx"):
        LetterToSound(tmp_path / "letters.onnx")
