"""The token model: rows of embeddings in, logits of the next semantic token out, over a key/value cache of ours.

One graph does both the prefill and the steps; how rows, mask and cache are laid out is described in
tools/gpt_sovits/export.py.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_tts.voices.gpt_sovits.kv_cache import KeyValueCache
from edge_tts.voices.gpt_sovits.settings import Array, Style, T2sSettings, Tables

MASKED = np.float32(-1e4)
PREFILL_ROWS = 128
"""How many of the prompt's tokens are read at once: all of them together would need 100 MB for a moment."""


class TokenModel:
    """A loaded token model. `begin` opens a sentence."""

    def __init__(self, session: ort.InferenceSession, settings: T2sSettings, tables: Tables) -> None:
        self.session = session
        self.settings = settings
        self._tables = tables

    def text_rows(self, phones: npt.NDArray[np.int64], style: Style) -> Array:
        """The reference's and the sentence's phones embedded, before positions: [phones, width]."""
        sentence = self._tables.phone_rows[phones].astype(np.float32) + self._tables.phone_bias
        return np.concatenate([style.ref_rows, sentence])

    def audio_rows(self, tokens: npt.NDArray[np.int64], position: int) -> Array:
        """Tokens embedded, the first one standing at `position`: [tokens, width]."""
        rows = self._tables.audio_rows[tokens].astype(np.float32)
        placed: Array = rows + self._tables.audio_scale * positions(position, len(tokens), self.settings.width)
        return placed

    def begin(
        self, text: Array, prompt: npt.NDArray[np.int64], most: int, options: ort.RunOptions | None = None
    ) -> TokenSequence:
        """A sentence of at most `most` tokens that has read its text rows (before positions) and the prompt."""
        placed = text + self._tables.text_scale * positions(0, len(text), self.settings.width)
        return TokenSequence(self, placed, self.audio_rows(prompt, 0), most, options)


class TokenSequence:
    """A sentence being generated: `logits` for the next token, and `append` to go on with the one chosen."""

    def __init__(
        self, model: TokenModel, text: Array, prompt: Array, most: int, options: ort.RunOptions | None = None
    ) -> None:
        """Read the phones' rows [t, width], then the prompt's [p, width], all with their positions."""
        self._model = model
        self._options = options
        self._tokens = len(prompt)
        settings = model.settings
        capacity = len(text) + len(prompt) + most
        self._cache = KeyValueCache(settings.heads, settings.head_width, settings.bucket, capacity)
        self._logits = self._read(text, causal=False)
        for first in range(0, len(prompt), PREFILL_ROWS):
            self._logits = self._read(prompt[first : first + PREFILL_ROWS], causal=True)

    @property
    def logits(self) -> Array:
        """Raw scores [vocabulary] of the next token."""
        return self._logits

    def append(self, token: int) -> None:
        """Continue with `token`; `logits` are then those of the one after it."""
        self._logits = self._read(self._model.audio_rows(np.array([token]), self._tokens), causal=True)
        self._tokens += 1

    def _read(self, rows: Array, causal: bool) -> Array:
        """Read rows that see all before them and one another, or of one another with `causal` only those before.

        Returns the last row's logits.
        """
        cache = self._cache
        mask = np.full((len(rows), cache.rows + len(rows)), MASKED, np.float32)
        mask[:, : cache.filled] = 0
        mask[:, cache.rows :] = np.triu(mask[:, cache.rows :], 1) if causal else 0
        feeds = {"rows": rows, "mask": mask, **cache.layers()}
        logits, keys, values = self._model.session.run(("logits", "new_k", "new_v"), feeds, self._options)
        cache.append(keys, values)
        last: Array = logits[0]
        return last


def positions(start: int, count: int, width: int) -> Array:
    """Sinusoidal positions [count, width] from `start` on: even columns sin, odd columns cos."""
    frequencies = np.exp(np.arange(0, width, 2, dtype=np.float32) * np.float32(-math.log(10000.0) / width))
    angles = np.arange(start, start + count, dtype=np.float32)[:, None] * frequencies
    table = np.empty((count, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)
    return table
