from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from edge_tts import doctor
from edge_tts.audio.devices import Device
from edge_tts.checks import (
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
from edge_tts.config import DEFAULT_PATH, Config, MqttTable, SerialTable
from edge_tts.errors import ConfigError
from edge_tts.sources.mqtt_client import MqttOptions, TlsOptions
from edge_tts.sources.mqtt_probe import problem_with
from tests.device.mosquitto import Mosquitto, missing
from tests.free_port import free_port
from tests.voice_folder import write_voice

needs_mosquitto = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

SPEAKERS = Device(3, "USB Audio: DAC (hw:1,0)", "ALSA", 2, 48000, is_default=True)
HDMI = Device(4, "vc4-hdmi-0: MAI PCM (hw:0,0)", "ALSA", 2, 48000)


def test_a_line_says_ok_or_what_to_do() -> None:
    assert str(CheckResult("disk", "90 MB free")) == "ok    disk: 90 MB free"
    assert str(CheckResult("disk", "1 MB free", "make room")) == "FIX   disk: 1 MB free: make room"


def test_python_too_old_or_32_bit_must_be_replaced() -> None:
    assert not check_python((3, 11), True, "aarch64").remedy
    assert "3.10" in check_python((3, 9), True, "aarch64").remedy
    # A 32-bit system on a 64-bit kernel calls its machine aarch64, too.
    assert "64-bit" in check_python((3, 11), False, "aarch64").remedy


def test_the_other_edge_tts_is_found() -> None:
    assert not check_packages({"edge-tts-daemon", "numpy"}).remedy
    assert "pip uninstall" in check_packages({"edge-tts-daemon", "edge-tts"}).remedy


def test_library_that_cannot_be_imported_is_named_with_the_reason() -> None:
    assert not check_libraries({}).remedy
    result = check_libraries({"onnxruntime": "libgomp.so.1: cannot open shared object file"})
    assert "onnxruntime" in result.found
    assert "libgomp" in result.found
    assert result.remedy


def test_service_not_installed_is_well_and_failed_is_not() -> None:
    groups = {"audio": ["pi", "edge-tts"], "dialout": ["edge-tts"]}
    assert [bool(result.remedy) for result in check_service("", {})] == [False]
    assert [bool(result.remedy) for result in check_service("active", groups)] == [False, False]
    assert "journalctl" in check_service("failed", groups)[0].remedy
    assert "usermod -aG dialout edge-tts" in check_service("active", {**groups, "dialout": []})[1].remedy


def test_sound_device_by_default_by_name_and_missing() -> None:
    assert "USB Audio" in check_sound([SPEAKERS, HDMI], None, {}).found
    assert not check_sound([SPEAKERS, HDMI], "hdmi", {}).remedy
    assert "audio.device" in check_sound([SPEAKERS, HDMI], "Bluetooth", {}).remedy


def test_without_any_device_the_remedy_depends_on_the_kernels_cards() -> None:
    assert "no sound card" in check_sound([], None, {}).remedy
    assert "usermod -aG audio" in check_sound([], None, {"/dev/snd/pcmC0D0p": False}).remedy
    assert "fuser" in check_sound([], None, {"/dev/snd/pcmC0D0p": True}).remedy


def test_serial_port_absent_forbidden_or_used_as_console() -> None:
    assert not check_serial("/dev/ttyUSB0", PortFacts(exists=True, writable=True)).remedy
    assert "connect" in check_serial("/dev/ttyUSB0", PortFacts(exists=False, writable=False)).remedy
    assert "dialout" in check_serial("/dev/ttyUSB0", PortFacts(exists=True, writable=False)).remedy
    assert "raspi-config" in check_serial("/dev/serial0", PortFacts(True, True, is_console=True)).remedy


def test_consoles_on_the_kernels_command_line() -> None:
    line = "console=serial0,115200 console=tty1 root=PARTUUID=4c-02 noconsole=x"
    assert kernel_consoles(line) == {"/dev/serial0", "/dev/tty1"}


def test_full_disk_is_reported() -> None:
    assert not check_space(Path("/var/lib/edge-tts"), 2**30).remedy
    assert check_space(Path("/var/lib/edge-tts"), 2**20).remedy


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        ("[Errno 111] Connection refused", "apt install mosquitto"),
        ("refused: Not authorized", "mqtt.password_file"),
        ("refused: Bad user name or password", "mqtt.password_file"),
        ("the password file /etc/edge-tts/mqtt-password cannot be read: Permission denied", "sudo"),
        ("the password file /etc/edge-tts/mqtt-password cannot be read: No such file or directory", "put the password"),
        ("TLS: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "mqtt.tls"),
        ("[Errno -2] Name or service not known", "mqtt.host"),
        ("timed out", "network"),
    ],
)
def test_each_problem_of_the_broker_has_its_remedy(problem: str, word: str) -> None:
    assert word in check_broker("robot.local:1883", problem).remedy


