"""`edge-ttsd doctor`: gathers the facts of this machine and says, a line each, what is well and what to do."""

from __future__ import annotations

import contextlib
import grp
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_tts.checks import (
    SERVICE_GROUPS,
    CheckResult,
    PortFacts,
    check_broker,
    check_libraries,
    check_packages,
    check_python,
    check_serial,
    check_service,
    check_sound,
    check_space,
    check_voices,
    kernel_consoles,
)
from edge_tts.config import DEFAULT_PATH
from edge_tts.errors import AudioDeviceError, ConfigError

if TYPE_CHECKING:
    from edge_tts.config import AudioTable, Config, MqttTable

LIBRARIES = ("numpy", "onnxruntime", "paho.mqtt.client", "pydantic", "serial", "soundfile")
SOUND_CARDS = Path("/dev/snd")


def run_doctor(load: Callable[[], Config], say: Callable[[str], None] = print) -> int:
    """Say a line for each check. Returns 1 when something has to be fixed, else 0. `load` may raise ConfigError."""
    status = 0
    for result in run_checks(load):
        say(str(result))
        if result.remedy:
            status = 1
    return status


def run_checks(load: Callable[[], Config]) -> Iterator[CheckResult]:
    """Check this machine; without its libraries or a valid configuration only what does not depend on them."""
    yield check_python(sys.version_info[:2], sys.maxsize > 2**32, platform.machine())
    yield check_packages({(item.name or "").lower() for item in importlib.metadata.distributions()})
    problems = _import_problems()
    yield check_libraries(problems)
    yield from check_service(_service_state(), {name: _members(name) for name in SERVICE_GROUPS})
    try:
        config = load()
    except ConfigError as error:
        yield CheckResult("configuration", str(error), "correct it, then run edge-ttsd doctor again")
        return
    yield CheckResult("configuration", "valid")
    if problems:
        return
    yield from _voices(config)
    yield _sound(config.audio)
    if config.mqtt.enabled:
        yield _broker(config.mqtt)
    for table in config.serial:
        yield check_serial(table.port, _port_facts(Path(table.port)))
    yield _space()


def _import_problems() -> dict[str, str]:
    problems = {}
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            problems[name] = str(error)
    return problems


def _service_state() -> str:
    if shutil.which("systemctl") is None:
        return ""
    query = ["systemctl", "show", "edge-tts.service", "--property=LoadState,ActiveState", "--value"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=10)
    loaded, _, active = answer.stdout.strip().partition("\n")
    return active if loaded == "loaded" else ""


def _members(group: str) -> list[str]:
    try:
        return grp.getgrnam(group).gr_mem
    except KeyError:
        return []


def _voices(config: Config) -> list[CheckResult]:
    from edge_tts.voices.registry import find_bundles, voice_directories

    return check_voices(config.voice.default, find_bundles(voice_directories(config.voice.directory)))


def _sound(audio: AudioTable) -> CheckResult:
    from edge_tts.audio.devices import query
    from edge_tts.wiring import WAV_PREFIX

    if isinstance(audio.device, str) and audio.device.startswith(WAV_PREFIX):
        return CheckResult("sound", f"WAV files in {audio.device.removeprefix(WAV_PREFIX)}")
    try:
        devices = query()
    except AudioDeviceError as error:
        return CheckResult("sound", str(error), "sudo apt install libportaudio2")
    cards = {str(node): os.access(node, os.R_OK | os.W_OK) for node in SOUND_CARDS.glob("pcm*p")}
    return check_sound(devices, audio.device, cards)


def _broker(table: MqttTable, credentials: Path = DEFAULT_PATH.parent) -> CheckResult:
    from edge_tts.sources.mqtt_probe import problem_with
    from edge_tts.wiring import mqtt_options

    options = mqtt_options(table)
    file = options.password_file
    if file is not None and not file.is_absolute():
        # The name of a credential, which only the service is given: the unit takes it from here.
        options = replace(options, password_file=credentials / file)
    return check_broker(f"{options.host}:{options.port}", problem_with(options))


def _port_facts(port: Path) -> PortFacts:
    command_line = ""
    with contextlib.suppress(OSError):
        command_line = Path("/proc/cmdline").read_text()
    consoles = {os.path.realpath(console) for console in kernel_consoles(command_line)}
    return PortFacts(
        exists=port.exists(),
        writable=os.access(port, os.R_OK | os.W_OK),
        is_console=os.path.realpath(port) in consoles,
    )


def _space() -> CheckResult:
    from edge_tts.wiring import state_folder

    folder = state_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return check_space(folder, shutil.disk_usage(existing).free)
