"""The doctor's checks: from facts about a machine to what was found and what to do about it.

Nothing here looks at the machine itself; `doctor` gathers the facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_tts.audio.devices import Device, choose
from edge_tts.errors import AudioDeviceError, BundleError
from edge_tts.voices.bundle import Bundle

SERVICE_USER = "edge-tts"
SERVICE_GROUPS = ("audio", "dialout")
ENOUGH_SPACE = 50 * 2**20
"""Bytes that the log and remembered choices may need."""


@dataclass(frozen=True)
class CheckResult:
    """What was found of one thing; an empty remedy means that all is well with it."""

    name: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        if self.remedy:
            return f"FIX   {self.name}: {self.found}: {self.remedy}"
        return f"ok    {self.name}: {self.found}"


@dataclass(frozen=True)
class PortFacts:
    """A serial port's device file."""

    exists: bool
    writable: bool
    """Whether this user may open it."""
    is_console: bool = False
    """Whether the kernel uses it for its messages and the login prompt."""


def check_python(version: tuple[int, int], is_64_bit: bool, machine: str) -> CheckResult:
    """The interpreter and the architecture."""
    found = f"{version[0]}.{version[1]} on {machine}, {64 if is_64_bit else 32} bit"
    if not is_64_bit:
        return CheckResult("python", found, "onnxruntime has no 32-bit build; install a 64-bit system (arm64)")
    if version < (3, 10):
        return CheckResult("python", found, "install Python 3.10 or newer")
    return CheckResult("python", found)


def check_packages(installed: Collection[str]) -> CheckResult:
    """Distributions, by lower-case name, that cannot share an environment with this one."""
    if "edge-tts" in installed:
        return CheckResult(
            "packages",
            "PyPI's edge-tts, which speaks through an online service, is installed here and overwrites our edge_tts",
            "pip uninstall -y edge-tts edge-tts-daemon, then install edge-tts-daemon again, best in its own venv",
        )
    return CheckResult("packages", "none that conflicts")


def check_libraries(problems: Mapping[str, str]) -> CheckResult:
    """The libraries that could not be imported, with the reason of each."""
    if problems:
        found = "; ".join(f"{name} cannot be imported ({reason})" for name, reason in problems.items())
        return CheckResult("libraries", found, "install edge-tts-daemon again into its environment")
    return CheckResult("libraries", "all can be imported")


def check_service(state: str, members: Mapping[str, Collection[str]]) -> list[CheckResult]:
    """The state of the systemd unit (empty: not installed), and whether its user is in the groups it needs."""
    if not state:
        return [CheckResult("service", "not installed; `sudo systemd/install.sh` in a checkout starts it at boot")]
    results = [CheckResult("service", state)]
    if state not in ("active", "activating", "reloading"):
        remedy = "see journalctl -u edge-tts -e, then sudo systemctl restart edge-tts"
        results = [CheckResult("service", state, remedy)]
    missing = [group for group in SERVICE_GROUPS if SERVICE_USER not in members.get(group, ())]
    if missing:
        remedy = f"sudo usermod -aG {','.join(missing)} {SERVICE_USER}, then sudo systemctl restart edge-tts"
        results.append(CheckResult("service user", f"{SERVICE_USER} is not in {', '.join(missing)}", remedy))
    else:
        results.append(CheckResult("service user", f"{SERVICE_USER} is in {', '.join(SERVICE_GROUPS)}"))
    return results


def check_voices(default: str, bundles: Mapping[str, Path]) -> list[CheckResult]:
    """Every installed voice: voice.json can be read and each file has its checksum."""
    results = []
    if default not in bundles:
        installed = ", ".join(bundles) or "none"
        remedy = "set voice.default to an installed voice, or copy its folder into models_int8"
        results.append(CheckResult("voice", f"{default} is not installed (installed: {installed})", remedy))
    for name, folder in bundles.items():
        try:
            bundle = Bundle(folder)
            sums = bundle.checksums()
            for file in sums:
                bundle.file(file)
        except BundleError as error:
            results.append(CheckResult("voice", str(error), "copy this voice again"))
        else:
            results.append(CheckResult("voice", f"{name}, {len(sums)} files with the right checksums"))
    return results


def check_sound(devices: Sequence[Device], wanted: str | int | None, cards: Mapping[str, bool]) -> CheckResult:
    """The device that is configured, among those PortAudio lists; `cards` says which of the kernel's may be opened."""
    try:
        device = choose(devices, wanted)
    except AudioDeviceError as error:
        if devices:
            remedy = "set audio.device to one of them, e.g. by a part of its name"
        elif cards and not any(cards.values()):
            remedy = "sudo usermod -aG audio $USER, then log in again"
        elif cards:
            remedy = "another program may hold the card (fuser -v /dev/snd/*); `speaker-test -c1` tells more"
        else:
            remedy = "the kernel knows no sound card: connect or enable one, or set audio.device to wav:FOLDER"
        return CheckResult("sound", str(error), remedy)
    return CheckResult("sound", f"{device.name} ({device.host_api}, {device.default_rate} Hz)")


def check_broker(address: str, problem: str) -> CheckResult:
    """The broker, and why it did not let us in (empty: it did)."""
    if not problem:
        return CheckResult("broker", f"{address} lets us in")
    reason = problem.lower()
    if "not authorized" in reason or "user name or password" in reason:
        remedy = "correct mqtt.username and mqtt.password_file"
    elif "password file" in reason and "permission" in reason:
        remedy = "only root may read the password: run sudo edge-ttsd doctor"
    elif "password file" in reason:
        remedy = "put the password there, or correct mqtt.password_file"
    elif "refused" in reason:
        remedy = "start one there (sudo apt install mosquitto), or correct mqtt.host and mqtt.port"
    elif "certificate" in reason or "tls" in reason:
        remedy = "correct mqtt.tls and mqtt.port (8883 is usual with TLS)"
    else:
        remedy = "correct mqtt.host and mqtt.port, or look at the network"
    return CheckResult("broker", f"{address}: {problem}", remedy)


def check_serial(port: str, facts: PortFacts) -> CheckResult:
    """A configured serial port."""
    if not facts.exists:
        return CheckResult("serial", f"{port} does not exist", "connect the adapter, or correct serial.port")
    if facts.is_console:
        remedy = "free it: raspi-config, Interface Options, Serial Port, no login shell (or edit the kernel's cmdline)"
        return CheckResult("serial", f"{port} is the kernel's console", remedy)
    if not facts.writable:
        remedy = "sudo usermod -aG dialout $USER, then log in again"
        return CheckResult("serial", f"{port} may not be opened by this user", remedy)
    return CheckResult("serial", f"{port} may be opened")


def check_space(folder: Path, free: int) -> CheckResult:
    """Bytes that are free where the daemon keeps its state."""
    found = f"{free // 2**20} MB free for {folder}"
    return CheckResult(
        "disk", found, "" if free >= ENOUGH_SPACE else "make room, e.g. sudo journalctl --vacuum-size=50M"
    )


def kernel_consoles(command_line: str) -> set[str]:
    """The ports that a kernel command line makes consoles: `console=ttyS0,115200` is /dev/ttyS0."""
    words: Iterable[str] = command_line.split()
    return {"/dev/" + word.removeprefix("console=").split(",")[0] for word in words if word.startswith("console=")}