def test_voices_are_checked_file_by_file(tmp_path: Path) -> None:
    whole, torn = write_voice(tmp_path, "en_US-whole-tone"), write_voice(tmp_path, "en_US-torn-tone")
    (torn / "decoder.int8.onnx").write_text("")
    good, bad = check_voices(whole.name, {whole.name: whole, torn.name: torn})
    assert not good.remedy
    assert "decoder.int8.onnx" in bad.found
    assert bad.remedy


def test_default_voice_that_is_missing_is_named_with_those_there_are(tmp_path: Path) -> None:
    whole = write_voice(tmp_path, "en_US-whole-tone")
    missing, _ = check_voices("de_DE-absent-vits", {whole.name: whole})
    assert "de_DE-absent-vits" in missing.found
    assert whole.name in missing.found
    assert missing.remedy


@needs_mosquitto
def test_broker_that_lets_us_in_has_no_problem() -> None:
    with Mosquitto() as broker:
        assert problem_with(MqttOptions(broker.host, broker.port)) == ""


@needs_mosquitto
def test_wrong_right_and_missing_password(tmp_path: Path) -> None:
    file = tmp_path / "mqtt-password"
    with Mosquitto(password="secret") as broker:
        options = MqttOptions(broker.host, broker.port, username=broker.user, password_file=file)
        assert "password file" in problem_with(options)
        file.write_text("wrong\n")
        assert "mqtt.password_file" in check_broker("", problem_with(options)).remedy
        file.write_text("secret\n")
        assert problem_with(options) == ""


def test_absent_broker_and_one_that_is_none() -> None:
    assert "refused" in problem_with(MqttOptions("127.0.0.1", free_port()))

    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(3):
                server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        options = MqttOptions("127.0.0.1", server.getsockname()[1])
        assert "does not answer" in problem_with(options)


@needs_mosquitto
def test_tls_to_a_plain_broker_is_a_problem_of_tls() -> None:
    with Mosquitto() as broker:
        problem = problem_with(MqttOptions(broker.host, broker.port, tls=TlsOptions()))
    assert "mqtt.tls" in check_broker("", problem).remedy


def test_whole_run_prints_a_line_a_check_and_fails_when_one_must_be_fixed(tmp_path: Path) -> None:
    write_voice(tmp_path / "voices", "en_US-whole-tone")
    config = Config(
        mqtt=MqttTable(port=free_port()),
        serial=(SerialTable(port=str(tmp_path / "ttyUSB7")),),
    )
    config = config.model_copy(
        update={
            "voice": config.voice.model_copy(update={"default": "en_US-whole-tone", "directory": tmp_path / "voices"}),
            "audio": config.audio.model_copy(update={"device": f"wav:{tmp_path}"}),
        }
    )
    lines: list[str] = []
    assert doctor.run_doctor(lambda: config, lines.append) == 1
    wrong = [line.split()[1] for line in lines if line.startswith("FIX")]
    assert wrong == ["broker:", "serial:"]
    assert {line.split()[1] for line in lines} >= {"python:", "packages:", "libraries:", "voice:", "sound:", "disk:"}


def test_invalid_configuration_is_one_line_and_the_end() -> None:
    def load() -> Config:
        raise ConfigError("config.toml: audio.volum: unknown key; did you mean audio.volume?")

    lines: list[str] = []
    assert doctor.run_doctor(load, lines.append) == 1
    assert "audio.volum" in lines[-1]


def test_credential_name_means_the_file_the_unit_takes_it_from(tmp_path: Path) -> None:
    unit = (Path(__file__).parents[1] / "systemd" / "edge-tts.service").read_text()
    assert f"LoadCredential=mqtt-password:{DEFAULT_PATH.parent}/mqtt-password" in unit
    with socket.create_server(("127.0.0.1", 0)) as server:
        table = MqttTable(port=server.getsockname()[1], username="robot", password_file=Path("mqtt-password"))
        assert str(tmp_path / "mqtt-password") in doctor._broker(table, credentials=tmp_path).found
