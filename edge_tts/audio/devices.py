"""Which sound devices there are, and which one a configuration means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_tts.errors import AudioDeviceError

_WAKES_IN_MS = ((r"hdmi|displayport|iec958|spdif", 1500), (r"blue|a2dp", 1000), (r"usb", 500))


@dataclass(frozen=True)
class Device:
    """A sound device that can play."""

    index: int
    """PortAudio's number; it changes when devices come and go."""
    name: str
    host_api: str
    channels: int
    default_rate: int
    is_default: bool = False


def query() -> list[Device]:
    """Every device that can play, as PortAudio saw them when it was last initialised.

    Raises AudioDeviceError when PortAudio is not installed or does not answer.
    """
    try:
        import sounddevice
    except OSError as error:
        raise AudioDeviceError(f"{error}: install it with `apt install libportaudio2`") from error
    try:
        apis = sounddevice.query_hostapis()
        found = [device for device in sounddevice.query_devices() if device["max_output_channels"] > 0]
        default = sounddevice.query_devices(kind="output")["index"] if found else None
    except sounddevice.PortAudioError as error:
        raise AudioDeviceError(f"the sound devices cannot be listed: {error.args[0]}") from error
    return [
        Device(
            index=device["index"],
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            channels=device["max_output_channels"],
            default_rate=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in found
    ]


def choose(devices: Sequence[Device], wanted: str | int | None) -> Device:
    """The device meant by an index, by a name or a part of one, or by None (the system's default).

    A name is compared without regard to case; a whole name goes before a part of one, and ALSA before other host
    APIs. Raises AudioDeviceError when no device or more than one fits.
    """
    if not devices:
        raise AudioDeviceError("no sound device was found")
    if wanted is None or wanted == "":
        fitting = [device for device in devices if device.is_default] or list(devices[:1])
    elif isinstance(wanted, int) or wanted.isdecimal():
        fitting = [device for device in devices if device.index == int(wanted)]
    else:
        sought = wanted.casefold()
        fitting = [device for device in devices if device.name.casefold() == sought]
        fitting = fitting or [device for device in devices if sought in device.name.casefold()]
        fitting = [device for device in fitting if device.host_api == "ALSA"] or fitting
    if not fitting:
        raise AudioDeviceError(f"sound device {wanted!r} was not found; there is {_names(devices)}")
    if len(fitting) > 1:
        raise AudioDeviceError(f"sound device {wanted!r} could be {_names(fitting)}; give more of the name")
    return fitting[0]


def alsa_card(wanted: str | int | None) -> tuple[str, str] | None:
    """The PCM and the card of a name as `aplay -L` prints it, e.g. `sysdefault:CARD=vc4hdmi0`; None for other names.

    PortAudio lists such a PCM without its card, and opens it on the card that the environment's ALSA_CARD names.
    Raises AudioDeviceError for PCMs that cannot be reached so.
    """
    if not isinstance(wanted, str) or not (match := re.fullmatch(r"(\w+):CARD=([^,]+)(,DEV=0)?", wanted)):
        return None
    pcm, card = match[1], match[2]
    if pcm not in ("sysdefault", "default"):
        raise AudioDeviceError(f"sound device {wanted!r} is out of PortAudio's reach; use 'sysdefault:CARD={card}'")
    return pcm, card


def wake_ms(name: str) -> int:
    """Milliseconds of silence that a device of this name may swallow after it was opened."""
    for pattern, milliseconds in _WAKES_IN_MS:
        if re.search(pattern, name, re.IGNORECASE):
            return milliseconds
    return 250


def formats(voice_rate: int, device: Device) -> list[tuple[int, int]]:
    """Pairs of sample rate and channels in the order in which to try them: the voice's own rate, mono, first."""
    rates = dict.fromkeys((voice_rate, device.default_rate, 48000, 44100))
    channels = (1, 2) if device.channels >= 2 else (1,)
    return [(rate, count) for rate in rates for count in channels]


def _names(devices: Sequence[Device]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)
