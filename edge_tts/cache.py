"""Phrases that were spoken before, as 16-bit samples: recent ones in bounded memory, pre-rendered ones on disk.

Nothing here knows how a voice works; a phrase is a sentence, a voice and a delivery.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import threading
import zipfile
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_tts.audio.chunk import Mark, Samples
from edge_tts.sentence import Sentence
from edge_tts.voices.base import Delivery, Voice

log = logging.getLogger(__name__)

FULL_SCALE = 32767.0
MARK_BYTES = 200
"""What one mark is taken to occupy."""


@dataclass(frozen=True)
class Phrase:
    """A whole sentence's sound."""

    pcm: npt.NDArray[np.int16]
    sample_rate: int
    marks: tuple[Mark, ...] = ()

    @classmethod
    def of(cls, samples: Samples, sample_rate: int, marks: tuple[Mark, ...] = ()) -> Phrase:
        """Keep float samples [n] in -1..1 as 16 bit: half the memory, at a noise of -98 dB relative to full scale."""
        return cls(np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16), sample_rate, marks)

    @property
    def samples(self) -> Samples:
        """Float32 samples [n] in -1..1."""
        samples: Samples = self.pcm.astype(np.float32) / np.float32(FULL_SCALE)
        return samples

    @property
    def size(self) -> int:
        """Bytes it occupies, about."""
        return self.pcm.nbytes + MARK_BYTES * len(self.marks)


def phrase_key(voice: Voice, sentence: Sentence, delivery: Delivery, edition: str = "") -> str:
    """What identifies a phrase: equal keys, equal sound. Usable as a file name.

    `edition` tells apart what the voice's name does not, such as two releases of a bundle (its voice.json's checksum).
    The words' spelling is part of it, since marks carry it.
    """
    words = [(word.text, word.phones, int(word.break_after)) for word in sentence.words]
    facts = (voice.name, edition, voice.precision, voice.sample_rate, words, sentence.ending, asdict(delivery))
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()[:40]


class PhraseCache:
    """Phrases by key, at most `max_bytes` of them in memory, the least recently used leave first. Thread-safe.

    With a folder, phrases stored by `keep` are found again after a restart; nothing else is written there.
    """

    def __init__(self, max_bytes: int, folder: Path | None = None) -> None:
        """Nothing is read or written yet; the folder need not exist."""
        self._max_bytes = max_bytes
        self._folder = folder
        self._phrases: OrderedDict[str, Phrase] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of the phrases in memory."""
        return self._bytes

    def get(self, key: str) -> Phrase | None:
        """The phrase, from memory or from the folder. A damaged file is logged, deleted and not found."""
        with self._lock:
            if key in self._phrases:
                self._phrases.move_to_end(key)
                return self._phrases[key]
        phrase = self._read(key)
        if phrase is not None:
            self.put(key, phrase)
        return phrase

    def put(self, key: str, phrase: Phrase) -> None:
        """Remember a phrase; one that is larger than the whole cache is not."""
        with self._lock:
            previous = self._phrases.pop(key, None)
            self._bytes -= previous.size if previous else 0
            if phrase.size > self._max_bytes:
                return
            self._phrases[key] = phrase
            self._bytes += phrase.size
            while self._bytes > self._max_bytes:
                _, oldest = self._phrases.popitem(last=False)
                self._bytes -= oldest.size

    def keep(self, key: str, phrase: Phrase) -> None:
        """Remember a phrase and store it in the folder for later starts. Raises OSError, e.g. when the disk is full."""
        self.put(key, phrase)
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=self._folder, suffix=".new")
        try:
            with os.fdopen(handle, "wb") as stream:
                marks = json.dumps([asdict(mark) for mark in phrase.marks], ensure_ascii=False)
                np.savez(stream, pcm=phrase.pcm, sample_rate=np.array(phrase.sample_rate), marks=np.array(marks))
                stream.flush()
                # The service reads what an administrator has rendered.
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
            Path(scratch).replace(self._path(key))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.npz"

    def _read(self, key: str) -> Phrase | None:
        if self._folder is None or not self._path(key).is_file():
            return None
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as archive:
                marks = tuple(Mark(**mark) for mark in json.loads(str(archive["marks"])))
                phrase = Phrase(archive["pcm"], int(archive["sample_rate"]), marks)
            if phrase.pcm.dtype != np.int16 or phrase.pcm.ndim != 1:
                raise ValueError(f"pcm is {phrase.pcm.dtype} {phrase.pcm.shape}")
        except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            log.warning("%s: damaged, deleted; the phrase is synthesized instead: %s", path, error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return phrase
