from __future__ import annotations

from pathlib import Path

import pytest

from edge_tts.config import Config, dotted_keys, load_config
from edge_tts.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_every_table_may_be_left_out(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, ""), {})
    assert config == Config()
    assert (config.mqtt.host, config.mqtt.port, config.queue.size) == ("localhost", 1883, 64)


def test_variables_override_the_file_and_flags_override_both(tmp_path: Path) -> None:
    path = write(tmp_path, '[mqtt]\nhost = "a"\nport = 1\n[audio]\nlatency_ms = 30\n')
    config = load_config(path, {"EDGE_TTS_MQTT_HOST": "b", "EDGE_TTS_AUDIO_LATENCY_MS": "60"}, {"mqtt.host": "c"})
    assert (config.mqtt.host, config.mqtt.port, config.audio.latency_ms) == ("c", 1, 60)


def test_a_device_given_as_digits_is_an_index() -> None:
    assert load_config(None, {"EDGE_TTS_AUDIO_DEVICE": "3"}).audio.device == 3
    assert load_config(None, {"EDGE_TTS_AUDIO_DEVICE": "USB Audio"}).audio.device == "USB Audio"


def test_several_serial_ports(tmp_path: Path) -> None:
    path = write(tmp_path, '[[serial]]\nport = "/dev/ttyS0"\nbaud = 9600\n[[serial]]\nport = "/dev/ttyUSB0"\n')
    assert [(table.port, table.baud) for table in load_config(path, {}).serial] == [
        ("/dev/ttyS0", 9600),
        ("/dev/ttyUSB0", 115200),
    ]


@pytest.mark.parametrize(("text", "tls"), [("tls = true", True), ("tls = false", False), ("[mqtt.tls]", True)])
def test_tls_is_a_switch_or_a_table(tmp_path: Path, text: str, tls: bool) -> None:
    assert (load_config(write(tmp_path, "[mqtt]\n" + text), {}).mqtt.tls is not None) is tls


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mqtt]\nhots = 'a'", "mqtt.hots: unknown key; did you mean mqtt.host?"),
        ("[moqtt]\nhost = 'a'", "moqtt: unknown key; did you mean mqtt?"),
        ("[[serial]]\nport = 'a'\nbaut = 9600", "serial.0.baut: unknown key; did you mean serial.baud?"),
        ("[[serial]]\nport = 'a'\nbaud = 1234", "serial.0.baud: use one of 9600"),
        ("[[serial]]\nbaud = 9600", "serial.0.port: "),
        ("[audio]\nvolume = 2", "audio.volume: "),
        ("[device]\nid = 'a/b'", "device.id: "),
        ("[mqtt]\nbase_topic = 'tts/#'", "mqtt.base_topic: "),
        ("[mqtt\n", "not valid TOML"),
    ],
)
def test_errors_name_the_file_and_the_key(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_missing_file_and_a_mistyped_variable_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load_config(tmp_path / "nowhere.toml", {})
    with pytest.raises(ConfigError, match="EDGE_TTS_MQTT_HOTS: there is no such key; did you mean EDGE_TTS_MQTT_HOST"):
        load_config(None, {"EDGE_TTS_MQTT_HOTS": "a"})


def test_every_key_of_the_schema_has_a_variable_of_its_own() -> None:
    names = [key.replace(".", "_") for key in dotted_keys()]
    assert len(names) == len(set(names))
