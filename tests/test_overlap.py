from __future__ import annotations

import numpy as np
import pytest

from edge_tts.audio.overlap import OverlapAdder, rising


def cut(signal: np.ndarray, chunk: int, overlap: int) -> list[np.ndarray]:
    """Chunks of `chunk` new samples each, of which all but the first repeat the `overlap` samples before."""
    pieces = [signal[:chunk]]
    pieces += [signal[max(0, start - overlap) : start + chunk] for start in range(chunk, len(signal), chunk)]
    return pieces


def join(chunks: list[np.ndarray], overlap: int) -> np.ndarray:
    adder = OverlapAdder(overlap)
    return np.concatenate([*(adder.push(chunk) for chunk in chunks), adder.flush()])


@pytest.mark.parametrize("overlap", [1, 2, 16, 63, 64])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 127, 128, 129, 191, 192, 193, 640])
def test_a_signal_cut_with_overlaps_comes_back_exactly(length: int, overlap: int) -> None:
    signal = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    result = join(cut(signal, 64, overlap), overlap)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, signal)


def test_without_overlap_chunks_pass_through_uncopied() -> None:
    adder = OverlapAdder(0)
    chunk = np.ones(5, np.float32)
    assert adder.push(chunk) is chunk
    assert len(adder.flush()) == 0


def test_the_seam_is_a_raised_cosine_from_the_old_to_the_new() -> None:
    result = join([np.zeros(20, np.float32), np.ones(20, np.float32)], 8)
    assert len(result) == 32
    np.testing.assert_array_equal(result[:12], 0.0)
    np.testing.assert_array_equal(result[20:], 1.0)
    np.testing.assert_allclose(result[12:20], np.sin(np.pi / 2 * (np.arange(8) + 0.5) / 8) ** 2, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7, 512])
def test_weights_of_a_seam_sum_to_one(count: int) -> None:
    np.testing.assert_allclose(rising(count) + rising(count)[::-1], 1.0, atol=1e-6)
    assert (np.diff(rising(count)) > 0).all()


def test_different_signals_never_exceed_the_louder_one() -> None:
    rng = np.random.default_rng(1)
    chunks = [rng.uniform(-1, 1, 100).astype(np.float32) for _ in range(20)]
    assert np.abs(join(chunks, 33)).max() <= 1.0


@pytest.mark.parametrize("seed", range(20))
def test_chunks_of_any_length_give_the_documented_length(seed: int) -> None:
    rng = np.random.default_rng(seed)
    overlap = int(rng.integers(0, 40))
    lengths = rng.integers(0, 60, size=12)
    expected = 0
    for length in lengths:
        expected += length - min(overlap, expected, length)
    assert len(join([np.ones(n, np.float32) for n in lengths], overlap)) == expected


def test_chunks_shorter_than_the_overlap_lose_nothing_of_what_came_before() -> None:
    signal = np.arange(30, dtype=np.float32)
    np.testing.assert_array_equal(join([signal, signal[-3:], signal[-1:]], 8), signal)


def test_one_chunk_and_no_chunk() -> None:
    chunk = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(join([chunk], 512), chunk)
    assert len(join([], 512)) == 0
    assert len(join([np.zeros(0, np.float32)], 512)) == 0


def test_nothing_is_held_back_longer_than_the_overlap() -> None:
    adder = OverlapAdder(10)
    assert len(adder.push(np.ones(100, np.float32))) == 90
    assert len(adder.push(np.ones(50, np.float32))) == 40


def test_it_begins_anew_after_a_flush() -> None:
    adder = OverlapAdder(4)
    for _ in range(2):
        pieces = [adder.push(np.ones(10, np.float32)), adder.push(np.ones(10, np.float32)), adder.flush()]
        assert sum(map(len, pieces)) == 16


def test_a_negative_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        OverlapAdder(-1)
