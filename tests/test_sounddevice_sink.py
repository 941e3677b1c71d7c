from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_tts.audio import portaudio, stream_keeper
from edge_tts.audio.sounddevice_sink import SoundDeviceSink
from edge_tts.errors import AudioDeviceError
from tests.fake_portaudio import FakeDevice, FakePortAudio

RATE = 24000

MakeSink = Callable[..., SoundDeviceSink]


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice()


@pytest.fixture
def audio(device: FakeDevice, monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio(device)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(stream_keeper, "_BACK_OFF", (0.02, 0.05))
    monkeypatch.setattr(stream_keeper, "_TICK", 0.02)
    return fake


@pytest.fixture
def make_sink(audio: FakePortAudio) -> Iterator[MakeSink]:
    made: list[SoundDeviceSink] = []

    def make(device: str | int | None = None, **options: object) -> SoundDeviceSink:
        sink = SoundDeviceSink(device, **({"preroll_ms": 0, "device_wait": 5.0} | options))  # type: ignore[arg-type]
        made.append(sink)
        sink.start()
        return sink

    yield make
    for sink in made:
        sink.stop()
        sink.stop()
    left = [thread.name for thread in threading.enumerate() if thread.name == "sound-supervisor"]
    assert not left, "a supervisor outlived its sink"


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 0.5, round(seconds * RATE)).astype(np.float32)


def speak(sink: SoundDeviceSink, samples: np.ndarray, rate: int = RATE) -> None:
    sink.begin(rate, "test")
    # Nearly all at once: a busy machine shall not make the device run dry.
    assert sink.write(samples[:-100])
    assert sink.write(samples[-100:])
    assert sink.drain()


def heard_sound(device: FakeDevice, channel: int = 0) -> np.ndarray:
    """What was played, from the first sample other than zero to the last."""
    played = device.played[:, channel]
    loud = np.flatnonzero(played)
    return played[loud[0] : loud[-1] + 1] if len(loud) else played[:0]


def wait_until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def test_what_is_written_is_played_whole_and_once(make_sink: MakeSink, device: FakeDevice) -> None:
    sink, signal = make_sink(), noise(0.3)
    speak(sink, signal)
    np.testing.assert_array_equal(heard_sound(device), signal)
    assert sink.heard() == len(signal)
    assert device.opened == [RATE]
    assert sink.description == "Speaker: USB Audio (hw:1,0) at 24000 Hz"


def test_drain_returns_after_the_last_sample_is_audible(make_sink: MakeSink, device: FakeDevice) -> None:
    speak(make_sink(), noise(0.2))
    assert time.monotonic() >= device.last_audible - 0.001


def test_heard_runs_behind_what_the_device_took_by_its_delay(make_sink: MakeSink, device: FakeDevice) -> None:
    sink = make_sink()
    sink.begin(RATE, "test")
    sink.write(noise(0.3))
    positions = []
    while not positions or positions[-1] < 5000:
        taken = len(heard_sound(device))
        positions.append(sink.heard())
        assert positions[-1] <= len(heard_sound(device)), "nothing is heard before the device has it"
        assert taken - positions[-1] <= 0.2 * RATE
        time.sleep(0.01)
    assert positions == sorted(positions)
    sink.drain()


def test_write_waits_while_the_buffer_is_full(make_sink: MakeSink, device: FakeDevice) -> None:
    sink, signal = make_sink(buffer_seconds=0.1), noise(0.5)
    sink.begin(RATE, "test")
    sink.write(signal)
    assert len(heard_sound(device)) >= 0.39 * RATE
    sink.drain()
    played = device.played[:, 0]
    np.testing.assert_array_equal(played[played != 0.0], signal)


def test_a_device_that_refuses_mono_gets_the_same_on_both_channels(make_sink: MakeSink, device: FakeDevice) -> None:
    device.channels = (2,)
    signal = noise(0.1)
    speak(make_sink(), signal)
    for channel in (0, 1):
        np.testing.assert_array_equal(heard_sound(device, channel), signal)


