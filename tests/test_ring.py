from __future__ import annotations

import threading
import time
import tracemalloc

import numpy as np
import pytest

from edge_tts.audio.ring import FADE_SECONDS, PlaybackRing

RATE = 24000
FADE = round(FADE_SECONDS * RATE)


def read(ring: PlaybackRing, count: int, audible_at: float = 0.0) -> np.ndarray:
    out = np.full(count, np.nan, np.float32)
    ring.read(out, audible_at)
    return out


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)


@pytest.mark.parametrize("block", [1, 7, 99, 100, 101, 5000])
def test_samples_come_out_as_they_went_in(block: int) -> None:
    ring, signal, taken = PlaybackRing(100, RATE), noise(1000), []
    ring.begin()
    waiting = signal
    while len(waiting) or ring.filled:
        waiting = waiting[ring.write(waiting) :]
        filled = ring.filled
        taken.append(read(ring, block)[:filled])
    np.testing.assert_array_equal(np.concatenate(taken), signal)


def test_write_takes_what_there_is_room_for() -> None:
    ring = PlaybackRing(100, RATE)
    assert ring.write(noise(60)) == 60
    assert ring.write(noise(60)) == 40
    assert ring.write(noise(60)) == 0
    assert (ring.filled, ring.free) == (100, 0)


def test_an_empty_ring_gives_silence_and_no_underrun() -> None:
    ring = PlaybackRing(100, RATE)
    np.testing.assert_array_equal(read(ring, 50), 0.0)
    ring.begin()
    read(ring, 50)
    assert ring.underruns == 0


def test_running_dry_inside_an_utterance_is_counted_once_each_time() -> None:
    ring = PlaybackRing(100, RATE)
    ring.begin()
    for times in (1, 2):
        ring.write(noise(30))
        np.testing.assert_array_equal(read(ring, 50)[30:], 0.0)
        read(ring, 50)
        assert ring.underruns == times
    ring.write(noise(30))
    ring.finish()
    read(ring, 50)
    assert ring.underruns == 2


def test_an_xrun_of_the_device_counts_inside_an_utterance_only() -> None:
    ring = PlaybackRing(100, RATE)
    ring.note_xrun()
    ring.begin()
    ring.note_xrun()
    assert ring.underruns == 0
    ring.write(noise(30))
    read(ring, 10)
    ring.note_xrun()
    assert ring.underruns == 1


