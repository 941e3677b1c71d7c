from __future__ import annotations

import sys

import pytest

from edge_tts.audio.devices import Device, alsa_card, choose, formats, query, wake_ms
from edge_tts.errors import AudioDeviceError
from tests.fake_portaudio import FakeDevice, FakePortAudio

HDMI = Device(0, "vc4-hdmi-0: MAI PCM i2s-hifi-0 (hw:0,0)", "ALSA", 2, 48000)
HEADPHONES = Device(1, "bcm2835 Headphones: - (hw:1,0)", "ALSA", 8, 44100)
USB = Device(2, "USB Audio Device: - (hw:2,0)", "ALSA", 2, 48000)
DEFAULT = Device(5, "default", "ALSA", 32, 44100, is_default=True)
USB_OSS = Device(6, "/dev/dsp USB Audio", "OSS", 2, 48000)
PI = (HDMI, HEADPHONES, USB, DEFAULT, USB_OSS)


@pytest.mark.parametrize(
    ("wanted", "device"),
    [
        (None, DEFAULT),
        ("", DEFAULT),
        (2, USB),
        ("2", USB),
        ("default", DEFAULT),
        ("headphones", HEADPHONES),
        ("hw:0,0", HDMI),
        ("USB Audio", USB),
        ("usb audio device: - (HW:2,0)", USB),
        ("/dev/dsp", USB_OSS),
    ],
)
def test_a_device_is_found_by_index_name_or_part_of_it(wanted: str | int | None, device: Device) -> None:
    assert choose(PI, wanted) is device


def test_a_whole_name_goes_before_a_part() -> None:
    devices = (Device(0, "pulse sink", "ALSA", 2, 48000), Device(1, "pulse", "ALSA", 2, 48000))
    assert choose(devices, "pulse").index == 1


def test_without_a_default_the_first_device_is_it() -> None:
    assert choose((HDMI, USB), None) is HDMI


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("earphones", r"'earphones' was not found; there is 0 'vc4-hdmi-0"),
        (3, r"3 was not found; .*5 'default'"),
        ("-1", r"'-1' was not found"),
        ("hw:", r"'hw:' could be 0 'vc4-hdmi.*2 'USB.*more of the name"),
    ],
)
def test_what_does_not_fit_one_device_tells_what_there_is(wanted: str | int, message: str) -> None:
    with pytest.raises(AudioDeviceError, match=message):
        choose(PI, wanted)


@pytest.mark.parametrize("wanted", [None, 0, "default"])
def test_no_device_at_all_is_said_so(wanted: str | int | None) -> None:
    with pytest.raises(AudioDeviceError, match="no sound device was found"):
        choose((), wanted)


def test_formats_begin_with_the_voices_own_and_end_with_what_any_device_takes() -> None:
    assert formats(24000, USB) == [
        *((24000, 1), (24000, 2)),
        *((48000, 1), (48000, 2)),
        *((44100, 1), (44100, 2)),
    ]
    assert formats(48000, Device(0, "one", "ALSA", 1, 48000)) == [(48000, 1), (44100, 1)]


@pytest.mark.parametrize(
    ("name", "least"),
    [(HDMI.name, 1000), ("DisplayPort", 1000), ("bluealsa", 500), ("bluez_output", 500), (USB.name, 500), ("x", 1)],
)
def test_devices_that_sleep_deeply_get_more_silence_first(name: str, least: int) -> None:
    assert least <= wake_ms(name) <= 2000
    assert wake_ms("default") < wake_ms(USB.name) < wake_ms(HDMI.name)


def test_an_alsa_name_with_a_card_is_split() -> None:
    assert alsa_card("sysdefault:CARD=vc4hdmi0") == ("sysdefault", "vc4hdmi0")
    assert alsa_card("default:CARD=Device,DEV=0") == ("default", "Device")
    for other in (None, 3, "default", "USB Audio: - (hw:1,0)"):
        assert alsa_card(other) is None


def test_an_alsa_name_out_of_reach_names_the_one_that_works() -> None:
    with pytest.raises(AudioDeviceError, match="use 'sysdefault:CARD=vc4hdmi0'"):
        alsa_card("plughw:CARD=vc4hdmi0,DEV=0")


def test_query_lists_what_can_play(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePortAudio(FakeDevice("speaker"), FakeDevice("microphone", channels=(0,)), FakeDevice("other"))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    assert query() == [
        Device(0, "speaker", "ALSA", 2, 48000, is_default=True),
        Device(2, "other", "ALSA", 2, 48000),
    ]
    fake.listed = []
    assert query() == []
