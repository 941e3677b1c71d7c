"""Keeps a playback stream open while one is wanted, and brings it back after its device was lost."""

from __future__ import annotations

import logging
import os
import threading
import time

from edge_tts.audio import devices
from edge_tts.audio.portaudio import PlaybackStream, leave_at_exit, open_stream, quiet_libraries, refresh
from edge_tts.audio.ring import PlaybackRing
from edge_tts.errors import AudioDeviceError

log = logging.getLogger(__name__)

_TICK = 0.25
_SOON = 0.01
_BACK_OFF = (0.5, 10.0)
_STEADY_AFTER = 4.0
"""Seconds of playing after which a device that was lost counts as back for good."""
_LAST_FADE = 0.3
_JOIN_TIMEOUT = 2.0


class StreamKeeper:
    """The supervisor of one sound device.

    Its thread alone opens and closes streams, so a device that hangs in one of these holds up nobody else. All
    attributes are guarded by `changed`, which is notified whenever a stream comes or goes.
    """

    def __init__(
        self,
        device: str | int | None,
        *,
        latency: float,
        keep_warm: bool,
        preroll_ms: int | None,
        buffer_seconds: float,
        idle_close: float,
        volume: float,
        sample_rate: int,
    ) -> None:
        self.changed = threading.Condition()
        self.ring: PlaybackRing | None = None
        """What the stream plays; it outlives streams and is replaced when the device's rate changes."""
        self.trouble: str | None = None
        """Why there is no stream although one is wanted."""
        self.lost_since: float | None = None
        """When the device was lost, monotonic; None once it is back for good."""
        self.volume = volume
        self.stopping = False
        self._device = device
        self._latency = latency
        self._keep_warm = keep_warm
        self._preroll_ms = preroll_ms
        self._buffer_seconds = buffer_seconds
        self._idle_close = idle_close
        self._thread: threading.Thread | None = None
        self._stream: PlaybackStream | None = None
        self._rate = sample_rate
        """The speech's rate; the device's own is the ring's."""
        self._opened_at = 0.0
        self._opened_for = 0
        """The speech's rate when the stream was opened."""
        self._in_use = False
        self._idle_since = 0.0
        self._retry_at = 0.0
        self._retry_delay = _BACK_OFF[0]
        self._past_underruns = 0

    @property
    def description(self) -> str:
        """The device's name and rate, or why there is none."""
        with self.changed:
            if self._stream is not None:
                return f"{self._stream.device.name} at {self._stream.rate} Hz"
            return f"no sound ({self.trouble})" if self.trouble else "sound device, asleep"

    @property
    def underruns(self) -> int:
        """Over all rings there were."""
        with self.changed:
            return self._past_underruns + (self.ring.underruns if self.ring else 0)

    @property
    def is_ready(self) -> bool:
        """Whether there is a stream for the rate that is wanted."""
        return self._stream is not None and self._opened_for == self._rate

    def start(self) -> None:
        """Start the thread; a warm device gets two seconds to open. Raises AudioDeviceError without PortAudio."""
        card = devices.alsa_card(self._device)
        if card is not None:
            self._device, os.environ["ALSA_CARD"] = card
        devices.query()
        quiet_libraries()
        if card is not None:
            refresh()
        self.stopping = False
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="sound-supervisor", daemon=True)
        self._thread.start()
        if self._keep_warm:
            with self.changed:
                self.changed.wait_for(lambda: self._stream or self.trouble, 2.0)

    def stop(self) -> None:
        """Close the stream and join the thread."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        thread = self._thread
        if thread is not None:
            thread.join(_JOIN_TIMEOUT)
            if thread.is_alive():
                log.warning("the sound device does not answer; it is left as it is")
                leave_at_exit()
            else:
                self._thread = None

    def use(self, sample_rate: int) -> None:
        """An utterance of this rate begins."""
        with self.changed:
            self._in_use, self._rate = True, sample_rate
            self._retry_at = min(self._retry_at, time.monotonic() + _BACK_OFF[0])
            self.changed.notify_all()

    def release(self) -> None:
        """The utterance is over."""
        with self.changed:
            self._in_use, self._idle_since = False, time.monotonic()
            self.changed.notify_all()

    def drop(self) -> None:
        """Forget what has not been played, without a fade if nothing plays it."""
        with self.changed:
            if self.ring is not None:
                if self._stream is None:
                    self.ring.clear()
                else:
                    self.ring.cancel()

    @property
    def _wanted(self) -> bool:
        return self._keep_warm or self._in_use

    def _run(self) -> None:
        while not self.stopping:
            try:
                self._check_stream()
                self._check_absence()
            except Exception as error:
                log.exception("the sound device failed in an unknown way; it is opened again")
                self._close(self._detach(f"{type(error).__name__}: {error}"))
            with self.changed:
                if not self.stopping:
                    self.changed.wait(self._next_check())
        with self.changed:
            playing = self.ring.remaining(time.monotonic()) if self.ring and self._stream else 0.0
        time.sleep(min(playing, _LAST_FADE))
        self._close(self._detach())

    def _next_check(self) -> float | None:
        if self._stream is not None:
            return _SOON if self._in_use and not self.is_ready else _TICK
        return max(0.0, self._retry_at - time.monotonic()) if self._wanted else None

    def _check_stream(self) -> None:
        """Close the stream when it failed, has another rate than is wanted now, or has idled for long enough."""
        stream = self._stream
        if stream is None:
            return
        failure = stream.failure()
        with self.changed:
            if failure is not None:
                log.warning("sound device %s lost: %s; waiting for it", stream.device.name, failure)
                self._detach(f"sound device {stream.device.name!r} lost: {failure}")
            elif self._is_outdated():
                self._detach()
            else:
                if time.monotonic() - self._opened_at > _STEADY_AFTER:
                    self.lost_since, self._retry_delay = None, _BACK_OFF[0]
                return
        self._close(stream)
        with self.changed:
            if self.ring is not None:
                self.ring.rewind(stream.called)

    def _is_outdated(self) -> bool:
        assert self._stream is not None
        assert self.ring is not None
        now = time.monotonic()
        if self.ring.remaining(now) > 0.0:
            return False
        if not self._in_use:
            return not self._keep_warm and now - self._idle_since > self._idle_close
        if self._stream.rate == self._rate:
            self._opened_for = self._rate
            self.changed.notify_all()
        return not self.is_ready

    def _detach(self, trouble: str | None = None) -> PlaybackStream | None:
        with self.changed:
            stream, self._stream = self._stream, None
            self._retry_at = 0.0
            if trouble is not None:
                self._note_trouble(trouble)
            self.changed.notify_all()
        return stream

    def _note_trouble(self, trouble: str) -> None:
        now = time.monotonic()
        self.trouble = trouble
        self.lost_since = self.lost_since or now
        self._retry_at = now + self._retry_delay
        self._retry_delay = min(2 * self._retry_delay, _BACK_OFF[1])
        self.changed.notify_all()

    @staticmethod
    def _close(stream: PlaybackStream | None) -> None:
        # Never under the lock: a sound server that hangs keeps this call for as long.
        if stream is not None:
            stream.close()

    def _check_absence(self) -> None:
        """Open a stream if one is wanted and its time has come."""
        with self.changed:
            due = self._stream is None and self._wanted and not self.stopping and time.monotonic() >= self._retry_at
            rate, trouble = self._rate, self.trouble
        if not due:
            return
        try:
            if trouble is not None:
                refresh()
            self._open(rate)
        except AudioDeviceError as error:
            if trouble is None:
                log.warning("%s; waiting for it", error)
            with self.changed:
                self._note_trouble(str(error))
            return
        if trouble is not None:
            log.info("sound device is back: %s", self.description)

    def _open(self, rate: int) -> None:
        device = devices.choose(devices.query(), self._device)
        stream = open_stream(device, devices.formats(rate, device), self._latency)
        with self.changed:
            if self.ring is None or self.ring.sample_rate != stream.rate:
                self._past_underruns = self.underruns
                self.ring = PlaybackRing(round(self._buffer_seconds * stream.rate), stream.rate, self.volume)
            preroll = devices.wake_ms(device.name) if self._preroll_ms is None else self._preroll_ms
            self.ring.hold(preroll * stream.rate // 1000)
            ring = self.ring
        stream.play(ring)
        with self.changed:
            self._stream, self._opened_for, self.trouble = stream, rate, None
            self._opened_at = time.monotonic()
            self.changed.notify_all()
