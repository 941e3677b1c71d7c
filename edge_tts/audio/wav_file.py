"""A WAV file that grows while it is spoken."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.errors import AudioDeviceError


class WavFile:
    """A 16-bit mono WAV file that grows; its header is right after every append."""

    def __init__(self, path: Path, sample_rate: int, mode: Literal["wb", "xb"]) -> None:
        self.path = path
        self.sample_rate = sample_rate
        with self._errors_named():
            self._file = path.open(mode)
        self._wave = wave.Wave_write(self._file)
        self._wave.setparams((1, 2, sample_rate, 0, "NONE", ""))

    def append(self, samples: Samples) -> None:
        """Add float samples, clipped to -1..1. Raises AudioDeviceError."""
        pcm = np.rint(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
        with self._errors_named():
            self._wave.writeframes(pcm.tobytes())
            self._file.flush()

    def close(self) -> None:
        """Complete the file; one without samples is removed. Raises AudioDeviceError."""
        with self._errors_named():
            empty = self._wave.getnframes() == 0
            try:
                self._wave.close()
            finally:
                self._file.close()
            if empty:
                self.path.unlink(missing_ok=True)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            raise AudioDeviceError(f"cannot write {self.path}: {error.strerror}") from error
