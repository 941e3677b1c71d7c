"""Phones for words that no dictionary lists, read letter by letter by a small convolutional network.

Every letter becomes none, one or two phones ("e" silent, "x" K S): the network labels each letter with such a chunk,
and the best labelling with exactly one primary stress is taken. Trained by tools/train_letter_to_sound.py.

The file is an .npz: `letters` and `chunks` (the alphabets, as one string each), and for each weight `name` either
float32 or int8 `name` with a float32 `name.scale` per output column. Weights: `embed` [letters + 1, C]; for each
block i `b{i}.gain`, `b{i}.shift` [C] (layer norm), `b{i}.conv` [width * C, C], `b{i}.bias` [C]; `out` [C, chunks],
`out.bias`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_tts.errors import BundleError
from edge_tts.frontend.symbols import PHONE_INDEX

Array = npt.NDArray[np.float32]

WIDTH = 5
"""Letters each convolution looks at."""
MAX_LETTERS = 40
"""A longer word is read in pieces of this length."""


class LetterToSound:
    """Reads words it has never seen. Raises BundleError when its file is absent or damaged."""

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path) as file:
                arrays = dict(file)
            self._letters = {letter: index + 1 for index, letter in enumerate(str(arrays.pop("letters")))}
            self._chunks = [tuple(chunk.split()) for chunk in str(arrays.pop("chunks")).split("|")]
            self._weights = {name: _dequantize(arrays, name) for name in arrays if not name.endswith(".scale")}
            self._blocks = sum(name.endswith(".conv") for name in arrays)
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"{path}: not a letter-to-sound model: {error}; install the package again") from error
        if any(phone not in PHONE_INDEX for chunk in self._chunks for phone in chunk):
            raise BundleError(f"{path}: holds phones this version does not know")
        self._primary = np.array([any(phone.endswith("1") for phone in chunk) for chunk in self._chunks])

    def phones(self, word: str) -> tuple[str, ...]:
        """ARPAbet with one primary stress for the letters a to z in `word`; empty when it has none."""
        known = [self._letters[letter] for letter in word if letter in self._letters]
        phones: list[str] = []
        for begin in range(0, len(known), MAX_LETTERS):
            phones += self._read(known[begin : begin + MAX_LETTERS])
        return tuple(phones) or (("AH1",) if known else ())

    def _read(self, letters: list[int]) -> list[str]:
        scores = self._log_probabilities(letters)
        plain = np.where(self._primary, -np.inf, scores)
        stressed = np.where(self._primary, scores, -np.inf)
        labels = plain.argmax(axis=1)
        gain = stressed.max(axis=1) - plain.max(axis=1)
        place = int(gain.argmax())
        labels[place] = stressed[place].argmax()
        return [phone for label in labels for phone in self._chunks[label]]

    def _log_probabilities(self, letters: list[int]) -> Array:
        """Scores of every chunk for every letter, [letters, chunks]."""
        weights = self._weights
        x = weights["embed"][letters]
        count, channels = x.shape
        padded = np.zeros((count + WIDTH - 1, channels), np.float32)
        inner = padded[WIDTH // 2 : WIDTH // 2 + count]
        windows = np.lib.stride_tricks.as_strided(
            padded, (count, WIDTH * channels), (padded.strides[0], padded.strides[1]), writeable=False
        )
        for block in range(self._blocks):
            centred = x - x.mean(axis=1, keepdims=True)
            spread = np.sqrt(np.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
            inner[:] = centred / spread * weights[f"b{block}.gain"] + weights[f"b{block}.shift"]
            x = x + np.maximum(windows @ weights[f"b{block}.conv"] + weights[f"b{block}.bias"], 0)
        scores: Array = x @ weights["out"] + weights["out.bias"]
        return scores


def _dequantize(arrays: dict[str, npt.NDArray[np.generic]], name: str) -> Array:
    weight = arrays[name].astype(np.float32)
    scale = arrays.get(f"{name}.scale")
    return weight if scale is None else weight * scale.astype(np.float32)
