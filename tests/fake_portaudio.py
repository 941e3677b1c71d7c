"""Stands in for the `sounddevice` module: devices that play in real time, refuse formats, vanish and hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

BLOCK_SECONDS = 0.01
DELAY = 0.03
"""Seconds from a callback to the moment its first sample is audible."""


class PortAudioError(Exception):
    """As in sounddevice."""


@dataclass
class FakeDevice:
    """A sound device: what it takes, how it behaves, and what it played."""

    name: str = "Speaker: USB Audio (hw:1,0)"
    rates: tuple[int, ...] = (24000, 48000)
    channels: tuple[int, ...] = (1, 2)
    default_rate: int = 48000
    busy: bool = False
    stalled: bool = False
    xruns: bool = False
    blocks: list[np.ndarray] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    """The rate of every stream opened so far."""
    last_audible: float = 0.0
    """When the last sample other than zero was, or will be, audible; monotonic seconds."""

    @property
    def played(self) -> np.ndarray:
        """Everything played so far, shape [n, channels]."""
        return np.concatenate(self.blocks) if self.blocks else np.zeros((0, 1), np.float32)


class FakePortAudio:
    """The parts of `sounddevice` that the sink uses. The device list is frozen until PortAudio is initialised again."""

    PortAudioError = PortAudioError

    def __init__(self, *devices: FakeDevice) -> None:
        self.plugged = list(devices)
        self.listed = list(devices)
        self.streams: list[FakeStream] = []
        self.initialisations = 0
        self._lib = SimpleNamespace(Pa_Terminate=lambda: 0, Pa_Initialize=self._initialise)

    def _initialise(self) -> int:
        assert not any(stream.active for stream in self.streams), "PortAudio initialised again under an open stream"
        self.initialisations += 1
        self.listed = list(self.plugged)
        return 0

    def _check(self, code: int) -> int:
        return code

    def _exit_handler(self) -> None:
        """Nothing is left to end."""

    def unplug(self) -> list[FakeDevice]:
        """Pull all devices out; what was pulled."""
        gone, self.plugged = self.plugged, []
        for stream in self.streams:
            stream.end()
        return gone

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}]

    def query_devices(self, kind: str | None = None) -> Any:
        found = [
            {
                "index": index,
                "name": device.name,
                "hostapi": 0,
                "max_output_channels": max(device.channels),
                "default_samplerate": float(device.default_rate),
            }
            for index, device in enumerate(self.listed)
        ]
        if kind is None:
            return found
        if not found:
            raise PortAudioError("Error querying device -1")
        return found[0]

    def OutputStream(self, **settings: Any) -> FakeStream:  # noqa: N802
        device = self.listed[settings["device"]]
        if device not in self.plugged:
            raise PortAudioError("Device unavailable")
        if device.busy:
            raise PortAudioError("Device or resource busy")
        if settings["samplerate"] not in device.rates:
            raise PortAudioError("Invalid sample rate")
        if settings["channels"] not in device.channels:
            raise PortAudioError("Invalid number of channels")
        stream = FakeStream(device, settings)
        self.streams.append(stream)
        return stream


class FakeStream:
    """An output stream whose callback a thread calls in real time."""

    def __init__(self, device: FakeDevice, settings: dict[str, Any]) -> None:
        self.latency: float = settings["latency"]
        self.active = False
        self._device = device
        self._rate: int = settings["samplerate"]
        self._channels: int = settings["channels"]
        self._callback: Callable[..., None] = settings["callback"]
        self._finished: Callable[[], None] = settings["finished_callback"]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._pump, name="fake-portaudio", daemon=True)
        device.opened.append(self._rate)

    def start(self) -> None:
        self.active = True
        self._thread.start()

    def abort(self, ignore_errors: bool = True) -> None:
        self.end()

    def close(self, ignore_errors: bool = True) -> None:
        self.end()

    def end(self) -> None:
        """Stop to call back, as when the device is gone."""
        if self.active:
            self._over.set()
            self._thread.join(5.0)

    def _pump(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += BLOCK_SECONDS
            if not self._device.stalled:
                self._call_back(round(BLOCK_SECONDS * self._rate))
        self.active = False
        self._finished()

    def _call_back(self, frames: int) -> None:
        out = np.full((frames, self._channels), np.nan, np.float32)
        now = time.monotonic()
        times = SimpleNamespace(currentTime=1000.0, outputBufferDacTime=1000.0 + DELAY)
        self._callback(out, frames, times, SimpleNamespace(output_underflow=self._device.xruns))
        assert not np.isnan(out).any(), "the callback left a part of the block unfilled"
        self._device.blocks.append(out)
        loud = np.flatnonzero(out[:, 0])
        if len(loud):
            self._device.last_audible = now + DELAY + (loud[-1] + 1) / self._rate
