import numpy as np
import pytest

from edge_tts.errors import VoiceError
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.linguistic import FEATURES, SYMBOLS, tokenize

HELLO = Word("hello", ("HH", "AH0", "L", "OW1"), Break.MINOR)
THE = Word("the", ("DH", "AH0"))
WORLD = Word("world", ("W", "ER1", "L", "D"), Break.MAJOR)
SENTENCE = Sentence((HELLO, THE, WORLD))


def column(name: str) -> list[int]:
    return tokenize(SENTENCE).ids[:, list(FEATURES).index(name)].tolist()


def test_silence_lies_at_the_edges_and_breaks_only() -> None:
    tokens = tokenize(SENTENCE)
    assert tokens.phones == (*("SIL", "HH", "AH", "L", "OW"), *("SIL", "DH", "AH", "W", "ER", "L", "D", "SIL"))
    assert tokens.words == (-1, 0, 0, 0, 0, -1, 1, 1, 2, 2, 2, 2, -1)
    assert [SYMBOLS[i] for i in column("symbol")] == list(tokens.phones)


def test_features_say_stress_place_and_boundary() -> None:
    assert column("stress") == [0, 0, 1, 0, 2, 0, 0, 1, 0, 2, 0, 0, 0]
    assert column("in_word") == [0, 1, 2, 2, 3, 0, 1, 3, 1, 2, 2, 3, 0]
    assert column("boundary") == [0, 1, 1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 2]
    assert column("from_start") == [0, 1, 1, 1, 1, 0, 1, 1, 2, 2, 2, 2, 0]
    assert column("to_end") == [0, 1, 1, 1, 1, 0, 2, 2, 1, 1, 1, 1, 0]
    assert column("word_class") == [0, 1, 1, 1, 1, 0, 2, 2, 1, 1, 1, 1, 0]


def test_every_feature_stays_in_its_table_for_a_long_sentence() -> None:
    words = (*(Word("a", ("AH0",)) for _ in range(200)), WORLD)
    ids = tokenize(Sentence(words)).ids
    assert np.all(ids >= 0)
    assert np.all(ids < np.array(list(FEATURES.values())))


@pytest.mark.parametrize("phone", ["QQ", "PAD", "SIL", "AH01", "", "ah0"])
def test_unknown_phone_is_named(phone: str) -> None:
    with pytest.raises(VoiceError, match="the voice has no phone"):
        tokenize(Sentence((Word("x", (phone,), Break.MAJOR),)))
