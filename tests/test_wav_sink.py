from __future__ import annotations

import os
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_tts.audio.wav_sink import FileSink, WavSink
from edge_tts.errors import AudioDeviceError

RATE = 24000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def speak(sink: WavSink | FileSink, samples: np.ndarray, name: str = "test", rate: int = RATE) -> None:
    sink.begin(rate, name)
    for chunk in np.array_split(samples, 7):
        assert sink.write(chunk)
    assert sink.drain()


def load(path: Path) -> np.ndarray:
    assert soundfile.info(path).subtype == "PCM_16"
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return samples


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writing past `size` bytes fail in every file, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_each_utterance_becomes_a_file(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "spoken", clocked=False)
    sink.start()
    for _ in range(2):
        speak(sink, noise(0.3))
    sink.stop()
    files = sorted((tmp_path / "spoken").iterdir())
    assert len(files) == 2
    for path in files:
        assert re.fullmatch(r"\d{8}-\d{6}-test(-2)?\.wav", path.name)
        np.testing.assert_allclose(load(path), noise(0.3), atol=1 / 32767)


@pytest.mark.parametrize("clocked", [True, False])
def test_all_of_a_long_utterance_is_kept(tmp_path: Path, clocked: bool) -> None:
    sink = WavSink(tmp_path, clocked=clocked)
    speak(sink, noise(2.6))
    (path,) = tmp_path.iterdir()
    np.testing.assert_allclose(load(path), noise(2.6), atol=1 / 32767)
    assert sink.heard() == len(noise(2.6))


@pytest.mark.parametrize(
    "evil", ["../../etc/passwd", "/etc/passwd", "a\0b", "..", ".", "", "ü 日本", "x" * 500, "a\nb"]
)
def test_no_id_leads_out_of_the_folder(tmp_path: Path, evil: str) -> None:
    folder = tmp_path / "in" / "spoken"
    speak(WavSink(folder, clocked=False), noise(0.01), evil)
    (path,) = folder.iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-[A-Za-z0-9_-]{1,40}\.wav", path.name)
    assert [child.name for child in tmp_path.iterdir()] == ["in"]


def test_only_the_newest_files_stay_and_only_its_own_go(tmp_path: Path) -> None:
    for foreign in ("holiday.wav", "20260101-120000-notes.txt", "20260101-mine.wav"):
        (tmp_path / foreign).write_text("mine")
    for number in range(4):
        old = tmp_path / f"2020010{number + 1}-000000-old.wav"
        old.write_text("old")
        os.utime(old, (1000 + number, 1000 + number))
    sink = WavSink(tmp_path, keep=3, clocked=False)
    speak(sink, noise(0.01), "new")
    left = {path.name for path in tmp_path.iterdir()}
    assert {"holiday.wav", "20260101-120000-notes.txt", "20260101-mine.wav"} <= left
    assert {"20200103-000000-old.wav", "20200104-000000-old.wav"} <= left
    assert len(left) == 6
    for number in range(5):
        speak(sink, noise(0.01), f"new{number}")
    assert len(list(tmp_path.glob("*-new*.wav"))) == 3


def test_a_board_without_a_clock_does_not_delete_what_it_writes(tmp_path: Path) -> None:
    for number in range(3):
        future = tmp_path / f"2099010{number + 1}-000000-later.wav"
        future.write_text("later")
        os.utime(future, (4e9, 4e9))
    speak(WavSink(tmp_path, keep=1, clocked=False), noise(0.01), "now")
    (path,) = tmp_path.iterdir()
    assert "now" in path.name


