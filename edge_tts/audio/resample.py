"""Sample-rate conversion for devices that do not take the voice's rate."""

from __future__ import annotations

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.errors import AudioDeviceError


class Resampler:
    """Converts a stream of float32 chunks from one sample rate to another (soxr, high quality).

    Raises AudioDeviceError when soxr is not installed.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        try:
            import soxr
        except ImportError as error:
            raise AudioDeviceError(
                f"the sound device does not take {rate_in} Hz; install the resampler: pip install soxr"
            ) from error
        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")

    def push(self, samples: Samples) -> Samples:
        """What can be converted so far, shape [n]."""
        return np.asarray(self._stream.resample_chunk(samples), np.float32)

    def flush(self) -> Samples:
        """The tail after the last chunk, shape [n]."""
        return np.asarray(self._stream.resample_chunk(np.zeros(0, np.float32), last=True), np.float32)
