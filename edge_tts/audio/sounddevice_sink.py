"""Speech through a sound device, by PortAudio."""

from __future__ import annotations

import logging
import threading
import time

from edge_tts.audio import devices
from edge_tts.audio.chunk import Samples
from edge_tts.audio.portaudio import PlaybackStream, open_stream, refresh
from edge_tts.audio.resample import Resampler
from edge_tts.audio.ring import PlaybackRing
from edge_tts.errors import AudioDeviceError

log = logging.getLogger(__name__)

_TICK = 0.25
_BACK_OFF = (0.5, 10.0)
_JOIN_TIMEOUT = 3.0


class SoundDeviceSink:
    """An AudioSink that plays through PortAudio and outlives its device.

    A supervisor thread alone opens and closes streams; if a device hangs, only that thread hangs with it. `write`,
    `drain` and `begin` wait `device_wait` seconds for a lost device, then raise AudioDeviceError.

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
        self._wanted_device = device
        self._latency = latency_ms / 1000
        self._keep_warm = keep_warm
        self._volume = volume
        self._preroll_ms = preroll_ms
        self._buffer_seconds = buffer_seconds
        self._idle_close = idle_close
        self._device_wait = device_wait

        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._stream: PlaybackStream | None = None
        self._ring: PlaybackRing | None = None
        self._rate = sample_rate
        """The rate that utterances have; the device's own is the ring's."""
        self._resampler: Resampler | None = None
        self._in_use = False
        self._cancelled = False
        self._failed: str | None = None
        self._idle_since = 0.0
        self._written = 0
        self._heard = 0
        self._underruns = 0
        self._trouble: str | None = None
        """Why there is no stream; None while there is one, or none is wanted."""
        self._stream_for = 0
        """The utterances' rate that the stream was opened for."""
        self._retry_at = 0.0
        self._retry_delay = _BACK_OFF[0]

    @property
    def volume(self) -> float:
        return self._volume

    @volume.setter
    def volume(self, value: float) -> None:
        with self._changed:
            self._volume = value
            if self._ring is not None:
                self._ring.volume = value

    @property
    def description(self) -> str:
        with self._changed:
            if self._stream is not None:
                return f"{self._stream.device.name} at {self._stream.rate} Hz"
            return f"no sound device ({self._trouble})" if self._trouble else "sound device, asleep"

    @property
    def available(self) -> bool:
        """Whether the device is there, as far as is known; a device that sleeps counts as there."""
        with self._changed:
            return self._trouble is None

    @property
    def underruns(self) -> int:
        with self._changed:
            return self._underruns + (self._ring.underruns if self._ring else 0)

    def start(self) -> None:
        """Start the supervisor and give the device two seconds to open. Raises AudioDeviceError without PortAudio."""
        devices.query()
        self._stopping = False
        self._thread = threading.Thread(target=self._supervise, name="sound-supervisor", daemon=True)
        self._thread.start()
        if self._keep_warm:
            with self._changed:
                self._changed.wait_for(lambda: self._stream or self._trouble, 2.0)

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT)
            if self._thread.is_alive():
                log.warning("the sound device does not answer; leaving it behind")
            self._thread = None

    def begin(self, sample_rate: int, utterance: str) -> None:
        with self._changed:
            self._in_use, self._cancelled, self._failed = True, False, None
            self._rate, self._written, self._heard = sample_rate, 0, 0
            self._resampler = None
            self._retry_at = min(self._retry_at, time.monotonic() + _BACK_OFF[0])
            self._changed.notify_all()
            self._await_stream()
            if self._cancelled:
                return
            assert self._ring is not None
            if self._ring.sample_rate != sample_rate:
                try:
                    self._resampler = Resampler(sample_rate, self._ring.sample_rate)
                except AudioDeviceError:
                    self._release()
                    raise
            self._ring.begin()

    def write(self, samples: Samples) -> bool:
        self._written += len(samples)
        return self._feed(self._resampler.push(samples) if self._resampler else samples)

    def drain(self) -> bool:
        if self._resampler and not self._feed(self._resampler.flush()):
            return False
        with self._changed:
            if not self._cancelled and self._ring is not None:
                self._ring.finish()
            while True:
                self._await_stream()
                if self._cancelled:
                    return False
                assert self._ring is not None
                left = self._ring.remaining(time.monotonic())
                if left <= 0.0:
                    self._heard = self._written
                    self._release()
                    return True
                self._changed.wait(min(left, _TICK))

    def cancel(self) -> None:
        with self._changed:
            if not self._in_use:
                return
            self.heard()
            self._cancelled = True
            if self._ring is not None:
                self._ring.cancel()
            self._release()

    def heard(self) -> int:
        with self._changed:
            if self._ring is not None and self._in_use:
                position = self._ring.heard(time.monotonic()) * self._rate // self._ring.sample_rate
                self._heard = max(self._heard, min(position, self._written))
            return self._heard

    def _feed(self, samples: Samples) -> bool:
        with self._changed:
            while True:
                self._await_stream()
                if self._cancelled:
                    return False
                assert self._ring is not None
                samples = samples[self._ring.write(samples) :]
                if len(samples) == 0:
                    return True
                room = min(len(samples), self._ring.sample_rate // 4)
                self._changed.wait(room / self._ring.sample_rate)

    def _await_stream(self) -> None:
        """Wait for a stream at this utterance's rate, or for its cancellation. Raises AudioDeviceError."""
        came = self._changed.wait_for(
            lambda: self._cancelled or self._failed or self._stopping or self._is_ready(), self._device_wait
        )
        if self._cancelled:
            return
        if not came or self._failed or self._stopping:
            reason = self._failed or ("it was closed" if self._stopping else self._trouble) or "it does not answer"
            self._abandon()
            raise AudioDeviceError(f"no sound device: {reason}")

    def _is_ready(self) -> bool:
        return self._stream is not None and self._stream_for == self._rate

    def _release(self) -> None:
        self._in_use = False
        self._idle_since = time.monotonic()
        self._changed.notify_all()

    def _abandon(self) -> None:
        if self._ring is not None:
            if self._stream is None:
                self._ring.clear()
            else:
                self._ring.cancel()
        self._release()

    def _supervise(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    break
            self._check_stream()
            self._check_absence()
            with self._changed:
                if not self._stopping:
                    self._changed.wait(self._next_check())
        self._close_stream()

    def _next_check(self) -> float | None:
        if self._stream is not None:
            mismatch = self._in_use and not self._is_ready()
            return 0.01 if mismatch else _TICK
        return max(0.0, self._retry_at - time.monotonic()) if self._is_wanted() else None

    def _is_wanted(self) -> bool:
        return self._keep_warm or self._in_use

    def _check_stream(self) -> None:
        """Close the stream when it failed, has another rate than is wanted now, or has idled for long enough."""
        if self._stream is None:
            return
        failure = self._stream.failure()
        if failure is not None:
            log.warning("sound device %s lost: %s; waiting for it", self._stream.device.name, failure)
            self._close_stream(failure)
            return
        with self._changed:
            assert self._ring is not None
            now = time.monotonic()
            if self._ring.remaining(now) > 0.0:
                return
            if self._in_use and self._stream.rate == self._rate:
                self._stream_for = self._rate
                self._changed.notify_all()
            outdated = self._in_use and not self._is_ready()
            asleep = not self._is_wanted() and now - self._idle_since > self._idle_close
        if outdated or asleep:
            self._close_stream()

    def _close_stream(self, trouble: str | None = None) -> None:
        with self._changed:
            stream, self._stream, self._trouble = self._stream, None, trouble
            self._retry_at = time.monotonic() + (_BACK_OFF[0] if trouble else 0.0)
        if stream is not None:
            stream.close()

    def _check_absence(self) -> None:
        """Open a stream if one is wanted and its time has come."""
        with self._changed:
            due = self._stream is None and self._is_wanted() and time.monotonic() >= self._retry_at
            rate, trouble = self._rate, self._trouble
        if not due:
            return
        try:
            if trouble:
                refresh()
            self._open(rate)
        except AudioDeviceError as error:
            if not trouble:
                log.warning("%s; waiting for it", error)
            with self._changed:
                self._trouble = str(error)
                self._retry_at = time.monotonic() + self._retry_delay
                self._retry_delay = min(2 * self._retry_delay, _BACK_OFF[1])
                self._changed.notify_all()
            return
        self._retry_delay = _BACK_OFF[0]
        if trouble:
            log.info("sound device is back: %s", self.description)

    def _open(self, rate: int) -> None:
        device = devices.choose(devices.query(), self._wanted_device)
        stream = open_stream(device, devices.formats(rate, device), self._latency)
        with self._changed:
            ring = self._ring
            if ring is None or ring.sample_rate != stream.rate:
                if ring is not None:
                    self._underruns += ring.underruns
                    self._failed = "it came back with another sample rate" if self._in_use and self._written else None
                ring = self._ring = PlaybackRing(
                    round(self._buffer_seconds * stream.rate), stream.rate, volume=self._volume
                )
            elif not self._in_use:
                ring.clear()
            preroll = devices.wake_ms(device.name) if self._preroll_ms is None else self._preroll_ms
            ring.hold(preroll * stream.rate // 1000)
        stream.play(ring)
        with self._changed:
            self._stream, self._stream_for, self._trouble = stream, rate, None
            self._changed.notify_all()