def test_a_clocked_sink_hears_as_time_passes(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    began = time.monotonic()
    sink.begin(RATE, "test")
    sink.write(noise(0.4))
    before = time.monotonic()
    heard = sink.heard()
    assert heard <= (time.monotonic() - began) * RATE
    time.sleep(0.1)
    assert sink.heard() >= heard + 0.1 * RATE - 1
    assert sink.drain()
    assert time.monotonic() - before >= 0.4 - (before - began) - 0.001
    assert sink.heard() == len(noise(0.4))
    assert sink.underruns == 0


def test_a_clocked_sink_makes_the_writer_wait(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    sink.begin(RATE, "test")
    threading.Timer(0.1, sink.cancel).start()
    assert not sink.write(noise(60.0))
    assert not sink.drain()


def test_an_interrupt_leaves_what_would_have_been_heard_faded_out(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    sink.begin(RATE, "test")
    sink.write(np.full(RATE, 0.5, np.float32))
    time.sleep(0.1)
    sink.cancel()
    assert not sink.write(noise(0.1))
    assert not sink.drain()
    (path,) = tmp_path.iterdir()
    samples = load(path)
    assert 0.1 * RATE <= len(samples) < RATE
    assert len(samples) == sink.heard()
    assert sink.underruns == 0
    edge = np.flatnonzero(samples > 0.499)[-1]
    assert len(samples) - edge <= 0.05 * RATE
    assert np.abs(np.diff(np.append(samples[edge:], 0.0))).max() < 0.01
    speak(sink, noise(0.05), "next")
    assert len(list(tmp_path.iterdir())) == 2


def test_an_utterance_cancelled_before_its_first_sample_leaves_no_file(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    sink.begin(RATE, "test")
    sink.cancel()
    assert list(tmp_path.iterdir()) == []


def test_a_cancel_without_an_utterance_does_nothing_to_the_next(tmp_path: Path) -> None:
    sink = WavSink(tmp_path, clocked=False)
    sink.cancel()
    speak(sink, noise(0.1))
    sink.cancel()
    (path,) = tmp_path.iterdir()
    assert len(load(path)) == len(noise(0.1))


def test_late_samples_are_an_underrun_and_leave_no_gap(tmp_path: Path) -> None:
    sink = WavSink(tmp_path)
    sink.begin(RATE, "test")
    sink.write(noise(0.05))
    time.sleep(0.15)
    sink.write(noise(0.05, seed=1))
    assert sink.drain()
    assert sink.underruns == 1
    (path,) = tmp_path.iterdir()
    np.testing.assert_allclose(load(path), np.append(noise(0.05), noise(0.05, seed=1)), atol=1 / 32767)


def test_volume_and_clipping(tmp_path: Path) -> None:
    sink = WavSink(tmp_path, clocked=False, volume=0.5)
    speak(sink, np.array([3.0, -3.0, 1.0, 0.0], np.float32))
    (path,) = tmp_path.iterdir()
    np.testing.assert_allclose(load(path), [1.0, -1.0, 0.5, 0.0], atol=1e-4)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = WavSink(tmp_path / "file" / "spoken")
    sink.start()
    with pytest.raises(AudioDeviceError, match="file/spoken"):
        sink.begin(RATE, "test")


@pytest.mark.parametrize("clocked", [True, False])
def test_a_full_disk_fails_the_utterance_with_its_path_and_not_the_next(tmp_path: Path, clocked: bool) -> None:
    sink = WavSink(tmp_path, clocked=clocked)

    def overfill() -> None:
        sink.begin(RATE, "big")
        sink.write(noise(0.5))
        sink.drain()

    with largest_file(10_000), pytest.raises(AudioDeviceError, match=r"-big\.wav"):
        overfill()
    speak(sink, noise(0.1), "small")
    (path,) = tmp_path.glob("*-small.wav")
    assert len(load(path)) == len(noise(0.1))


def test_one_file_takes_all_utterances(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    sink = FileSink(path)
    sink.start()
    speak(sink, noise(0.1))
    speak(sink, noise(0.2, seed=1))
    assert sink.heard() == len(noise(0.2))
    sink.stop()
    sink.stop()
    np.testing.assert_allclose(load(path), np.append(noise(0.1), noise(0.2, seed=1)), atol=1 / 32767)
    assert sink.description == str(path)


def test_one_file_is_whole_even_before_it_is_closed(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.wav")
    speak(sink, noise(0.1))
    assert len(load(tmp_path / "out.wav")) == len(noise(0.1))
    sink.stop()


def test_one_file_takes_one_sample_rate(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.wav")
    speak(sink, noise(0.1))
    with pytest.raises(AudioDeviceError, match=r"out\.wav has 24000 Hz"):
        sink.begin(16000, "test")
    sink.stop()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioDeviceError, match=r"nowhere/out\.wav"):
        FileSink(tmp_path / "nowhere" / "out.wav").begin(RATE, "test")
    sink = FileSink(tmp_path / "out.wav")
    sink.begin(RATE, "test")
    with largest_file(10_000), pytest.raises(AudioDeviceError, match=r"out\.wav"):
        sink.write(noise(1.0))


def test_a_cancelled_utterance_ends_where_it_is_in_one_file(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "out.wav", volume=0.5)
    sink.begin(RATE, "test")
    sink.write(np.ones(100, np.float32))
    sink.cancel()
    assert not sink.write(np.ones(100, np.float32))
    assert not sink.drain()
    sink.stop()
    np.testing.assert_allclose(load(tmp_path / "out.wav"), np.full(100, 0.5), atol=1e-4)
