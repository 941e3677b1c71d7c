"""Draws semantic tokens from logits exactly as the GPT-SoVITS reference does, from a seeded source."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from edge_tts.voices.base import Sampling
from edge_tts.voices.gpt_sovits.settings import Array, Knobs

Race = Callable[[int], Array]
"""Exp(1) draws for one step's tokens; the argument is their number."""


def exponential_race(*seed: int) -> Race:
    """Exp(1) draws that depend on the seed alone.

    numpy draws an exact 0 once in some ten million times, which would make a token of probability 0 win.
    """
    generator = np.random.default_rng(seed)
    least = np.finfo(np.float32).tiny
    return lambda count: np.maximum(generator.standard_exponential(count, np.float32), least)


def knobs_for(request: Sampling, default: Knobs) -> Knobs:
    """The voice's knobs with those replaced that the request sets."""
    given = {name: getattr(request, name) for name in Knobs.model_fields}
    return default.model_copy(update={name: value for name, value in given.items() if value is not None})


class TokenSampler:
    """Draws one token after the other of a sentence; remembers which tokens were there already."""

    def __init__(self, knobs: Knobs, prompt: Iterable[int], vocabulary: int, eos: int, min_tokens: int, race: Race):
        self._knobs = knobs
        self._eos = eos
        self._min_tokens = min_tokens
        self._race = race
        self._drawn = 0
        self._seen = np.zeros(vocabulary, bool)
        self._seen[np.fromiter(prompt, np.int64)] = True

    def draw(self, logits: Array) -> int | None:
        """The next token for raw logits [vocabulary], or None where the sentence ends.

        The end may be drawn, and it also comes when it is the likeliest token after the penalty.
        """
        scores = logits.astype(np.float32)
        if self._drawn < self._min_tokens:
            # The reference cuts the last column off: EOS is the last token, and the draws of the others stay theirs.
            scores = scores[: self._eos]
        self._penalize(scores)
        likeliest = int(np.argmax(scores))
        probabilities = distribution(scores, self._knobs)
        token = int(np.argmax(probabilities / self._race(len(logits))[: len(scores)]))
        if self._eos in (token, likeliest):
            return None
        self._drawn += 1
        self._seen[token] = True
        return token

    def _penalize(self, scores: Array) -> None:
        penalty = np.float32(self._knobs.repetition_penalty)
        seen = np.flatnonzero(self._seen[: len(scores)])
        before = scores[seen]
        scores[seen] = np.where(before < 0, before * penalty, before / penalty)


class Recital:
    """Draws given tokens one after the other, whatever the logits are."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self._tokens = iter(tokens)

    def draw(self, logits: Array) -> int | None:
        """The next token, or None after the last."""
        return next(self._tokens, None)


def distribution(scores: Array, knobs: Knobs) -> Array:
    """Probabilities [n] of penalized scores [n]: nucleus, temperature and k best in the reference's order."""
    kept = scores.copy()
    if knobs.top_p < 1:
        order = np.argsort(-kept, kind="stable")
        beyond = np.cumsum(_softmax(kept[order])) > knobs.top_p
        beyond[0] = False
        kept[order[beyond]] = -np.inf
    kept /= np.float32(max(knobs.temperature, 1e-5))
    if knobs.top_k < len(kept):
        kept[kept < np.partition(kept, -knobs.top_k)[-knobs.top_k]] = -np.inf
    return _softmax(kept)


def _softmax(scores: Array) -> Array:
    powers: npt.NDArray[np.float32] = np.exp(scores - scores.max())
    powers /= powers.sum()
    return powers
