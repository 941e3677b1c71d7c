"""Text to sentences of phones, languages, and phones given directly."""

from __future__ import annotations

import random
import sys
from itertools import islice

import pytest

from edge_tts.errors import BadRequest, NothingToSay, UnknownLanguage
from edge_tts.frontend.english import phonemizer as english
from edge_tts.frontend.phonemize import EnglishPhonemizer, parse_phonemes, phonemizer_for
from edge_tts.frontend.symbols import PHONE_INDEX
from edge_tts.request import MAX_TEXT
from edge_tts.sentence import Break, Sentence, Word

PHONEMIZER = EnglishPhonemizer()


def phones(text: str, word: str, which: int = 0) -> str:
    found = [w for sentence in PHONEMIZER.phonemize(text) for w in sentence.words if w.text == word]
    return " ".join(found[which].phones)


def check(sentences: list[Sentence]) -> None:
    for sentence in sentences:
        assert sentence.words
        assert sentence.ending in (".", "?", "!")
        assert sentence.words[-1].break_after is Break.MAJOR
        for word in sentence.words:
            assert word.text
            assert word.phones
            assert all(phone in PHONE_INDEX for phone in word.phones)


def test_sentence() -> None:
    sentence = PHONEMIZER.phonemize("Hello, world!")[0]
    assert sentence.words == (
        Word("hello", ("HH", "AH0", "L", "OW1"), Break.MINOR),
        Word("world", ("W", "ER1", "L", "D"), Break.MAJOR),
    )
    assert sentence.ending == "!"


