"""The packed pronouncing dictionary."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge_tts.errors import BundleError
from edge_tts.frontend.english.pronounce import DATA
from edge_tts.frontend.lexicon import BLOCK, Lexicon, pack
from edge_tts.frontend.symbols import ARPABET, PHONES, VOWELS

SHIPPED = DATA / "en_us.lexicon"
ADDITIONS = Path(__file__).resolve().parent.parent / "tools" / "lexicon_additions.dict"


def write(folder: Path, entries: dict[str, tuple[str, ...]]) -> Lexicon:
    path = folder / "test.lexicon"
    path.write_bytes(pack(entries.items()))
    return Lexicon(path)


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 1000])
def test_finds_every_word_and_nothing_else(tmp_path: Path, count: int) -> None:
    source = random.Random(count)
    words = {"".join(source.choices("abc'", k=source.randrange(1, 12))) for _ in range(4 * count)}
    chosen = sorted(words)[::2]
    entries = {word: tuple(source.choices(PHONES, k=source.randrange(1, 8))) for word in chosen}
    lexicon = write(tmp_path, entries)
    assert len(lexicon) == len(entries)
    for word in words | {"", "a", "zzz", "~"}:
        assert lexicon.get(word) == entries.get(word)


def test_words_are_found_as_utf8(tmp_path: Path) -> None:
    assert write(tmp_path, {"straße": ("S",), "z": ("Z",)}).get("straße") == ("S",)


def test_shipped_dictionary() -> None:
    lexicon = Lexicon(SHIPPED)
    assert len(lexicon) > 120_000
    assert SHIPPED.stat().st_size < 2_500_000
    assert lexicon.get("robot") == ("R", "OW1", "B", "AA2", "T")
    assert lexicon.get("don't") == ("D", "OW1", "N", "T")
    assert lexicon.get("gps") == ("JH", "IY2", "P", "IY2", "EH1", "S")
    assert lexicon.get("zorgle") is None


def test_symbols_are_arpabet() -> None:
    assert len(ARPABET) == 39
    assert len(VOWELS) == 15
    assert len(PHONES) == len(set(PHONES)) == 24 + 45


@pytest.mark.parametrize(
    "content", [b"", b"not a lexicon at all", SHIPPED.read_bytes()[:20], SHIPPED.read_bytes()[:-1]]
)
def test_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.lexicon"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"damaged\.lexicon"):
        Lexicon(path)


def test_absent_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.lexicon"):
        Lexicon(tmp_path / "absent.lexicon")


def test_shipped_dictionary_holds_our_additions() -> None:
    """Fails when tools/lexicon_additions.dict was edited and the lexicon not packed again."""
    lexicon = Lexicon(SHIPPED)
    for line in ADDITIONS.read_text(encoding="utf-8").splitlines():
        if not line.startswith(";;;"):
            word, *phones = line.split()
            assert lexicon.get(word) == tuple(phones), word
