from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_tts.bench import SENTENCES, bench, print_tables, say
from edge_tts.voices import student
from edge_tts.voices.bundle import Bundle
from edge_tts.voices.student import StudentVoice

FOLDER = Path(__file__).parents[1] / "models_int8" / "en_US-kathleen-student"


@pytest.fixture
def voice() -> Iterator[StudentVoice]:
    voice = student.load(Bundle(FOLDER), "int8", 1)
    yield voice
    voice.close()


def test_parts_add_up_to_the_total(voice: StudentVoice) -> None:
    from edge_tts.frontend.phonemize import phonemizer_for

    figures = say(voice, phonemizer_for("en-US"), SENTENCES["short"])
    whole = figures.pop("total")
    first, audio = figures.pop("first chunk"), figures.pop("audio")
    assert 0.2 < audio < 3
    assert 0 < first <= whole
    assert sum(figures.values()) == pytest.approx(whole)
    assert {"front end", "encoder.int8.onnx", "decoder.int8.onnx", "other"} == set(figures)
    assert figures["decoder.int8.onnx"] > 0


def test_table_has_a_line_for_every_sentence(voice: StudentVoice, capsys: pytest.CaptureFixture[str]) -> None:
    best, fastest = bench(voice, 1)
    assert fastest is None
    print_tables(voice.name, best, 10.0, 20.0)
    out = capsys.readouterr().out
    assert all(f"| {name} |" in out for name in SENTENCES)
    assert "yardstick: 10.0" in out