def test_breaks() -> None:
    words = PHONEMIZER.phonemize("One, two; three: four (five) six.")[0].words
    expected = [Break.MINOR, Break.MEDIUM, Break.MEDIUM, Break.MINOR, Break.MINOR, Break.MAJOR]
    assert [word.break_after for word in words] == expected


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("the robot", "the", "DH AH0"),
        ("the arm", "the", "DH IY0"),
        ("the hour", "the", "DH IY0"),
        ("the user", "the", "DH AH0"),
        ("the MQTT broker", "the", "DH IY0"),
        ("the 8 doors", "the", "DH IY0"),
        ("a robot", "a", "AH0"),
        ("Plan A", "a", "EY1"),
        ("go to work", "to", "T AH0"),
        ("go to Anna", "to", "T UW0"),
        ("where to?", "to", "T UW1"),
        ("for me", "for", "F ER0"),
        ("it was there", "was", "W AH0 Z"),
        ("yes it was", "was", "W AA1 Z"),
    ],
)
def test_function_words(text: str, word: str, expected: str) -> None:
    assert phones(text, word) == expected


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("Record a message.", "record", "R IH0 K AO1 R D"),
        ("Please record it.", "record", "R IH0 K AO1 R D"),
        ("a new record", "record", "R EH1 K ER0 D"),
        ("the records", "records", "R EH1 K ER0 D Z"),
        ("Anna lives on Main Street.", "lives", "L IH1 V Z"),
        ("many lives were saved", "lives", "L AY1 V Z"),
        ("The robot uses less power.", "uses", "Y UW1 Z IH0 Z"),
        ("the uses of it", "uses", "Y UW1 S IH0 Z"),
        ("she records it", "records", "R IH0 K AO1 R D Z"),
        ("I will read it.", "read", "R IY1 D"),
        ("I have read it.", "read", "R EH1 D"),
        ("It was read aloud.", "read", "R EH1 D"),
        ("Read the manual.", "read", "R IY1 D"),
        ("Close the door.", "close", "K L OW1 Z"),
        ("The door is close to you.", "close", "K L OW1 S"),
        ("The doors close at nine.", "close", "K L OW1 Z"),
        ("Use the lift.", "use", "Y UW1 Z"),
        ("It is of no use.", "use", "Y UW1 S"),
        ("a live stream", "live", "L AY1 V"),
        ("We are live.", "live", "L AY1 V"),
        ("I live here.", "live", "L IH1 V"),
        ("They live in Paris.", "live", "L IH1 V"),
        ("Take the lead.", "lead", "L IY1 D"),
        ("a lead acid battery", "lead", "L EH1 D"),
        ("The wind is strong.", "wind", "W IH1 N D"),
        ("Please wind it.", "wind", "W AY1 N D"),
        ("One minute please.", "minute", "M IH1 N AH0 T"),
        ("in minute detail", "minute", "M AY0 N UW1 T"),
        ("Tear here.", "tear", "T EH1 R"),
        ("a tear", "tear", "T IH1 R"),
        ("Present your ticket.", "present", "P R IY0 Z EH1 N T"),
        ("a present", "present", "P R EH1 Z AH0 N T"),
        ("Object detected.", "object", "AA1 B JH EH0 K T"),
        ("I object to that.", "object", "AH0 B JH EH1 K T"),
        ("All contents and content.", "content", "K AA1 N T EH0 N T"),
        ("I am content.", "content", "K AH0 N T EH1 N T"),
        ("Excuse me.", "excuse", "IH0 K S K Y UW1 Z"),
        ("no excuse", "excuse", "IH0 K S K Y UW1 S"),
        ("a separate room", "separate", "S EH1 P R AH0 T"),
        ("to separate them", "separate", "S EH1 P ER0 EY2 T"),
    ],
)
def test_homographs(text: str, word: str, expected: str) -> None:
    assert phones(text, word) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("zorg's", "Z AO1 R G Z"),
        ("kiosk's", "K IY1 AA2 S K S"),
        ("robot's", "R OW1 B AA2 T S"),
        ("lidars", "L AY1 D AA2 R Z"),
        ("jetsons", "JH EH1 T S AH0 N Z"),
        ("rebooted", "R IY0 B UW1 T IH0 D"),
        ("rebooting", "R IY0 B UW1 T IH0 NG"),
        ("unplugging", "AH0 N P L AH1 G IH0 NG"),
        ("touchscreens", "T AH1 CH S K R IY2 N Z"),
        ("chargepoint", "CH AA1 R JH P OY2 N T"),
        ("chatgpt", "CH AE1 T JH IY2 P IY2 T IY2"),
        ("milliamps", "M IH2 L AH0 AE1 M P S"),
        ("hectopascals", "HH EH2 K T OW0 P AE0 S K AE1 L Z"),
        ("kilopascal", "K IH2 L AH0 P AE0 S K AE1 L"),
        ("waterproof", "W AO1 T ER0 P R UW2 F"),
        ("mqtt", "EH2 M K Y UW2 T IY2 T IY1"),
        ("GPS", "JH IY2 P IY2 EH1 S"),
        ("GPUs", "JH IY2 P IY2 Y UW1 Z"),
        ("edgetts", "EH1 JH T IY2 T IY2 EH2 S"),
        ("café", "K AH0 F EY1"),
    ],
)
def test_words_beyond_the_dictionary(word: str, expected: str) -> None:
    sentence = PHONEMIZER.phonemize(f"{word}.")[0]
    assert [" ".join(word.phones) for word in sentence.words] == [expected]


@pytest.mark.parametrize("text", ["", "  ", "...", "\U0001f600", "你好", "((((" * 5000, "\n" * MAX_TEXT])
def test_nothing_to_say_is_raised_before_there_is_an_iterator(text: str) -> None:
    with pytest.raises(NothingToSay):
        PHONEMIZER.sentences(text)


