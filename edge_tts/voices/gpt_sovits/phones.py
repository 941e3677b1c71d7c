"""A sentence as the symbol ids that a GPT-SoVITS voice was trained on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edge_tts.errors import VoiceError
from edge_tts.sentence import Break, Sentence

PAUSE = ","
STOP = "."
SHORT = 6
"""Sentences of fewer symbols get a full stop in front, as the training code's own inference does: they fail less."""


def symbols_of(sentence: Sentence, known: Mapping[str, int]) -> list[str]:
    """Phones and punctuation in the order they are spoken; words are not set apart.

    GPT-SoVITS reads semicolons and colons as commas. Raises VoiceError naming a phone the voice does not know.
    """
    symbols: list[str] = []
    for word in sentence.words[:-1]:
        symbols.extend(word.phones)
        if word.break_after is not Break.NONE:
            symbols.append(STOP if word.break_after is Break.MAJOR else PAUSE)
    symbols.extend(sentence.words[-1].phones)
    symbols.append(sentence.ending if sentence.ending in known else STOP)
    for symbol in symbols:
        if symbol not in known:
            raise VoiceError(f"the voice has no symbol {symbol!r}; it was trained on ARPAbet and , . ? !")
    return [STOP, *symbols] if len(symbols) < SHORT else symbols


def phone_ids(sentence: Sentence, known: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """The ids [n] of `symbols_of`."""
    return np.array([known[symbol] for symbol in symbols_of(sentence, known)], np.int64)
