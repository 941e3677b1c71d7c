"""PortAudio, kept at arm's length: one playing stream, and the device list brought up to date."""

from __future__ import annotations

import atexit
import ctypes
import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.audio.devices import Device
from edge_tts.audio.ring import PlaybackRing
from edge_tts.errors import AudioDeviceError

log = logging.getLogger(__name__)

_STALLED_AFTER = 1.5
"""Seconds without a callback after which a device counts as lost."""
_STORM_SECONDS = 3.0
_MAX_BLOCK = 8192


@cache
def quiet_libraries() -> list[Callable[..., Any]]:
    """Send to the debug log what ALSA and JACK otherwise print by the dozen whenever devices are looked for.

    Returns the handlers, which must live as long as the process.
    """
    alsa_type = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
    jack_type = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
    on_alsa = alsa_type(lambda file, line, function, error, text: log.debug("ALSA: %s: %r", function.decode(), text))
    on_jack = jack_type(lambda text: log.debug("JACK: %r", text))
    for library, setter, handler in (
        ("libasound.so.2", "snd_lib_error_set_handler", on_alsa),
        ("libjack.so.0", "jack_set_error_function", on_jack),
        ("libjack.so.0", "jack_set_info_function", on_jack),
    ):
        try:
            getattr(ctypes.CDLL(library), setter)(handler)
        except (OSError, AttributeError):
            log.debug("%s has no %s to quieten", library, setter)
    return [on_alsa, on_jack]


def refresh() -> None:
    """Make PortAudio look for devices again. Only while no stream is open: it would be cut off."""
    import sounddevice

    quiet_libraries()
    # Not sounddevice._initialize: that sends the process's stderr to /dev/null, for ever if the sound server hangs.
    try:
        sounddevice._lib.Pa_Terminate()
        sounddevice._check(sounddevice._lib.Pa_Initialize())
    except sounddevice.PortAudioError as error:
        raise AudioDeviceError(f"PortAudio cannot be initialised: {error}") from error


def leave_at_exit() -> None:
    """Keep the end of the process from waiting for a device that hangs."""
    import sounddevice

    atexit.unregister(sounddevice._exit_handler)


class PlaybackStream:
    """An open stream that plays from a ring. Made by `open_stream`; one thread owns it."""

    def __init__(self, device: Device, rate: int, channels: int, latency: float) -> None:
        import sounddevice

        self.device = device
        self.rate = rate
        self.channels = channels
        self._ring: PlaybackRing | None = None
        self._mono: Samples = np.zeros(_MAX_BLOCK, np.float32)
        self._latency = latency
        self.called = time.monotonic()
        """When the device last asked for samples; monotonic seconds."""
        self._finished = False
        self._callbacks = 0
        self._xruns = 0
        self._window = (self.called, 0, 0)
        # Half the latency: ALSA makes it the period, of which it buffers three. Other sizes bring callbacks in bursts
        # with a DAC time that jumps; PortAudio's own choice, a quarter, costs twice the CPU time for 10 ms less.
        self._stream = sounddevice.OutputStream(
            device=device.index,
            samplerate=rate,
            channels=channels,
            dtype="float32",
            latency=latency,
            blocksize=round(latency * rate / 2),
            callback=self._callback,
            finished_callback=self._on_finished,
        )

    def play(self, ring: PlaybackRing) -> None:
        """Start to call the ring's `read`. Raises AudioDeviceError, and is closed then."""
        import sounddevice

        self._ring = ring
        self._latency = self._stream.latency
        self.called = time.monotonic()
        try:
            self._stream.start()
        except sounddevice.PortAudioError as error:
            self.close()
            raise AudioDeviceError(f"sound device {self.device.name!r} does not start: {error.args[0]}") from error

    def failure(self) -> str | None:
        """Why this stream is of no more use, or None while it plays."""
        import sounddevice

        now = time.monotonic()
        try:
            active = self._stream.active
        except sounddevice.PortAudioError as error:
            return str(error.args[0])
        if self._finished or not active:
            return "it was unplugged or the sound server ended"
        if now - self.called > _STALLED_AFTER:
            return f"it took no samples for {_STALLED_AFTER:g} s"
        since, callbacks, xruns = self._window
        if now - since > _STORM_SECONDS:
            self._window = (now, self._callbacks, self._xruns)
            if self._xruns - xruns > (self._callbacks - callbacks) / 2:
                return "it reports an underrun at every other block"
        return None

    def close(self) -> None:
        """Give the device back. What is still buffered is dropped."""
        self._ring = None
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _callback(self, out: Samples, frames: int, times: Any, status: Any) -> None:
        self.called = now = time.monotonic()
        self._callbacks += 1
        ring = self._ring
        if ring is None:
            out.fill(0.0)
            return
        if status.output_underflow:
            self._xruns += 1
            ring.note_xrun()
        delay = times.outputBufferDacTime - times.currentTime
        if not 0.0 < delay < 10.0:
            delay = self._latency
        if self.channels == 1:
            ring.read(out[:, 0], now + delay)
            return
        for start in range(0, frames, _MAX_BLOCK):
            part = out[start : start + _MAX_BLOCK]
            mono = self._mono[: len(part)]
            ring.read(mono, now + delay + start / self.rate)
            part[:] = mono[:, None]

    def _on_finished(self) -> None:
        self._finished = True


def open_stream(device: Device, formats: Sequence[tuple[int, int]], latency: float) -> PlaybackStream:
    """A stream in the first of `formats` (rate, channels) that the device takes. Raises AudioDeviceError if none."""
    import sounddevice

    reason = "it offers no format"
    for rate, channels in formats:
        try:
            return PlaybackStream(device, rate, channels, latency)
        except (sounddevice.PortAudioError, ValueError) as error:
            reason = str(error.args[0])
    raise AudioDeviceError(f"sound device {device.name!r} cannot be opened: {reason}")
