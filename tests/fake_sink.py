"""An AudioSink without a device: remembers what was written, has a clock one can turn, and fails on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.errors import AudioDeviceError


@dataclass
class Utterance:
    """What one begin … drain or cancel left behind."""

    id: str
    sample_rate: int
    chunks: list[Samples] = field(default_factory=list)
    heard: int = 0
    drained: bool = False
    cancelled: bool = False

    @property
    def written(self) -> int:
        """Samples handed over so far."""
        return sum(map(len, self.chunks))

    @property
    def samples(self) -> Samples:
        """Everything written, in one piece."""
        return np.concatenate([np.zeros(0, np.float32), *self.chunks])


class FakeSink:
    """A sink whose listener hears at once (`clocked=False`), or as `advance` lets time pass (`clocked=True`).

    `capacity` is how many seconds a clocked sink buffers before `write` waits. `lose` and `restore` pull the device
    out and put it back; `lose_after` pulls it in the middle of an utterance. Nothing waits longer than `device_wait`
    for a lost device, nor longer than `patience` for a clock that nobody turns: that is a test gone wrong.
    """

    def __init__(
        self, *, clocked: bool = False, capacity: float = 2.0, device_wait: float = 0.2, patience: float = 10.0
    ) -> None:
        self.volume = 1.0
        self.underruns = 0
        self.started = False
        self.utterances: list[Utterance] = []
        self.calls: list[str] = []
        self._clocked = clocked
        self._capacity = capacity
        self._device_wait = device_wait
        self._patience = patience
        self._present = True
        self._lose_after: int | None = None
        self._changed = threading.Condition()

    @property
    def description(self) -> str:
        return "a fake device"

    @property
    def now(self) -> Utterance:
        """The utterance that is being spoken, or was last."""
        return self.utterances[-1]

    def start(self) -> None:
        self._note("start")
        self.started = True

    def stop(self) -> None:
        self._note("stop")
        self.started = False
        self.cancel()

    def begin(self, sample_rate: int, utterance: str) -> None:
        self._note("begin")
        with self._changed:
            self._await_device(None)
            self.utterances.append(Utterance(utterance, sample_rate))
            self._changed.notify_all()

    def write(self, samples: Samples) -> bool:
        self._note("write")
        assert samples.dtype == np.float32, f"a sink takes float32, not {samples.dtype}"
        assert samples.ndim == 1, f"a sink takes mono, not shape {samples.shape}"
        with self._changed:
            now = self.now
            assert not now.drained, "written after drain, without begin"
            if self._lose_after is not None and now.written + len(samples) > self._lose_after:
                self._present, self._lose_after = False, None
            room = int(self._capacity * now.sample_rate)
            self._await(
                lambda: not (self._present and self._clocked) or now.cancelled or now.written - now.heard < room
            )
            self._await_device(now)
            if now.cancelled:
                return False
            now.chunks.append(samples.copy())
            if not self._clocked:
                now.heard = now.written
            self._changed.notify_all()
            return True

    def drain(self) -> bool:
        self._note("drain")
        with self._changed:
            now = self.now
            self._await(lambda: not self._present or now.cancelled or now.heard >= now.written)
            self._await_device(now)
            self._await(lambda: now.cancelled or now.heard >= now.written)
            now.drained = not now.cancelled
            self._changed.notify_all()
            return now.drained

    def cancel(self) -> None:
        self._note("cancel")
        with self._changed:
            if self.utterances and not self.now.drained:
                self.now.cancelled = True
            self._changed.notify_all()

    def heard(self) -> int:
        return self.now.heard if self.utterances else 0

    def advance(self, seconds: float) -> None:
        """Let a clocked sink play for so long, as far as it has samples."""
        with self._changed:
            now = self.now
            if not now.cancelled:
                now.heard = min(now.written, now.heard + round(seconds * now.sample_rate))
            self._changed.notify_all()

    def await_written(self, samples: int, timeout: float = 10.0) -> None:
        """Wait until the present utterance holds at least so many samples."""
        with self._changed:
            done = self._changed.wait_for(lambda: bool(self.utterances) and self.now.written >= samples, timeout)
            assert done, f"nobody wrote {samples} samples within {timeout} s"

    def await_utterances(self, count: int, timeout: float = 10.0) -> None:
        """Wait until so many utterances have been drained or cancelled."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: sum(one.drained or one.cancelled for one in self.utterances) >= count, timeout
            )
            assert done, f"only {len(self.utterances)} utterances within {timeout} s"

    def lose(self) -> None:
        """Pull the device out."""
        with self._changed:
            self._present = False
            self._changed.notify_all()

    def lose_after(self, samples: int) -> None:
        """Pull the device out at the write that would bring an utterance past so many samples."""
        self._lose_after = samples

    def restore(self) -> None:
        """Put the device back."""
        with self._changed:
            self._present = True
            self._changed.notify_all()

    def _note(self, call: str) -> None:
        self.calls.append(call)

    def _await_device(self, now: Utterance | None) -> None:
        back = self._changed.wait_for(lambda: self._present or (now is not None and now.cancelled), self._device_wait)
        if not back:
            raise AudioDeviceError("the fake device is lost")

    def _await(self, condition: Callable[[], bool]) -> None:
        assert self._changed.wait_for(condition, self._patience), "the fake sink waited for a clock nobody turns"
