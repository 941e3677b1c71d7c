"""Speech parameters to waveform: pulse-synchronous voicing and shaped noise through minimum-phase filters, in numpy.

Everything that can be a matrix is one: a frame's log spectrum and its minimum phase are both linear in the 80
log-envelope points, so no cepstrum is computed at run time.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from edge_tts.voices.envelope import COLUMNS, FRAME, POINTS, SAMPLE_RATE, envelope_matrix, periodicity_matrix

Array = npt.NDArray[np.float32]

FFT = 512
BINS = FFT // 2 + 1
HOP = FRAME // 2
"""Samples between noise frames: parameters are interpolated from 10 to 5 ms."""
LEAD = 16
"""Samples of a pulse response before the pulse: room for the ringing of the fractional delay."""
NOISE_FRAMES = 512
DELAY = FFT // 2
"""Samples that `push` holds back because later frames still add to them."""
FADE = 120
BATCH = 128
"""Frames worked on at once: with more, memory is fetched from the system anew for every array."""


def _minimum_phase() -> Array:
    """Matrix [POINTS, BINS] from log-envelope points to minimum phase (Oppenheim & Schafer, folded cepstrum).

    Computed at four times the resolution in use, so that the cepstrum hardly aliases.
    """
    size = 4 * FFT
    cepstrum = np.fft.irfft(envelope_matrix(size // 2 + 1).T.astype(np.float64), axis=1)
    fold = np.zeros(size)
    fold[0] = fold[size // 2] = 1.0
    fold[1 : size // 2] = 2.0
    return np.ascontiguousarray(np.fft.rfft(cepstrum * fold, axis=1).imag[:, ::4].astype(np.float32))


@functools.lru_cache(maxsize=1)
def _tables() -> tuple[Array, Array, Array, npt.NDArray[np.complex64]]:
    """Envelope to log spectrum [80, BINS] and phase [80, BINS], periodicity [6, BINS], noise spectra [frames, BINS].

    The noise is one periodic white sequence cut into Hann windows that sum to one; it does not depend on the text, so
    that streamed and whole synthesis agree.
    """
    magnitude = np.ascontiguousarray(envelope_matrix(BINS).T)
    bands = np.ascontiguousarray(periodicity_matrix(BINS).T)
    white = np.random.default_rng(20).standard_normal(NOISE_FRAMES * HOP)
    window = np.hanning(2 * HOP + 1)[:-1]
    starts = np.arange(NOISE_FRAMES)[:, None] * HOP + np.arange(-HOP, HOP)
    padded = np.zeros((NOISE_FRAMES, FFT))
    padded[:, FFT // 2 - HOP : FFT // 2 + HOP] = white[starts % len(white)] * window
    noise = np.fft.rfft(padded, axis=1)
    noise[:, 0] = 0.0
    return magnitude, _minimum_phase(), bands, noise.astype(np.complex64)


class SourceFilter:
    """Streams the waveform of one sentence: push frames of parameters, collect samples.

    Frames are [n, 88] float32: 80 log-amplitude envelope points, log F0 in log Hz, voicing 0..1, 6 band periodicities
    0..1; frame i stands at sample 240 i. All calls together return 240 samples a frame, and the same samples however
    the frames are divided.
    """

    def __init__(self) -> None:
        self._held = np.zeros((0, COLUMNS), np.float32)
        self._tail = np.zeros(0, np.float32)
        self._phase = 0.0
        self._frame = 0

    def push(self, frames: Array) -> Array:
        """The samples that are complete once `frames` are known."""
        frames = np.concatenate([self._held, frames])
        self._held = frames[-1:].copy()
        return self._in_batches(frames, last=False)

    def finish(self, frames: Array | None = None) -> Array:
        """The remaining samples, those of the last `frames` included; the last one is held for 10 ms and faded out."""
        frames = self._held if frames is None else np.concatenate([self._held, frames])
        return self._in_batches(np.concatenate([frames, frames[-1:]]), last=True)

    def _in_batches(self, frames: Array, last: bool) -> Array:
        starts = range(0, len(frames) - 1, BATCH)
        pieces = [self._synthesize(frames[start : start + BATCH + 1], last and start == starts[-1]) for start in starts]
        return np.concatenate([np.zeros(0, np.float32), *pieces])

    def _synthesize(self, frames: Array, last: bool) -> Array:
        """Add the sound between the first and the last of `frames` and return what is complete."""
        steps = len(frames) - 1
        origin = self._frame * FRAME - DELAY
        # The buffer starts where the first noise frame's response starts; the carried tail is aligned to it.
        buffer = np.zeros(steps * FRAME + DELAY + FFT, np.float32)
        buffer[: len(self._tail)] = self._tail
        self._add_noise(frames, buffer)
        self._add_pulses(frames, buffer)
        self._frame += steps
        done = steps * FRAME
        self._tail = buffer[done:]
        start = max(0, -origin)
        if not last:
            piece = buffer[start:done]
        else:
            piece = buffer[start : done + DELAY].copy()
            fade = min(FADE, len(piece))
            piece[len(piece) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return piece

    def _add_noise(self, frames: Array, buffer: Array) -> None:
        magnitude, _, bands, bank = _tables()
        count = 2 * (len(frames) - 1)
        fine = np.empty((count, frames.shape[1]), np.float32)
        fine[0::2] = frames[:-1]
        fine[1::2] = 0.5 * (frames[:-1] + frames[1:])
        periodicity = fine[:, POINTS + 2 :] * fine[:, POINTS + 1 : POINTS + 2]
        aperiodicity = np.sqrt(np.maximum(1.0 - np.square(periodicity @ bands), 0.0))
        gain = np.exp(fine[:, :POINTS] @ magnitude) * aperiodicity
        index = (2 * self._frame + np.arange(count)) % NOISE_FRAMES
        sound = np.fft.irfft(bank[index] * gain, axis=1).astype(np.float32, copy=False)
        # A response spans FFT samples and frames are HOP apart: pad to whole hops and add hop-wide columns at once.
        columns = -(-FFT // HOP)
        padded = np.zeros((count, columns * HOP), np.float32)
        padded[:, :FFT] = sound
        blocks = buffer[: (count + columns - 1) * HOP].reshape(-1, HOP)
        for column in range(columns):
            blocks[column : column + count] += padded[:, column * HOP : (column + 1) * HOP]

    def _add_pulses(self, frames: Array, buffer: Array) -> None:
        magnitude, phases, bands, _ = _tables()
        steps = len(frames) - 1
        # F0 is linear between frames, so the phase is quadratic there and each pulse's time has a closed form.
        f0 = np.exp(frames[:, POINTS].astype(np.float64))
        period = FRAME / SAMPLE_RATE
        cycles = 0.5 * period * (f0[:-1] + f0[1:])
        ends = self._phase + np.cumsum(cycles)
        pulses = np.arange(np.floor(self._phase) + 1.0, np.floor(ends[-1]) + 1.0)
        self._phase = float(ends[-1] - np.floor(ends[-1]))
        left = np.minimum(np.searchsorted(ends, pulses), steps - 1)
        missing = np.maximum(pulses - ends[left] + cycles[left], 0.0) / period
        slope = f0[left + 1] - f0[left]
        past = 2.0 * missing / (f0[left] + np.sqrt(np.maximum(f0[left] ** 2 + 2.0 * slope * missing, 0.0)))
        voiced = frames[left, POINTS + 1] * (1.0 - past) + frames[left + 1, POINTS + 1] * past > 0.5
        if not voiced.any():
            return
        left, past = left[voiced], past[voiced]
        hertz = f0[left] + slope[voiced] * past
        whole = np.floor((left + past) * FRAME)
        fraction = (left + past) * FRAME - whole
        weight = past.astype(np.float32)[:, None]
        local = frames[left] * (1.0 - weight) + frames[left + 1] * weight
        log_gain = local[:, :POINTS] @ magnitude
        angle = local[:, :POINTS] @ phases
        omega = np.linspace(0.0, np.pi, BINS, dtype=np.float32)
        angle -= (LEAD + fraction).astype(np.float32)[:, None] * omega
        periodicity = (local[:, POINTS + 2 :] * local[:, POINTS + 1 : POINTS + 2]) @ bands
        gain = np.exp(log_gain) * periodicity * np.sqrt(SAMPLE_RATE / hertz).astype(np.float32)[:, None]
        spectrum = np.empty(gain.shape, np.complex64)
        np.multiply(gain, np.cos(angle), out=spectrum.real)
        np.multiply(gain, np.sin(angle), out=spectrum.imag)
        # Take the pulse's DC away as a Hann-shaped bump: cutting bin 0 alone leaves a step at the response's ends.
        spectrum[:, 1] += 0.5 * gain[:, 0]
        spectrum[:, 0] = 0.0
        sound = np.fft.irfft(spectrum, axis=1).astype(np.float32, copy=False)
        for start, response in zip((whole.astype(np.int64) + (DELAY - LEAD)).tolist(), sound, strict=True):
            buffer[start : start + FFT] += response


def synthesize(frames: Array) -> Array:
    """The waveform of all `frames` [n, 88] at once, shape [240 n]."""
    source = SourceFilter()
    return np.concatenate([source.push(frames), source.finish()])
