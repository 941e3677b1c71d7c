"""Keys and values of the rows a token model has read, in buckets, so that a step copies only what is new."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import numpy as np

from edge_tts.voices.gpt_sovits.settings import Array


class KeyValueCache:
    """The cache of one sentence, which the graph reads in place.

    It is a mapping of its own instead of the heap's: pages are there once they are written, and gone with the sentence.
    """

    def __init__(self, heads: Sequence[int], width: int, bucket: int, capacity: int) -> None:
        """For layers of so many heads of `width`; grows by `bucket` rows up to at least `capacity`."""
        self._heads = heads
        self._width = width
        self._bucket = bucket
        most = bucket * math.ceil((capacity + 1) / bucket)
        memory = mmap.mmap(-1, 2 * sum(heads) * most * width * np.dtype(np.float32).itemsize)
        self._keys, self._values = np.split(np.frombuffer(memory, np.float32), 2)
        self.rows = 1
        """Rows the graph sees, filled or not. What is not filled is masked, and finite."""
        self.filled = 0

    def layers(self) -> dict[str, Array]:
        """The graph's inputs k_0, v_0, k_1, …, each [heads, rows, width]."""
        keys, values = self._view(self._keys, self.rows), self._view(self._values, self.rows)
        feeds, first = {}, 0
        for layer, heads in enumerate(self._heads):
            feeds[f"k_{layer}"] = keys[first : first + heads]
            feeds[f"v_{layer}"] = values[first : first + heads]
            first += heads
        return feeds

    def append(self, keys: Array, values: Array) -> None:
        """Add new rows [heads of all layers, n, width]; there is then room for one more."""
        end = self.filled + keys.shape[1]
        rows = self._bucket * math.ceil((end + 1) / self._bucket)
        if rows > self.rows:
            self._spread(self._keys, rows)
            self._spread(self._values, rows)
            self.rows = rows
        self._view(self._keys, self.rows)[:, self.filled : end] = keys
        self._view(self._values, self.rows)[:, self.filled : end] = values
        self.filled = end

    def _spread(self, memory: Array, rows: int) -> None:
        """Move each head's rows to where they lie in a larger bucket, the last head first: none is overwritten."""
        before, after = self._view(memory, self.rows), self._view(memory, rows)
        for head in range(len(before) - 1, 0, -1):
            after[head, : self.filled] = before[head, : self.filled]

    def _view(self, memory: Array, rows: int) -> Array:
        total = sum(self._heads)
        view: Array = memory[: total * rows * self._width].reshape(total, rows, self._width)
        return view
