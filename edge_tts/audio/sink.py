"""Where speech goes. One utterance at a time is begun, written, and drained or cancelled."""

from __future__ import annotations

from typing import Protocol

from edge_tts.audio.chunk import Samples


class AudioSink(Protocol):
    """A sound device, a folder of WAV files, or a fake.

    One thread (the synthesis worker) calls `begin`, `write` and `drain`; `cancel`, `heard` and `volume` may be
    used from any thread. Positions count samples of the present utterance, at the rate given to `begin`.
    """

    volume: float
    """Device volume 0 to 1, applied to what is played from now on."""

    @property
    def description(self) -> str:
        """For a person: the device's name and rate, or the folder."""

    def start(self) -> None:
        """Open the device. A device that is absent is waited for in the background, not an error."""

    def begin(self, sample_rate: int, utterance: str) -> None:
        """Make ready for an utterance (its id names a WAV file). Raises AudioDeviceError if no device comes in time."""

    def write(self, samples: Samples) -> bool:
        """Hand over samples, waiting while the buffer is full. False: the utterance was cancelled, stop synthesizing.

        Raises AudioDeviceError when the device was lost and did not come back in time.
        """

    def drain(self) -> bool:
        """Wait until all that was written has been heard. False when cancelled meanwhile. Raises as `write` does."""

    def cancel(self) -> None:
        """Fade out what is being played within 50 ms and drop the rest of this utterance."""

    def heard(self) -> int:
        """Samples of this utterance that have reached the listener, device latency taken off."""

    @property
    def underruns(self) -> int:
        """Times the device ran dry inside an utterance, since start."""

    def stop(self) -> None:
        """Close the device. Safe to call twice."""