def test_sentences_are_worked_out_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    normalized: list[str] = []
    normalize = english.normalize

    def counting(text: str, is_word: object) -> list[str]:
        normalized.append(text)
        return normalize(text, is_word)  # type: ignore[arg-type]

    monkeypatch.setattr(english, "normalize", counting)
    sentences = PHONEMIZER.sentences("The battery is low. " * 1000)
    assert len(normalized) == 1
    assert len(list(islice(sentences, 3))) == 3
    assert len(normalized) == 3


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "1",
            "1,",
            "1.",
            "1:",
            "1/",
            "1-",
            "+1 ",
            "$1",
            "1 000 ",
            "1,111",
            "12:",
            "0x",
            "a.",
            "A.",
            "a@",
            "a.b",
            "a/",
            "//",
            "(",
        ),
        *(
            "[a](",
            "<a",
            "**",
            "&#",
            "'",
            "a'",
            "-",
            "a-",
            "a1",
            "A1b",
            "IV ",
            "X",
            "mr. ",
            "e.g. ",
            "...",
            "…",
            "½",
            "²",
            "\u0301",
        ),
        *(
            "\t",
            " ",
            "https://",
            "1e",
            "1x",
            "10 km - ",
            "Jan 1 ",
            "5'",
            '"',
            "|",
            "\ue000",
            "\U0001f600",
            "é",
            "Word ",
        ),
    ],
)
def test_hostile_repetition_is_read_or_refused(piece: str) -> None:
    """Would not end if a pattern backtracked; the result is bounded by the text."""
    text = (piece * MAX_TEXT)[:MAX_TEXT]
    try:
        sentences = PHONEMIZER.phonemize(text)
    except NothingToSay:
        return
    check(sentences)
    assert sum(len(sentence.words) for sentence in sentences) <= 8 * MAX_TEXT
    assert max(len(sentence.words) for sentence in sentences) <= 8 * 120 * 30


def test_arbitrary_text_gives_well_formed_sentences() -> None:
    source = random.Random(7)
    words = (
        *("the", "Dr.", "3.5kg", "$5", "GPS", "10:30", "hello,", "world!", "B12", "(x)", "https://a.io/b", "é", "50%"),
        *("—", "...", "\n", "\n\n", "U.S.", "'tis", "Zorgle's", "½"),
    )
    for _ in range(300):
        text = " ".join(source.choice(words) for _ in range(source.randrange(1, 60)))
        code = source.randrange(32, sys.maxunicode)
        text += chr(code) if not 0xD800 <= code < 0xE000 else ""
        try:
            check(PHONEMIZER.phonemize(text))
        except NothingToSay:
            assert not any(character.isascii() and character.isalnum() for character in text)


def test_inserted_words_stand_where_their_characters_do() -> None:
    word = Word("zed", ("Z", "EH1", "D"))
    sentence = next(PHONEMIZER.sentences("Say \ue000, please.", {"\ue000": (word,)}))
    assert [w.text for w in sentence.words] == ["say", "zed", "please"]
    assert sentence.words[1].break_after is Break.MINOR


def test_private_use_characters_of_the_text_are_not_spoken() -> None:
    assert PHONEMIZER.phonemize("the \ue000 robot")[0].text == "the robot"


@pytest.mark.parametrize("language", ["en-US", "en", "en_GB", "EN-us"])
def test_english_is_spoken(language: str) -> None:
    assert "en" in phonemizer_for(language).languages


@pytest.mark.parametrize("language", ["xx", "", "english please"])
def test_unknown_language_is_named(language: str) -> None:
    with pytest.raises(UnknownLanguage, match=repr(language)):
        phonemizer_for(language)


def test_phonemes() -> None:
    sentences = parse_phonemes("HH AH0 L OW1 , W ER1 L D . K AE T | s IH1 T S ?")
    check(sentences)
    assert [word.break_after for word in sentences[0].words] == [Break.MINOR, Break.MAJOR]
    assert [word.phones for word in sentences[1].words] == [("K", "AE1", "T"), ("S", "IH1", "T", "S")]
    assert [sentence.ending for sentence in sentences] == [".", "?"]


@pytest.mark.parametrize("text", ["HH XX0 L", "HH AH3", "hello", "B1"])
def test_unknown_phone_is_named(text: str) -> None:
    wrong = next(token for token in text.split() if token not in ("HH", "L"))
    with pytest.raises(BadRequest, match=wrong):
        parse_phonemes(text)


@pytest.mark.parametrize("text", ["", " . | , ", "|||"])
def test_phonemes_without_a_phone(text: str) -> None:
    with pytest.raises(NothingToSay):
        parse_phonemes(text)
