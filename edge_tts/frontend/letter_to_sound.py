"""Phones for words that no dictionary lists, read letter by letter by a small convolutional network.

Every letter becomes none, one or two phones ("e" silent, "x" K S): the network scores such chunks for each letter, and
the best labelling with exactly one primary stress is taken. Trained by tools/train_letter_to_sound.py.

The ONNX graph takes `letters`, int64 [n], 1 for the first of the alphabet, and gives `scores`, float32 [n, chunks]. Its
metadata holds the alphabets: `letters` as one string, `chunks` as phones apart by spaces, chunks by `|`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from edge_tts.errors import BundleError
from edge_tts.frontend.symbols import PHONE_INDEX

MAX_LETTERS = 40
"""A longer word is read in pieces of this length."""


class LetterToSound:
    """Reads words it has never seen. Raises BundleError when its file is absent or damaged."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
            metadata = self._session.get_modelmeta().custom_metadata_map
            self._letters = {letter: index + 1 for index, letter in enumerate(metadata["letters"])}
            self._chunks = [tuple(chunk.split()) for chunk in metadata["chunks"].split("|")]
        except Exception as error:  # onnxruntime's own errors derive from Exception alone
            raise BundleError(f"{path}: not a letter-to-sound model: {error}; install the package again") from error
        if any(phone not in PHONE_INDEX for chunk in self._chunks for phone in chunk):
            raise BundleError(f"{path}: holds phones this version does not know; install the package again")
        self._primary = np.array([any(phone.endswith("1") for phone in chunk) for chunk in self._chunks])

    def phones(self, word: str) -> tuple[str, ...]:
        """ARPAbet with one primary stress for the letters a to z in `word`; empty when it has none."""
        known = [self._letters[letter] for letter in word if letter in self._letters]
        phones: list[str] = []
        for begin in range(0, len(known), MAX_LETTERS):
            phones += self._read(known[begin : begin + MAX_LETTERS])
        return tuple(phones) or (("AH1",) if known else ())

    def _read(self, letters: list[int]) -> list[str]:
        scores = self._session.run(None, {"letters": np.array(letters)})[0]
        plain = np.where(self._primary, -np.inf, scores)
        stressed = np.where(self._primary, scores, -np.inf)
        labels = plain.argmax(axis=1)
        place = int((stressed.max(axis=1) - plain.max(axis=1)).argmax())
        labels[place] = stressed[place].argmax()
        return [phone for label in labels for phone in self._chunks[label]]
