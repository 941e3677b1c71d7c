"""Sentences, their endings and pauses, and over-long sentences cut at natural places."""

from __future__ import annotations

from itertools import islice

import pytest

from edge_tts.frontend.english.abbreviations import ends_sentence
from edge_tts.frontend.segment import MAX_WORD, MAX_WORDS, MIN_WORDS, Segment, segment


def segments(text: str) -> list[Segment]:
    return [part for part in segment(text, ends_sentence) if any(map(str.isalnum, part.text))]


def texts(text: str) -> list[str]:
    return [part.text for part in segments(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("hello. how are you? fine", ["hello.", "how are you?", "fine"]),
        ("Wait... what?! Yes…", ["Wait...", "what?!", "Yes…"]),
        ("Pi is 3.14 today. v2.1.3 is out.", ["Pi is 3.14 today.", "v2.1.3 is out."]),
        ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
        ("J. R. R. Tolkien wrote it.", ["J. R. R. Tolkien wrote it."]),
        ("Use fruit, e.g. apples. Good.", ["Use fruit, e.g. apples.", "Good."]),
        ("It is 5 p.m. now. Go.", ["It is 5 p.m. now.", "Go."]),
        ("It is 5 p.m. Go home.", ["It is 5 p.m.", "Go home."]),
        ("The U.S. Army is big. Yes.", ["The U.S. Army is big.", "Yes."]),
        (
            "Tea, coffee, etc. are here. Tea, etc. Then cake.",
            ["Tea, coffee, etc. are here.", "Tea, etc.", "Then cake."],
        ),
        ("See Fig. 3 and No. 5. No. I will not.", ["See Fig. 3 and No. 5.", "No.", "I will not."]),
        ("On Nov. 3rd. At noon.", ["On Nov. 3rd.", "At noon."]),
        (
            "Apple Inc. is here. I work at Apple Inc. You too.",
            ["Apple Inc. is here.", "I work at Apple Inc.", "You too."],
        ),
        ("Go to www.example.com. Then log in.", ["Go to www.example.com.", "Then log in."]),
        ('He said "Stop." She did.', ['He said "Stop."', "She did."]),
        ("Hello there.How are you?Fine.", ["Hello there.", "How are you?", "Fine."]),
        ("(Done.) Next.", ["(Done.)", "Next."]),
        ("So am I. You too.", ["So am I.", "You too."]),
        ("你好。世界！", ["你好。", "世界！"]),
        ("Title\n\nFirst line\nSecond line", ["Title", "First line", "Second line"]),
        ("a sentence that goes\non in the next line", ["a sentence that goes on in the next line"]),
        ("- milk\n- eggs\r\n- bread", ["- milk", "- eggs", "- bread"]),
        ("", []),
        (" \n\n ... \n", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_line_wrapped_by_an_editor_is_one_sentence() -> None:
    text = "This line was wrapped by an editor because it grew longer than\nSixty characters, as letters do."
    assert texts(text) == [text.replace("\n", " ")]


@pytest.mark.parametrize(
    ("text", "ending"),
    [("Go.", "."), ("Go", "."), ("Go!", "!"), ("Go?", "?"), ('"Go?"', "?"), ("**Go!**", "!"), ("走？", "?")],
)
def test_ending(text: str, ending: str) -> None:
    assert segments(text)[0].ending == ending


def test_pauses_are_longer_after_questions_and_paragraphs() -> None:
    statement, question, paragraph, last = segments("One. Two? Three.\n\nFour.")
    assert statement.pause < question.pause < paragraph.pause
    assert last.pause == statement.pause


def test_over_long_sentence_is_cut_after_a_comma() -> None:
    words = [f"word{n}" for n in range(20)]
    first, second = segments(" ".join(words) + ", " + " ".join(words) + ".")
    assert first.text == " ".join(words) + ","
    assert first.ending == ","
    assert first.pause < second.pause


def test_over_long_sentence_without_commas_is_cut_before_a_conjunction() -> None:
    words = ["robot"] * 18
    assert texts(" ".join([*words, "and", *words]))[1].startswith("and robot")


@pytest.mark.parametrize("count", [29, 30, 31, 32, 60, 61, 500])
@pytest.mark.parametrize("separator", [" ", ", ", " and "])
def test_pieces_hold_every_word_and_are_neither_too_long_nor_too_short(count: int, separator: str) -> None:
    text = separator.join(f"w{n}" for n in range(count))
    pieces = texts(text)
    assert " ".join(pieces).split() == text.split()
    assert max(len(piece.split()) for piece in pieces) <= MAX_WORDS
    assert len(pieces) == 1 or min(len(piece.split()) for piece in pieces) >= MIN_WORDS


def test_endless_word_is_cut() -> None:
    assert max(len(word) for piece in texts("x" * 20_000) for word in piece.split()) == MAX_WORD


def test_first_sentence_comes_before_the_rest_is_looked_at() -> None:
    asked: list[str] = []

    def ends(word: str, following: str) -> bool:
        asked.append(word)
        return True

    first = list(islice(segment("This is it. " * 1500, ends), 1))
    assert first[0].text == "This is it."
    assert len(asked) == 1