@pytest.mark.parametrize("block", [64, 240, FADE - 1, FADE, FADE + 1, 4096, 10000])
def test_a_cancel_fades_out_and_drops_the_rest(block: int) -> None:
    ring = PlaybackRing(20000, RATE)
    ring.begin()
    ring.write(np.ones(20000, np.float32))
    np.testing.assert_array_equal(read(ring, 100), 1.0)
    ring.cancel()
    out = np.concatenate([read(ring, block) for _ in range(2 + FADE // block)])
    assert 0.99 < out[0] < 1.0
    assert (np.diff(out[:FADE]) < 0).all()
    assert np.abs(np.diff(out)).max() < 0.003
    np.testing.assert_array_equal(out[FADE:], 0.0)
    assert ring.filled == 0
    assert ring.underruns == 0


def test_a_fade_is_as_long_as_what_is_left() -> None:
    ring = PlaybackRing(1000, RATE)
    ring.begin()
    ring.write(np.ones(100, np.float32))
    ring.cancel()
    out = read(ring, 200)
    assert out[0] > 0.99
    assert out[99] < 0.01
    np.testing.assert_array_equal(out[100:], 0.0)


def test_the_next_utterance_follows_the_fade_unharmed() -> None:
    ring = PlaybackRing(20000, RATE)
    ring.begin()
    ring.write(np.ones(5000, np.float32))
    read(ring, 1000)
    ring.cancel()
    read(ring, 100)
    ring.begin()
    new = noise(3000)
    ring.write(new)
    ring.finish()
    out = read(ring, 5000)
    np.testing.assert_array_equal(out[FADE - 100 : FADE - 100 + 3000], new)
    np.testing.assert_array_equal(out[FADE - 100 + 3000 :], 0.0)
    assert ring.heard(1e9) == 3000


def test_two_cancels_in_one_fade_drop_both_utterances() -> None:
    ring = PlaybackRing(20000, RATE)
    ring.begin()
    ring.write(np.ones(5000, np.float32))
    ring.cancel()
    read(ring, 100)
    ring.begin()
    ring.write(np.ones(5000, np.float32))
    ring.cancel()
    out = read(ring, 2000)
    np.testing.assert_array_equal(out[FADE - 100 :], 0.0)
    assert ring.filled == 0


def test_a_cancel_of_an_empty_ring_leaves_the_next_utterance_whole() -> None:
    ring = PlaybackRing(1000, RATE)
    ring.begin()
    ring.cancel()
    ring.begin()
    new = noise(500)
    ring.write(new)
    np.testing.assert_array_equal(read(ring, 500), new)


def test_heard_follows_the_time_at_which_samples_are_audible() -> None:
    ring = PlaybackRing(10000, RATE)
    ring.begin()
    ring.write(noise(4800))
    read(ring, 2400, audible_at=10.0)
    assert ring.heard(9.0) == 0
    assert ring.heard(10.05) == 1200
    assert ring.heard(10.1) == 2400
    assert ring.heard(11.0) == 2400
    read(ring, 2400, audible_at=10.1)
    assert ring.heard(10.15) == 3600
    for block in range(10):
        read(ring, 2400, audible_at=10.2 + 0.1 * block)
    assert ring.heard(10.19) == pytest.approx(4560, abs=1)
    assert ring.heard(10.2) == 4800


def test_heard_counts_from_the_beginning_of_the_utterance() -> None:
    ring = PlaybackRing(10000, RATE)
    ring.begin()
    ring.write(noise(2400))
    ring.finish()
    read(ring, 2400, audible_at=1.0)
    ring.begin()
    assert ring.heard(2.0) == 0
    ring.write(noise(2400))
    read(ring, 2400, audible_at=2.0)
    assert ring.heard(2.05) == 1200


def test_remaining_is_the_time_until_the_last_sample_is_heard() -> None:
    ring = PlaybackRing(10000, RATE)
    assert ring.remaining(1.0) == 0.0
    ring.begin()
    ring.write(noise(4800))
    assert ring.remaining(1.0) == pytest.approx(0.2)
    read(ring, 2400, audible_at=1.05)
    assert ring.remaining(1.0) == pytest.approx(0.25)
    read(ring, 2500, audible_at=1.15)
    assert ring.remaining(1.15) == pytest.approx(0.1)
    assert ring.remaining(1.26) == 0.0


def test_held_silence_goes_ahead_of_what_is_written() -> None:
    ring = PlaybackRing(1000, RATE)
    ring.hold(300)
    new = noise(500)
    ring.begin()
    ring.write(new)
    assert ring.remaining(0.0) == pytest.approx(800 / RATE)
    out = np.concatenate([read(ring, 200), read(ring, 800)])
    np.testing.assert_array_equal(out[:300], 0.0)
    np.testing.assert_array_equal(out[300:800], new)


def test_a_new_stream_does_not_play_the_rest_of_a_fade() -> None:
    ring = PlaybackRing(10000, RATE)
    ring.begin()
    ring.write(np.ones(5000, np.float32))
    read(ring, 100)
    ring.cancel()
    read(ring, 100)
    ring.hold(0)
    np.testing.assert_array_equal(read(ring, 1000), 0.0)


def test_rewind_plays_again_what_was_not_heard() -> None:
    ring, signal = PlaybackRing(10000, RATE), noise(10000)
    ring.begin()
    ring.write(signal)
    read(ring, 4800, audible_at=5.0)
    assert ring.write(noise(9000)) == 4800
    ring.rewind(5.1)
    assert ring.free == 0
    assert ring.heard(9.0) == 2400
    np.testing.assert_array_equal(read(ring, 7600, audible_at=9.0), signal[2400:])


@pytest.mark.parametrize("moment", [-100.0, 5.2, 100.0])
def test_rewind_stays_within_the_utterance_and_what_was_read(moment: float) -> None:
    ring, signal = PlaybackRing(10000, RATE), noise(4800)
    ring.begin()
    ring.write(noise(1000, seed=1))
    read(ring, 1000, audible_at=4.0)
    ring.begin()
    ring.write(signal)
    read(ring, 4800, audible_at=5.0)
    ring.rewind(moment)
    np.testing.assert_array_equal(read(ring, ring.filled), signal if moment < 0 else signal[:0])


def test_rewind_does_not_bring_back_what_was_cancelled() -> None:
    ring = PlaybackRing(10000, RATE)
    ring.begin()
    ring.write(noise(4800))
    read(ring, 2400, audible_at=5.0)
    ring.cancel()
    ring.rewind(5.0)
    ring.hold(0)
    np.testing.assert_array_equal(read(ring, 4800), 0.0)


def test_clear_drops_all_at_once_and_keeps_what_was_heard() -> None:
    ring = PlaybackRing(10000, RATE)
    ring.begin()
    ring.write(np.ones(5000, np.float32))
    read(ring, 100)
    ring.clear()
    np.testing.assert_array_equal(read(ring, 100), 0.0)
    assert ring.heard(1e9) == 100
    assert ring.underruns == 0


def test_volume_reaches_buffered_samples_and_does_not_jump() -> None:
    ring = PlaybackRing(10000, RATE)
    ring.begin()
    ring.write(np.ones(10000, np.float32))
    read(ring, 480)
    ring.volume = 0.25
    out = np.concatenate([read(ring, 100) for _ in range(10)])
    assert np.abs(np.diff(out)).max() < 0.005
    np.testing.assert_array_equal(out[240:], 0.25)
    ring.volume = 1.0
    out = read(ring, 1000)
    assert 0.25 < out[0] < 0.26
    np.testing.assert_array_equal(out[240:], 1.0)


def test_volume_set_in_silence_holds_from_the_first_sample() -> None:
    ring = PlaybackRing(1000, RATE)
    ring.volume = 0.5
    read(ring, 10)
    ring.begin()
    ring.write(np.ones(100, np.float32))
    np.testing.assert_array_equal(read(ring, 100), 0.5)


def test_reading_allocates_no_arrays() -> None:
    ring = PlaybackRing(200_000, RATE)
    ring.begin()
    ring.write(np.ones(200_000, np.float32))
    out = np.zeros(16384, np.float32)
    ring.read(out, 0.0)
    tracemalloc.start()
    ring.volume = 0.1
    ring.read(out, 0.0)
    ring.cancel()
    ring.read(out, 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8192, "a copy of the block would be 64 KiB"


def test_a_writer_and_a_reader_at_once_lose_nothing() -> None:
    ring, signal = PlaybackRing(997, RATE), np.arange(1, 40_001, dtype=np.float32)
    taken: list[np.ndarray] = []
    done = threading.Event()

    def consume() -> None:
        out = np.zeros(128, np.float32)
        while not done.is_set() or ring.filled:
            ring.read(out, 0.0)
            taken.append(out[out > 0].copy())
            time.sleep(0.0002)

    consumer = threading.Thread(target=consume, name="ring-consumer")
    consumer.start()
    deadline = time.monotonic() + 30
    waiting = signal
    while len(waiting) and time.monotonic() < deadline:
        waiting = waiting[ring.write(waiting[:100]) :]
        time.sleep(0.0001)
    done.set()
    consumer.join(30)
    np.testing.assert_array_equal(np.concatenate(taken), signal)
