"""The rise at the end of a yes-no question, for voices whose training speech held no questions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_tts.sentence import Sentence
from edge_tts.voices.linguistic import FEATURES, Tokens

QUESTION_WORDS = frozenset({"who", "whom", "whose", "what", "what's", "which", "when", "where", "why", "how"})
"""A question that begins with one of these falls like a statement."""
RISE = 6.0
"""Semitones reached at the sentence's end."""


def question_rise(sentence: Sentence, tokens: Tokens, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Semitones to add to F0 in each frame [T] of a sentence whose phones last `counts` frames.

    Zero but for a yes-no question, where F0 rises in a line from the last stressed vowel to the end.
    """
    rise = np.zeros(int(counts.sum()), np.float32)
    if sentence.ending != "?" or sentence.words[0].text in QUESTION_WORDS:
        return rise
    stress = tokens.ids[:, list(FEATURES).index("stress")]
    accents = np.flatnonzero(stress == 2) if (stress == 2).any() else np.flatnonzero(stress)
    begin = int(counts[: accents[-1]].sum()) if len(accents) else 0
    rise[begin:] = np.linspace(0.0, RISE, len(rise) - begin)
    return rise
