"""The files under systemd/: what systemd itself says of them, and what only a board would find out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_tts.config import Config, dotted_keys, load_config

ROOT = Path(__file__).resolve().parents[1]
SYSTEMD = ROOT / "systemd"
UNITS = ("edge-tts.service", "edge-tts-user.service")

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def settings(unit: str) -> dict[str, list[str]]:
    """Every value of each key of a unit file."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / unit).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def runnable(unit: str, folder: Path) -> Path:
    """A copy of the unit whose program exists here, as verify asks for."""
    text = (SYSTEMD / unit).read_text()
    assert "ExecStart=/opt/edge-tts/venv/bin/edge-ttsd run" in text
    copy = folder / unit
    copy.write_text(text.replace("/opt/edge-tts/venv/bin/edge-ttsd", "/bin/true"))
    return copy


def verify(path: Path, manager: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", manager, str(path)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
    )


@needs_analyze
@pytest.mark.parametrize(("unit", "manager"), [(UNITS[0], "--system"), (UNITS[1], "--user")])
def test_systemd_finds_nothing_wrong(unit: str, manager: str, tmp_path: Path) -> None:
    result = verify(runnable(unit, tmp_path), manager, tmp_path)
    assert result.returncode == 0
    assert unit not in result.stderr


@needs_analyze
def test_a_mistake_would_be_found(tmp_path: Path) -> None:
    unit = runnable(UNITS[0], tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSeconds="))
    assert "WatchdogSeconds" in verify(unit, "--system", tmp_path).stderr


@needs_analyze
def test_exposure_stays_low(tmp_path: Path) -> None:
    unit = runnable(UNITS[0], tmp_path)
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=1", "--threshold=20", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    if "unrecognized option" in result.stderr:
        pytest.skip("this systemd-analyze cannot rate a unit file offline")
    print(result.stdout.strip().splitlines()[-1])
    assert result.returncode == 0, result.stdout


def test_sound_and_serial_devices_stay_reachable() -> None:
    unit = settings(UNITS[0])
    assert "PrivateDevices" not in unit
    assert unit["DevicePolicy"] == ["closed"]
    allowed = {value.split()[0] for value in unit["DeviceAllow"]}
    assert {"char-alsa", "char-ttyUSB", "char-ttyACM", "char-ttyAMA", "char-ttyS", "char-ttyTHS"} <= allowed
    assert unit["SupplementaryGroups"] == ["audio dialout"]


def test_drivers_of_devices_that_come_later_are_loaded_before_the_start() -> None:
    unit = settings(UNITS[0])
    for module in ("snd", "usbserial", "cdc_acm"):
        service = f"modprobe@{module}.service"
        assert any(service in value for value in unit["Wants"])
        assert any(service in value for value in unit["After"])


def test_missing_broker_or_password_does_not_stop_the_service() -> None:
    unit = settings(UNITS[0])
    assert "Requires" not in unit
    assert "BindsTo" not in unit
    name = unit["LoadCredential"][0].split(":")[0]
    assert any(value.startswith(f"{name}:") for value in unit["SetCredential"])
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_udev_rules_name_only_usb_serial_adapters() -> None:
    rules = [
        line for line in (SYSTEMD / "99-edge-tts.rules").read_text().splitlines() if line and not line.startswith("#")
    ]
    pair = re.compile(r'[A-Z]+(\{\w+\})?(==|!=|\+=|=)"[^"]*"')
    for line in rules:
        assert all(pair.fullmatch(part) for part in line.split(", ")), line
    assert rules[:2] == ['SUBSYSTEM!="tty", GOTO="edge_tts_end"', 'SUBSYSTEMS!="usb", GOTO="edge_tts_end"']
    assert rules[-1] == 'LABEL="edge_tts_end"'
    assert all('ATTRS{idVendor}=="' in line and 'SYMLINK+="edge-tts-serial"' in line for line in rules[2:-1])


def test_default_configuration_as_shipped_is_the_built_in_one() -> None:
    assert load_config(SYSTEMD / "config.toml", environ={}) == Config()


def test_default_configuration_shows_every_key_with_its_default(tmp_path: Path) -> None:
    text = (SYSTEMD / "config.toml").read_text()
    uncommented = tmp_path / "config.toml"
    uncommented.write_text(re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE))
    shown = load_config(uncommented, environ={})
    tables = {"device", "mqtt", "serial", "voice", "audio", "streaming", "queue", "log", "mqtt.tls"}
    for key in set(dotted_keys()) - tables:
        last = key.rsplit(".", 1)[1]
        assert re.search(rf"^# ?{last} = |[{{,] {last} = ", text, re.MULTILINE), f"{key} is not in config.toml"
    built_in = Config()
    for table in ("streaming", "queue", "log"):
        assert getattr(shown, table) == getattr(built_in, table)
    assert shown.mqtt.model_copy(update={"username": None, "password_file": None, "tls": None}) == built_in.mqtt
    assert shown.voice.model_copy(update={"directory": None}) == built_in.voice
    assert shown.audio.model_copy(update={"device": None}) == built_in.audio