def test_a_device_that_refuses_the_rate_gets_it_resampled(make_sink: MakeSink, device: FakeDevice) -> None:
    device.rates = (48000,)
    sink = make_sink()
    time_axis = np.arange(round(0.4 * RATE)) / RATE
    speak(sink, (0.5 * np.sin(2 * np.pi * 440 * time_axis)).astype(np.float32))
    assert sink.heard() == len(time_axis)
    played = heard_sound(device)
    assert abs(len(played) - 2 * len(time_axis)) < 200
    reference = 0.5 * np.sin(2 * np.pi * 440 * np.arange(19200) / 48000)
    lag = int(np.argmax(np.correlate(played[:8000], reference[1000:5000], "valid")))
    np.testing.assert_allclose(played[lag : lag + 4000], reference[1000:5000], atol=0.01)


def test_a_resampler_that_is_missing_is_named(
    make_sink: MakeSink, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.rates = (48000,)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(AudioDeviceError, match="pip install soxr"):
        make_sink().begin(RATE, "test")


def test_another_rate_reopens_the_device(make_sink: MakeSink, device: FakeDevice) -> None:
    sink = make_sink()
    speak(sink, noise(0.1))
    device.blocks.clear()
    signal = noise(0.1, seed=1)
    speak(sink, signal, rate=48000)
    np.testing.assert_array_equal(heard_sound(device), signal)
    assert device.opened == [24000, 48000]


def test_a_rate_that_the_open_device_has_already_needs_no_reopening(make_sink: MakeSink, device: FakeDevice) -> None:
    device.rates = (48000,)
    sink = make_sink()
    signal = noise(0.1)
    speak(sink, signal, rate=48000)
    np.testing.assert_array_equal(heard_sound(device), signal)
    assert device.opened == [48000]


def test_cancel_fades_out_and_the_next_utterance_is_whole(make_sink: MakeSink, device: FakeDevice) -> None:
    sink = make_sink()
    sink.begin(RATE, "test")
    sink.write(np.full(RATE, 0.5, np.float32))
    wait_until(lambda: sink.heard() > 1000)
    sink.cancel()
    heard = sink.heard()
    assert not sink.write(noise(0.1))
    assert not sink.drain()
    wait_until(lambda: device.played[-1, 0] == 0.0)
    fade = heard_sound(device)
    edge = np.flatnonzero(fade == 0.5)[-1]
    assert len(fade) - edge <= 0.05 * RATE
    assert np.abs(np.diff(np.append(fade[edge:], 0.0))).max() < 0.01
    assert sink.heard() == heard
    device.blocks.clear()
    signal = noise(0.1, seed=2)
    speak(sink, signal)
    np.testing.assert_array_equal(heard_sound(device), signal)
    assert sink.underruns == 0


def test_cancel_wakes_a_write_that_waits(make_sink: MakeSink) -> None:
    sink = make_sink(buffer_seconds=0.1)
    sink.begin(RATE, "test")
    threading.Timer(0.1, sink.cancel).start()
    assert not sink.write(noise(30.0))


def test_cancel_without_an_utterance_does_nothing_to_the_next(make_sink: MakeSink, device: FakeDevice) -> None:
    sink, signal = make_sink(), noise(0.1)
    sink.cancel()
    speak(sink, signal)
    sink.cancel()
    np.testing.assert_array_equal(heard_sound(device), signal)


def test_volume_reaches_what_is_already_buffered(make_sink: MakeSink, device: FakeDevice) -> None:
    sink = make_sink()
    sink.begin(RATE, "test")
    sink.write(np.full(RATE // 2, 0.5, np.float32))
    wait_until(lambda: sink.heard() > 1000)
    sink.volume = 0.5
    sink.drain()
    played = heard_sound(device)
    assert set(np.unique(played[-1000:])) == {np.float32(0.25)}
    assert np.abs(np.diff(played)).max() < 0.01
    assert sink.volume == 0.5


def test_a_device_that_is_absent_at_start_is_waited_for(
    make_sink: MakeSink, audio: FakePortAudio, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_tts.audio")
    (device,) = audio.unplug()
    audio.listed = []
    sink = make_sink(device_wait=0.2)
    with pytest.raises(AudioDeviceError, match="no sound device was found"):
        sink.begin(RATE, "early")
    assert "no sound device was found" in sink.description
    audio.plugged = [device]
    wait_until(lambda: "24000" in sink.description)
    signal = noise(0.1)
    speak(sink, signal)
    np.testing.assert_array_equal(heard_sound(device), signal)
    assert [record.message for record in caplog.records] == [
        "no sound device was found; waiting for it",
        "sound device is back: Speaker: USB Audio (hw:1,0) at 24000 Hz",
    ]


def test_an_utterance_goes_on_when_the_device_returns(
    make_sink: MakeSink, audio: FakePortAudio, device: FakeDevice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_tts.audio")
    sink, signal = make_sink(), noise(0.4)
    sink.begin(RATE, "test")
    sink.write(signal)
    wait_until(lambda: sink.heard() > 1000)
    gone = audio.unplug()
    wait_until(lambda: "lost" in sink.description)
    time.sleep(0.2)
    audio.plugged = gone
    assert sink.drain()
    assert sink.heard() == len(signal)
    played = heard_sound(device)
    assert len(played) > len(signal), "what was in the device when it was lost is played again"
    assert len(played) < len(signal) + 0.3 * RATE
    lost = next(index for index in range(len(played)) if played[index] != signal[index])
    np.testing.assert_array_equal(played[lost:], signal[len(signal) - (len(played) - lost) :])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_device_that_stays_away_fails_the_utterance_and_not_the_next(
    make_sink: MakeSink, audio: FakePortAudio, device: FakeDevice
) -> None:
    sink = make_sink(device_wait=0.2)
    sink.begin(RATE, "test")
    sink.write(noise(0.5))
    gone = audio.unplug()
    with pytest.raises(AudioDeviceError, match=r"lost|no sound device"):
        sink.drain()
    device.blocks.clear()
    audio.plugged = gone
    wait_until(lambda: "24000" in sink.description)
    signal = noise(0.1, seed=3)
    speak(sink, signal)
    np.testing.assert_array_equal(heard_sound(device), signal)


def test_cancel_ends_the_wait_for_a_lost_device(make_sink: MakeSink, audio: FakePortAudio) -> None:
    sink = make_sink(device_wait=60.0)
    sink.begin(RATE, "test")
    sink.write(noise(0.5))
    audio.unplug()
    threading.Timer(0.2, sink.cancel).start()
    assert not sink.drain()


def test_stop_ends_the_wait_for_a_lost_device(make_sink: MakeSink, audio: FakePortAudio) -> None:
    audio.unplug()
    audio.listed = []
    sink = make_sink(device_wait=60.0)
    threading.Timer(0.2, sink._keeper.stop).start()
    with pytest.raises(AudioDeviceError, match="closed"):
        sink.begin(RATE, "test")


def test_a_device_that_takes_no_more_samples_counts_as_lost(
    make_sink: MakeSink, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "_STALLED_AFTER", 0.2)
    sink = make_sink(buffer_seconds=0.1, device_wait=0.3)
    sink.begin(RATE, "test")
    device.stalled = True
    with pytest.raises(AudioDeviceError, match="took no samples"):
        sink.write(noise(60.0))
    device.stalled = False
    wait_until(lambda: "24000" in sink.description)
    speak(sink, noise(0.1))


def test_a_storm_of_xruns_reopens_the_device(
    make_sink: MakeSink, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portaudio, "_STORM_SECONDS", 0.1)
    sink = make_sink()
    device.xruns = True
    wait_until(lambda: len(device.opened) > 1)
    device.xruns = False
    speak(sink, noise(0.1))


def test_a_device_that_comes_back_with_another_rate_fails_the_utterance(
    make_sink: MakeSink, audio: FakePortAudio, device: FakeDevice
) -> None:
    sink = make_sink()
    sink.begin(RATE, "test")
    sink.write(noise(1.0))
    gone = audio.unplug()
    device.rates = (48000,)
    audio.plugged = gone
    with pytest.raises(AudioDeviceError, match="another sample rate"):
        sink.drain()
    speak(sink, noise(0.1))


def test_an_unknown_failure_is_logged_and_survived(
    make_sink: MakeSink, audio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(audio, "OutputStream", lambda **settings: 1 / 0)
        sink = make_sink(device_wait=0.2)
        with pytest.raises(AudioDeviceError, match="ZeroDivisionError"):
            sink.begin(RATE, "test")
    wait_until(lambda: "24000" in sink.description)
    assert "unknown way" in caplog.text
    speak(sink, noise(0.1))


def test_a_busy_device_is_named_and_waited_for(make_sink: MakeSink, device: FakeDevice) -> None:
    device.busy = True
    sink = make_sink(device_wait=0.2)
    with pytest.raises(AudioDeviceError, match=r"USB Audio.*busy"):
        sink.begin(RATE, "test")
    device.busy = False
    wait_until(lambda: "24000" in sink.description)


def test_a_wrong_name_tells_what_there_is(make_sink: MakeSink) -> None:
    sink = make_sink("headphones", device_wait=0.1)
    with pytest.raises(AudioDeviceError, match=r"'headphones'.*Speaker: USB Audio"):
        sink.begin(RATE, "test")


def test_a_warm_device_is_open_before_and_after_speech(make_sink: MakeSink, audio: FakePortAudio) -> None:
    sink = make_sink(idle_close=0.0)
    assert audio.streams[-1].active
    speak(sink, noise(0.1))
    time.sleep(0.2)
    assert audio.streams[-1].active
    assert len(audio.streams) == 1


def test_without_keep_warm_the_device_sleeps_between_utterances(
    make_sink: MakeSink, audio: FakePortAudio, device: FakeDevice
) -> None:
    sink = make_sink(keep_warm=False, idle_close=0.1, preroll_ms=50)
    assert device.opened == []
    for count in (1, 2):
        device.blocks.clear()
        signal = noise(0.1, seed=count)
        speak(sink, signal)
        assert len(device.opened) == count
        played = device.played[:, 0]
        np.testing.assert_array_equal(played[: RATE // 20], 0.0)
        np.testing.assert_array_equal(heard_sound(device), signal)
        wait_until(lambda: not audio.streams[-1].active)
    assert "asleep" in sink.description


def test_an_utterance_soon_after_another_has_no_preroll(make_sink: MakeSink, device: FakeDevice) -> None:
    sink = make_sink(keep_warm=False, preroll_ms=200)
    speak(sink, noise(0.1))
    device.blocks.clear()
    began = time.monotonic()
    sink.begin(RATE, "test")
    sink.write(noise(0.1))
    wait_until(lambda: sink.heard() > 0)
    assert device.opened == [RATE]
    assert time.monotonic() - began < 5.0
    assert np.count_nonzero(device.played[: RATE // 10, 0])
    sink.drain()


def test_running_dry_inside_an_utterance_is_counted(make_sink: MakeSink) -> None:
    sink = make_sink()
    sink.begin(RATE, "test")
    sink.write(noise(0.05))
    wait_until(lambda: sink.underruns == 1)
    sink.write(noise(0.1))
    sink.drain()
    assert sink.underruns == 1


def test_an_alsa_name_with_a_card_goes_by_the_environment(
    make_sink: MakeSink, audio: FakePortAudio, device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALSA_CARD", "other")
    device.name = "sysdefault"
    sink = make_sink("sysdefault:CARD=vc4hdmi0")
    import os

    assert os.environ["ALSA_CARD"] == "vc4hdmi0"
    assert audio.initialisations == 1
    speak(sink, noise(0.1))


def test_portaudio_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *rest: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(AudioDeviceError, match="apt install libportaudio2"):
        SoundDeviceSink().start()
