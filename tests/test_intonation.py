import numpy as np
import pytest

from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.intonation import RISE, question_rise
from edge_tts.voices.linguistic import tokenize


def rise(first: str, ending: str) -> np.ndarray:
    words = (Word(first, ("IH1", "Z")), Word("ready", ("R", "EH1", "D", "IY0"), Break.MAJOR))
    sentence = Sentence(words, ending)
    tokens = tokenize(sentence)
    return question_rise(sentence, tokens, np.full(len(tokens.ids), 5))


def test_a_yes_no_question_rises_from_its_last_stressed_vowel() -> None:
    # SIL IH Z R EH D IY SIL: the vowel begins with frame 20 of 40.
    found = rise("is", "?")
    assert len(found) == 40
    assert not found[:21].any()
    assert np.all(np.diff(found[20:]) > 0)
    assert found[-1] == pytest.approx(RISE)


@pytest.mark.parametrize(("first", "ending"), [("where", "?"), ("is", "."), ("is", "!")])
def test_other_sentences_keep_their_pitch(first: str, ending: str) -> None:
    assert not rise(first, ending).any()


def test_a_question_without_a_vowel_still_rises() -> None:
    sentence = Sentence((Word("hm", ("HH", "M"), Break.MAJOR),), "?")
    tokens = tokenize(sentence)
    assert question_rise(sentence, tokens, np.full(4, 5))[-1] == pytest.approx(RISE)
