import numpy as np
import pytest

from edge_tts.voices.envelope import COLUMNS, FRAME, POINTS, SAMPLE_RATE, envelope_matrix
from edge_tts.voices.source_filter import BATCH, BINS, SourceFilter, _minimum_phase, synthesize


def vowel(count: int, hertz: float = 150.0, voicing: float = 1.0) -> np.ndarray:
    """`count` frames of a sound with two formants."""
    frames = np.zeros((count, COLUMNS), np.float32)
    points = np.arange(POINTS)
    frames[:, :POINTS] = -7.0 + 2.0 * np.exp(-(((points - 20) / 5.0) ** 2)) + np.exp(-(((points - 45) / 6.0) ** 2))
    frames[:, POINTS] = np.log(hertz)
    frames[:, POINTS + 1] = voicing
    frames[:, POINTS + 2 :] = 0.95
    return frames


def moving(count: int) -> np.ndarray:
    """Frames in which everything changes, voicing included."""
    rng = np.random.default_rng(count)
    frames = vowel(count)
    frames[:, :POINTS] += rng.normal(0, 0.5, (count, 1))
    frames[:, POINTS] += np.cumsum(rng.normal(0, 0.03, count)).clip(-0.5, 0.5)
    frames[:, POINTS + 1] = np.repeat(rng.integers(0, 2, count // 7 + 1), 7)[:count]
    return frames


@pytest.mark.parametrize("count", [0, 1, 2, 3, BATCH - 1, BATCH, BATCH + 1, BATCH + 2, 2 * BATCH + 1])
def test_pushed_in_any_pieces_gives_the_same_240_samples_a_frame(count: int) -> None:
    frames = moving(count)
    whole = synthesize(frames)
    assert len(whole) == FRAME * count
    rng = np.random.default_rng(1)
    source, pieces, at = SourceFilter(), [], 0
    while at < count:
        size = int(rng.integers(0, 40))
        pieces.append(source.push(frames[at : at + size]))
        at += size
    pieces.append(source.finish())
    streamed = np.concatenate(pieces)
    assert streamed.dtype == np.float32
    assert len(streamed) == len(whole)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, BATCH, BATCH + 1, 2 * BATCH])
@pytest.mark.parametrize("last", [0, 1, 5])
def test_the_last_frames_may_come_with_the_finish(count: int, last: int) -> None:
    frames = moving(count + last)
    source = SourceFilter()
    streamed = np.concatenate([source.push(frames[:count]), source.finish(frames[count:])])
    np.testing.assert_allclose(streamed, synthesize(frames), atol=1e-6)


@pytest.mark.parametrize("hertz", [70.0, 150.0, 400.0])
def test_voice_has_the_pitch_it_was_given(hertz: float) -> None:
    samples = synthesize(vowel(100, hertz))[4800:-4800]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
    harmonics = [spectrum[round(k * hertz / SAMPLE_RATE * (1 << 17))] for k in range(1, 6)]
    between = [spectrum[round((k + 0.5) * hertz / SAMPLE_RATE * (1 << 17))] for k in range(1, 6)]
    for harmonic, valley in zip(harmonics, between, strict=True):
        assert harmonic > 5 * valley


def test_level_does_not_depend_on_pitch_or_voicing() -> None:
    levels = [20 * np.log10(synthesize(vowel(200, hertz))[4800:-4800].std()) for hertz in (80.0, 160.0, 320.0)]
    levels.append(20 * np.log10(synthesize(vowel(200, voicing=0.0))[4800:-4800].std()))
    assert max(levels) - min(levels) < 2.5


def test_spectrum_follows_the_envelope() -> None:
    frames = vowel(400, voicing=0.0)
    samples = synthesize(frames)[4800:-4800]
    pieces = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    measured = 10 * np.log10((np.abs(np.fft.rfft(pieces, axis=1)) ** 2).mean(0) / (np.hanning(512) ** 2).sum())
    wanted = 20 / np.log(10) * (envelope_matrix(257) @ frames[0, :POINTS])
    assert np.abs(measured - wanted)[4:-4].mean() < 1.5


def test_nothing_is_left_at_zero_hertz() -> None:
    samples = synthesize(vowel(200))
    assert abs(samples.mean()) < 1e-3 * samples.std()


def test_sentence_ends_in_silence() -> None:
    assert abs(synthesize(vowel(30))[-1]) < 1e-6


def test_minimum_phase_is_the_folded_cepstrums() -> None:
    points = vowel(1)[0, :POINTS].astype(np.float64)
    log_spectrum = envelope_matrix(4097).astype(np.float64) @ points
    cepstrum = np.fft.irfft(log_spectrum)
    cepstrum[1:4096] *= 2
    cepstrum[4097:] = 0
    phase = np.fft.rfft(cepstrum).imag[:: 4096 // (BINS - 1)]
    np.testing.assert_allclose(points @ _minimum_phase(), phase, atol=1e-2)
