"""Speech through a sound device, by PortAudio."""

from __future__ import annotations

import time

from edge_tts.audio.chunk import Samples
from edge_tts.audio.resample import Resampler
from edge_tts.audio.ring import PlaybackRing
from edge_tts.audio.stream_keeper import StreamKeeper
from edge_tts.errors import AudioDeviceError


class SoundDeviceSink:
    """An AudioSink that plays through PortAudio and outlives its device.

    `begin`, `write` and `drain` wait `device_wait` seconds for a lost device, then raise AudioDeviceError; what was
    written before goes on when it is back in time.

    With `keep_warm` the device plays silence between utterances. Without it, it is closed `idle_close` seconds after
    the last one. After each opening `preroll_ms` of silence goes ahead of speech (None: by the kind of device), because
    a sleeping device swallows what comes first. `sample_rate` is what to open before the first utterance is known.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        latency_ms: int = 40,
        keep_warm: bool = True,
        volume: float = 1.0,
        sample_rate: int = 24000,
        preroll_ms: int | None = None,
        buffer_seconds: float = 3.0,
        idle_close: float = 5.0,
        device_wait: float = 10.0,
    ) -> None:
        self._keeper = StreamKeeper(
            device,
            latency=latency_ms / 1000,
            keep_warm=keep_warm,
            preroll_ms=preroll_ms,
            buffer_seconds=buffer_seconds,
            idle_close=idle_close,
            volume=volume,
            sample_rate=sample_rate,
        )
        self._changed = self._keeper.changed
        self._device_wait = device_wait
        self._rate = sample_rate
        self._ring: PlaybackRing | None = None
        """The ring this utterance was begun in; None outside an utterance."""
        self._resampler: Resampler | None = None
        self._cancelled = False
        self._began = 0.0
        self._written = 0
        self._heard = 0

    @property
    def volume(self) -> float:
        return self._keeper.volume

    @volume.setter
    def volume(self, value: float) -> None:
        with self._changed:
            self._keeper.volume = value
            if self._keeper.ring is not None:
                self._keeper.ring.volume = value

    @property
    def description(self) -> str:
        return self._keeper.description

    @property
    def underruns(self) -> int:
        return self._keeper.underruns

    def start(self) -> None:
        """Open the device, or wait for it in the background. Raises AudioDeviceError without PortAudio."""
        self._keeper.start()

    def stop(self) -> None:
        self.cancel()
        self._keeper.stop()

    def begin(self, sample_rate: int, utterance: str) -> None:
        with self._changed:
            self._cancelled, self._ring, self._resampler = False, None, None
            self._rate, self._written, self._heard = sample_rate, 0, 0
            self._began = time.monotonic()
            self._keeper.use(sample_rate)
            self._await_stream()
            ring = self._keeper.ring
            if self._cancelled or ring is None:
                return
            if ring.sample_rate != sample_rate:
                try:
                    self._resampler = Resampler(sample_rate, ring.sample_rate)
                except AudioDeviceError:
                    self._keeper.release()
                    raise
            ring.begin()
            self._ring = ring

    def write(self, samples: Samples) -> bool:
        self._written += len(samples)
        return self._feed(self._resampler.push(samples) if self._resampler else samples)

    def drain(self) -> bool:
        if self._resampler and not self._feed(self._resampler.flush()):
            return False
        with self._changed:
            if self._ring is not None:
                self._ring.finish()
            while True:
                self._await_stream()
                if self._cancelled or self._ring is None:
                    return False
                left = self._ring.remaining(time.monotonic())
                if left <= 0.0:
                    self._heard = self._written
                    self._end()
                    return True
                self._changed.wait(left)

    def cancel(self) -> None:
        with self._changed:
            self._heard = self.heard()
            self._cancelled = True
            if self._ring is not None:
                self._ring.cancel()
            self._end()

    def heard(self) -> int:
        with self._changed:
            if self._ring is not None:
                position = self._ring.heard(time.monotonic()) * self._rate // self._ring.sample_rate
                self._heard = max(self._heard, min(position, self._written))
            return self._heard

    def _feed(self, samples: Samples) -> bool:
        with self._changed:
            while True:
                self._await_stream()
                if self._cancelled or self._ring is None:
                    return False
                samples = samples[self._ring.write(samples) :]
                if len(samples) == 0:
                    return True
                room = min(len(samples), self._ring.capacity // 4)
                self._changed.wait(room / self._ring.sample_rate)

    def _await_stream(self) -> None:
        """Wait until this utterance can go on or was cancelled. Raises AudioDeviceError, and then it is over."""
        keeper = self._keeper
        since = max(self._began, keeper.lost_since) if keeper.lost_since else time.monotonic()
        came = self._changed.wait_for(
            lambda: self._cancelled or keeper.stopping or keeper.is_ready,
            max(0.0, since + self._device_wait - time.monotonic()),
        )
        if self._cancelled:
            return
        if keeper.stopping:
            reason = "the sound device was closed"
        elif not came:
            reason = keeper.trouble or "the sound device does not answer"
        elif self._ring is not None and self._ring is not keeper.ring:
            reason = "the sound device came back with another sample rate"
        else:
            return
        self.heard()
        keeper.drop()
        self._end()
        raise AudioDeviceError(reason)

    def _end(self) -> None:
        self._ring = None
        self._keeper.release()
