"""The buffer between the synthesis worker and the sound device's callback."""

from __future__ import annotations

import numpy as np

from edge_tts.audio.chunk import Samples

FADE_SECONDS = 0.03
"""How long a cancelled utterance takes to fade out."""
_RAMP_SECONDS = 0.01
_REWIND_SECONDS = 0.5
_BLOCK = 4096


class PlaybackRing:
    """A preallocated single-producer, single-consumer ring of float32 samples that also fades, scales and keeps time.

    The consumer, the device's callback, calls `read` alone: it neither allocates arrays nor takes a lock. Everything
    else belongs to the producer, whose calls must not run at the same time as one another. Positions count samples
    since the ring was made; each index is moved by one side only.
    """

    def __init__(self, capacity: int, sample_rate: int, volume: float = 1.0) -> None:
        self.sample_rate = sample_rate
        self.volume = volume
        """Gain 0 to 1, reached within 10 ms."""
        self.underruns = 0
        """Times `read` ran dry between an utterance's first sample and `finish`."""
        self.capacity = capacity
        """Samples it can hold."""
        # What has been read stays for a while, for `rewind`.
        self._buffer: Samples = np.zeros(capacity + round(_REWIND_SECONDS * sample_rate), np.float32)
        self._head = 0
        self._tail = 0
        self._cut = 0
        self._base = 0
        self._open = False
        self._silence = 0
        self._fade_length = 0
        self._faded = 0
        self._gain = volume
        self._dry = False
        self._reached = (0.0, 0)
        self._steps: Samples = np.arange(_BLOCK, dtype=np.float32)
        self._gains: Samples = np.zeros(_BLOCK, np.float32)

    @property
    def filled(self) -> int:
        """Samples waiting to be read."""
        return self._head - self._tail

    @property
    def free(self) -> int:
        """Samples that `write` would take now."""
        return max(0, self.capacity - self.filled)

    def begin(self) -> None:
        """Start an utterance: `heard` counts from here, and running dry is an underrun."""
        self._base = self._head
        self._open = True

    def write(self, samples: Samples) -> int:
        """Append as much of `samples` as there is room for; the number taken."""
        count = min(len(samples), self.free)
        start = self._head % len(self._buffer)
        first = min(count, len(self._buffer) - start)
        self._buffer[start : start + first] = samples[:first]
        self._buffer[: count - first] = samples[first:count]
        self._head += count
        return count

    def finish(self) -> None:
        """The utterance is complete: what is left plays out, and running dry is its end."""
        self._open = False

    def cancel(self) -> None:
        """Let the consumer fade out within FADE_SECONDS and drop everything written so far."""
        self._open = False
        self._cut = self._head

    def clear(self) -> None:
        """Drop everything at once. Only while no consumer is running."""
        self._open = False
        self._tail = self._cut = self._head
        self._fade_length = self._faded = 0
        self._reached = (0.0, self._reached[1])

    def rewind(self, moment: float) -> None:
        """Play again what had been read but not heard at `moment`. Only while no consumer is running."""
        until, position = self._reached
        if position != self._tail or self._cut > position:
            return
        unheard = round((until - moment) * self.sample_rate)
        kept = len(self._buffer) - self.filled
        position -= max(0, min(unheard, kept, position - max(self._base, self._cut)))
        self._tail = position
        self._reached = (0.0, position)

    def hold(self, samples: int) -> None:
        """Have the consumer play so many samples of silence before it goes on. Only while no consumer is running."""
        self._silence = samples
        self._tail = max(self._tail, self._cut)
        self._fade_length = self._faded = 0

    def heard(self, now: float) -> int:
        """Samples of this utterance that the listener has heard at `now`, on the clock of `read`'s `audible_at`."""
        until, position = self._reached
        ahead = max(0, round((until - now) * self.sample_rate))
        return max(0, position - ahead - self._base)

    def remaining(self, now: float) -> float:
        """Seconds until everything written has been heard; 0 when it has."""
        waiting = self._silence + self.filled if self.filled else 0
        return max(0.0, self._reached[0] - now) + waiting / self.sample_rate

    def note_xrun(self) -> None:
        """The device itself ran dry: an underrun if that was inside an utterance. For the consumer."""
        self.underruns += self._is_speaking()

    def read(self, out: Samples, audible_at: float) -> None:
        """Fill `out`, shape [n], of which the first sample will be heard at `audible_at` seconds."""
        for start in range(0, len(out), _BLOCK):
            self._read_block(out[start : start + _BLOCK], audible_at + start / self.sample_rate)

    def _read_block(self, out: Samples, audible_at: float) -> None:
        done = min(self._silence, len(out))
        self._silence -= done
        out[:done] = 0.0
        # Read before the head moves on: what is written after a cancel lies behind the cut.
        cut = self._cut
        if cut > self._tail:
            done = self._fade(out, done, audible_at)
        if cut <= self._tail:
            done = self._copy(out, done, audible_at)
        out[done:] = 0.0
        self._scale(out[:done])

    def _copy(self, out: Samples, done: int, audible_at: float) -> int:
        count = min(self.filled, len(out) - done)
        if count:
            self._take(out[done : done + count])
            done += count
            self._reached = (audible_at + done / self.sample_rate, self._tail)
        ran_dry = done < len(out) and self._is_speaking()
        self.underruns += ran_dry and (count > 0 or not self._dry)
        self._dry = ran_dry
        return done

    def _is_speaking(self) -> bool:
        return self._open and self._tail > self._base

    def _fade(self, out: Samples, done: int, audible_at: float) -> int:
        if self._fade_length == 0:
            self._fade_length = min(round(FADE_SECONDS * self.sample_rate), self._cut - self._tail)
        count = min(self._fade_length - self._faded, len(out) - done)
        if count:
            part = out[done : done + count]
            self._take(part)
            gains = self._gains[:count]
            np.multiply(self._steps[:count], np.pi / self._fade_length, out=gains)
            gains += np.pi * (self._faded + 0.5) / self._fade_length
            np.cos(gains, out=gains)
            gains *= 0.5
            gains += 0.5
            part *= gains
            done += count
            self._faded += count
            self._reached = (audible_at + done / self.sample_rate, self._tail)
        if self._faded == self._fade_length:
            self._tail = self._cut
            self._fade_length = self._faded = 0
        return done

    def _take(self, out: Samples) -> None:
        start = self._tail % len(self._buffer)
        first = min(len(out), len(self._buffer) - start)
        out[:first] = self._buffer[start : start + first]
        out[first:] = self._buffer[: len(out) - first]
        self._tail += len(out)

    def _scale(self, out: Samples) -> None:
        target, count = self.volume, len(out)
        step = 1.0 / (_RAMP_SECONDS * self.sample_rate)
        if self._gain == target or count == 0:
            self._gain = target
            if target != 1.0:
                out *= target
            return
        gains = self._gains[:count]
        if target > self._gain:
            np.multiply(self._steps[:count], step, out=gains)
            gains += self._gain + step
            np.minimum(gains, target, out=gains)
        else:
            np.multiply(self._steps[:count], -step, out=gains)
            gains += self._gain - step
            np.maximum(gains, target, out=gains)
        out *= gains
        self._gain = target if abs(target - self._gain) <= count * step else float(gains[-1])
