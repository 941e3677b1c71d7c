"""The sound device sink against a real, clocked sound server: what is played is recorded and compared."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_tts.audio.chunk import Samples
from edge_tts.audio.portaudio import refresh
from edge_tts.audio.sounddevice_sink import SoundDeviceSink
from edge_tts.errors import AudioDeviceError
from tests.device.pulse import RATE, PulseServer, find, longest_silence, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

MakeSink = Callable[..., SoundDeviceSink]


@pytest.fixture
def pulse(monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    with PulseServer(("speaker", "other")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("ALSA_CARD", raising=False)
        refresh()
        yield server
        server.thaw()


@pytest.fixture
def make_sink(pulse: PulseServer) -> Iterator[MakeSink]:
    made: list[SoundDeviceSink] = []

    def make(device: str | int | None = None, **options: object) -> SoundDeviceSink:
        # A latency that a busy machine can keep: these tests are about what is played, not about when.
        sink = SoundDeviceSink(device, **({"latency_ms": 200} | options))  # type: ignore[arg-type]
        made.append(sink)
        sink.start()
        return sink

    yield make
    for sink in made:
        sink.stop()


def noise(seconds: float, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def speak(sink: SoundDeviceSink, samples: Samples, rate: int = RATE) -> None:
    sink.begin(rate, "test")
    for chunk in np.array_split(samples, 8):
        assert sink.write(chunk)
    assert sink.drain()


def await_heard(sink: SoundDeviceSink, seconds: float) -> None:
    deadline = time.monotonic() + 20
    while sink.heard() < seconds * RATE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_played(played: Samples, recorded: Samples) -> int:
    """That the recording holds what was played, without a gap; where it begins."""
    offset, correlation = find(played, recorded)
    part = recorded[offset : offset + len(played)]
    wrong = np.flatnonzero(np.abs(part - played) > 1e-4)
    assert correlation > 0.99, f"{len(wrong)} of {len(played)} differ: {wrong[:3]}...{wrong[-3:]}"
    assert longest_silence(part) <= longest_silence(played)
    return offset


def test_what_is_played_is_what_was_written(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink, first, second = make_sink(), noise(1.0), noise(0.5, seed=1)
    with pulse.record() as recording:
        speak(sink, first)
        speak(sink, second)
        recording.await_more(0.3)
    begin = assert_played(first, recording.samples)
    assert assert_played(second, recording.samples) >= begin + len(first)
    assert sink.underruns == 0
    assert sink.description == f"default at {RATE} Hz"


def test_drain_returns_when_the_last_sample_is_heard(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink, signal = make_sink(), noise(0.5)
    with pulse.record() as recording:
        sink.begin(RATE, "test")
        sink.write(signal)
        halfway = 0
        while halfway < len(signal) // 2:
            time.sleep(0.005)
            halfway, recorded = sink.heard(), len(recording.samples)
        sink.drain()
        at_drain = len(recording.samples)
        recording.await_more(0.3)
    end = find(signal, recording.samples)[0] + len(signal)
    # The recording itself runs up to 50 ms behind the server's clock, more on a busy machine.
    assert at_drain - end > -0.1 * RATE
    assert at_drain - end < 0.5 * RATE
    assert abs(recorded - (end - len(signal) + halfway)) < 0.2 * RATE


def test_an_interrupt_fades_out_without_a_click(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink, level = make_sink(), 0.5
    next_one = noise(0.3)
    with pulse.record() as recording:
        sink.begin(RATE, "test")
        sink.write(np.full(3 * RATE, level, np.float32))
        await_heard(sink, 0.1)
        called = len(recording.samples)
        sink.cancel()
        assert not sink.write(next_one)
        speak(sink, next_one)
        recording.await_more(0.3)
    samples = recording.samples
    begin = assert_played(next_one, samples)
    before = samples[:begin]
    full = np.flatnonzero(before == level)
    fade = before[full[-1] :]
    fade = fade[: np.flatnonzero(fade)[-1] + 1]
    assert 0.01 * RATE < len(fade) <= 0.05 * RATE
    assert (np.diff(fade) <= 0).all()
    assert np.abs(np.diff(fade)).max() < 0.01
    # The device's own buffer of 300 ms still plays out.
    assert full[-1] - called < 1.0 * RATE


@pytest.mark.parametrize("keep_warm", [True, False])
def test_a_first_word_is_not_clipped(make_sink: MakeSink, pulse: PulseServer, keep_warm: bool) -> None:
    sink = make_sink(keep_warm=keep_warm, idle_close=0.05)
    with pulse.record() as recording:
        for seed in (1, 2):
            speak(sink, noise(0.3, seed))
            time.sleep(0.4)
        recording.await_more(0.3)
    for seed in (1, 2):
        offset = assert_played(noise(0.3, seed), recording.samples)
        np.testing.assert_array_equal(recording.samples[offset : offset + 240], noise(0.3, seed)[:240])


def test_a_short_latency_loses_nothing(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink, signal = make_sink(latency_ms=40), noise(0.1)
    with pulse.record() as recording:
        speak(sink, signal)
        recording.await_more(0.3)
    assert_played(signal, recording.samples)


def test_utterances_of_other_rates_are_played_at_theirs(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink = make_sink()
    time_axis = np.arange(round(0.4 * 48000)) / 48000
    with pulse.record() as recording:
        speak(sink, (0.5 * np.sin(2 * np.pi * 500 * time_axis)).astype(np.float32), rate=48000)
        speak(sink, noise(0.2))
        recording.await_more(0.3)
    assert_played(noise(0.2), recording.samples)
    tone = (0.5 * np.sin(2 * np.pi * 500 * np.arange(round(0.39 * RATE)) / RATE)).astype(np.float32)
    assert find(tone, recording.samples)[1] > 0.99


def test_volume_changes_what_is_already_buffered(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink = make_sink()
    with pulse.record() as recording:
        sink.begin(RATE, "test")
        sink.write(np.full(RATE, 0.5, np.float32))
        await_heard(sink, 0.2)
        sink.volume = 0.2
        sink.drain()
        recording.await_more(0.3)
    played = recording.samples[recording.samples > 0]
    np.testing.assert_allclose(played[-RATE // 10 :], 0.1, atol=1e-6)
    assert played[0] == 0.5
    assert np.abs(np.diff(played)).max() < 0.005


def test_a_device_by_its_alsa_name_and_card(make_sink: MakeSink, pulse: PulseServer) -> None:
    with pulse.record("other") as other, pulse.record("speaker") as speaker:
        speak(make_sink("sysdefault:CARD=other"), noise(0.3))
        other.await_more(0.3)
        speaker.await_more(0.3)
    assert_played(noise(0.3), other.samples)
    assert not speaker.samples.any()


def test_a_lost_device_comes_back_and_the_utterance_goes_on(
    make_sink: MakeSink, pulse: PulseServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_tts.audio")
    sink, signal = make_sink(), noise(1.5)
    sink.begin(RATE, "test")
    sink.write(signal)
    await_heard(sink, 0.3)
    pulse.kill()
    while "lost" not in sink.description and "no sound device" not in sink.description:
        time.sleep(0.01)
    pulse.start()
    with pulse.record() as recording:
        assert sink.drain()
        speak(sink, noise(0.3, seed=1))
        recording.await_more(0.3)
    assert_played(signal[RATE:], recording.samples)
    assert_played(noise(0.3, seed=1), recording.samples)
    lines = [record.message for record in caplog.records if record.levelno >= logging.INFO]
    assert len(lines) == 2, lines
    assert "lost" in lines[0]
    assert "back" in lines[1]


def test_a_device_absent_at_start_is_found_when_it_comes(make_sink: MakeSink, pulse: PulseServer) -> None:
    pulse.kill()
    refresh()
    sink = make_sink(device_wait=0.3)
    with pytest.raises(AudioDeviceError, match="no sound device was found"):
        sink.begin(RATE, "early")
    pulse.start()
    deadline = time.monotonic() + 20
    while f"{RATE} Hz" not in sink.description:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pulse.record() as recording:
        speak(sink, noise(0.3))
        recording.await_more(0.3)
    assert_played(noise(0.3), recording.samples)


def test_a_server_that_freezes_holds_nobody_up(make_sink: MakeSink, pulse: PulseServer) -> None:
    sink = make_sink(device_wait=0.5, buffer_seconds=0.5)
    sink.begin(RATE, "test")
    pulse.freeze()
    with pytest.raises(AudioDeviceError, match="took no samples"):
        sink.write(noise(60.0))
    pulse.thaw()
    deadline = time.monotonic() + 20
    while f"{RATE} Hz" not in sink.description:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pulse.record() as recording:
        speak(sink, noise(0.3, seed=2))
        recording.await_more(0.3)
    assert_played(noise(0.3, seed=2), recording.samples)


PROGRAM = """
import sys, numpy as np
from edge_tts.audio.sounddevice_sink import SoundDeviceSink
sink = SoundDeviceSink()
sink.start()
sink.begin(24000, "test")
sink.write(np.full(24000, 0.1, np.float32))
print("playing", flush=True)
sys.stdin.readline()
sink.stop()
"""


def test_a_process_can_end_under_a_frozen_server(pulse: PulseServer) -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "playing\n"
        pulse.freeze()
        time.sleep(0.3)
        child.stdin.write("\n")
        child.stdin.flush()
        rescue = threading.Timer(15.0, child.kill)
        rescue.start()
        assert child.wait() == 0
        rescue.cancel()
