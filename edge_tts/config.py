"""The configuration: one TOML file, overridden by EDGE_TTS_* variables, overridden by flags."""

from __future__ import annotations

import difflib
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from edge_tts.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_PATH = Path("/etc/edge-tts/config.toml")
PREFIX = "EDGE_TTS_"
BAUD_RATES = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _host_name() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().split(".")[0]) or "board"


class DeviceTable(_Table):
    """[device]"""

    id: str = Field(default_factory=_host_name, pattern=r"^[A-Za-z0-9_-]+$", max_length=64)
    """Names this board in its topics `tts/<id>/…`."""


class TlsTable(_Table):
    """[mqtt.tls]"""

    ca: Path | None = None
    """The authority's certificate; without it the system's are used."""
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    """Accept any certificate; only to find out why a connection fails."""


class MqttTable(_Table):
    """[mqtt]"""

    enabled: bool = True
    host: str = "localhost"
    port: int = Field(1883, ge=1, le=65535)
    username: str | None = None
    password_file: Path | None = None
    """A file that holds the password, or the name of a systemd credential."""
    tls: TlsTable | None = None
    base_topic: str = Field("tts", pattern=r"^[^#+\s]+$")

    @field_validator("tls", mode="before")
    @classmethod
    def _tls_true(cls, value: object) -> object:
        return {True: {}, False: None}[value] if isinstance(value, bool) else value


class SerialTable(_Table):
    """One [[serial]]"""

    port: str
    baud: int = 115200
    dialect: Literal["native"] = "native"

    @field_validator("baud")
    @classmethod
    def _known_baud(cls, value: int) -> int:
        if value not in BAUD_RATES:
            raise ValueError(f"use one of {', '.join(map(str, BAUD_RATES))}")
        return value


class VoiceTable(_Table):
    """[voice]"""

    default: str = "en_US-kathleen-student"
    directory: Path | None = None
    precision: Literal["auto", "int8", "fp16", "fp32"] = "auto"
    threads: int = Field(1, ge=1, le=16)
    cache_mb: int = Field(16, ge=0, le=1024)
    """Memory for phrases that were spoken lately, in MB; 0 for none."""


class AudioTable(_Table):
    """[audio]"""

    device: str | int | None = None
    """A PortAudio device by index or part of its name; `wav:FOLDER` writes files instead. None: the default device."""
    volume: float = Field(1.0, ge=0.0, le=1.0)
    latency_ms: int = Field(40, ge=5, le=1000)
    keep_warm: bool = True
    """Keep the device open with silence, so that it never sleeps and swallows a first word."""


class StreamingTable(_Table):
    """[streaming]"""

    first_chunk_ms: int = Field(100, ge=20, le=2000)
    chunk_ms: int = Field(800, ge=20, le=5000)
    overlap_window: int = Field(512, ge=0, le=8192)
    """Samples over which chunks are cross-faded, for voice families whose chunks are not exact."""


class QueueTable(_Table):
    """[queue]"""

    size: int = Field(64, ge=1, le=4096)
    duplicate_window: float = Field(60.0, ge=0)
    """Seconds within which a request id that was seen already is not spoken again."""


class LogTable(_Table):
    """[log]"""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(False, alias="json")


class Config(_Table):
    """The whole file; every table may be left out."""

    device: DeviceTable = Field(default_factory=DeviceTable)
    mqtt: MqttTable = Field(default_factory=MqttTable)
    serial: tuple[SerialTable, ...] = ()
    voice: VoiceTable = Field(default_factory=VoiceTable)
    audio: AudioTable = Field(default_factory=AudioTable)
    streaming: StreamingTable = Field(default_factory=StreamingTable)
    queue: QueueTable = Field(default_factory=QueueTable)
    log: LogTable = Field(default_factory=LogTable)


def load_config(
    path: Path | None = None, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None
) -> Config:
    """Read the file (by default /etc/edge-tts/config.toml, if it is there), then apply variables and flags.

    `flags` maps dotted keys (`audio.device`) to values. Raises ConfigError naming the file, the key and its
    nearest neighbour.
    """
    tables: dict[str, Any] = {}
    origin = "the configuration"
    if path is None and DEFAULT_PATH.exists():
        path = DEFAULT_PATH
    if path is not None:
        origin = str(path)
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not valid TOML: {error}") from error
    for name, text in environ.items():
        if name.startswith(PREFIX):
            _put(tables, _variable_key(name), text, name)
    for key, value in (flags or {}).items():
        _put(tables, key.split("."), value, key)
    try:
        return Config.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(error)}") from error


def dotted_keys(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Every key of the schema, dotted: `mqtt.host`."""
    keys = []
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        inner = _model_of(field.annotation)
        keys += [key, *dotted_keys(inner, key + ".")] if inner else [key]
    return keys


def _model_of(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)), None)


def _variable_key(name: str) -> list[str]:
    # EDGE_TTS_AUDIO_LATENCY_MS is audio.latency_ms: only a known key tells which underscore is the dot.
    wanted = name.removeprefix(PREFIX).lower()
    known = {key.replace(".", "_"): key for key in dotted_keys() if not key.startswith("serial")}
    if wanted not in known:
        nearest = difflib.get_close_matches(wanted, known, n=1)
        hint = f"; did you mean {PREFIX}{nearest[0].upper()}?" if nearest else ""
        raise ConfigError(f"environment variable {name}: there is no such key{hint}")
    return known[wanted].split(".")


def _put(tables: dict[str, Any], steps: list[str], value: Any, origin: str) -> None:
    *parents, last = steps
    for step in parents:
        tables = tables.setdefault(step, {})
        if not isinstance(tables, dict):
            raise ConfigError(f"{origin}: {step} is not a table")
    if last == "device" and isinstance(value, str) and value.isdigit():
        value = int(value)
    tables[last] = value


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        key = ".".join(str(step) for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            plain = re.sub(r"\.\d+\.", ".", key)
            nearest = difflib.get_close_matches(plain, dotted_keys(), n=1)
            message = "unknown key" + (f"; did you mean {nearest[0]}?" if nearest else "")
        lines.append(f"{key}: {message}")
    return "; ".join(lines)
