"""Where an MQTT broker is, and a paho client ready to talk to it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_tts.systemd import credential

KEEPALIVE = 30
CONNECT_TIMEOUT = 4.0
SESSION_EXPIRY = 60
"""Seconds for which an MQTT 5 broker holds requests back while the connection is gone; later they are old news."""
MAX_PACKET = 16 * 1024 * 1024
"""Bytes that are taken into memory, if only to refuse them; an MQTT 5 broker holds larger messages back."""


@dataclass(frozen=True)
class TlsOptions:
    """How to know the broker, and be known to it. Files in PEM format."""

    ca: Path | None = None
    """The authority's certificate; without it the system's are used."""
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False
    """Encrypt, but do not ask who is at the other end."""


@dataclass(frozen=True)
class MqttOptions:
    """Where the broker is and how to enter."""

    host: str = "localhost"
    port: int = 1883
    username: str | None = None
    password_file: Path | None = None
    """A file that holds the password, or the name of a systemd credential. Read at each attempt to connect."""
    tls: TlsOptions | None = None
    base_topic: str = "tts"


def new_client(options: MqttOptions, client_id: str, version: MQTTProtocolVersion) -> Client:
    """Make a client with the credentials and certificates as they are now. Raises OSError naming the file."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id,
        clean_session=None if version == MQTTProtocolVersion.MQTTv5 else True,
        protocol=version,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = CONNECT_TIMEOUT
    client.on_socket_open = _send_at_once
    if options.username is not None:
        client.username_pw_set(options.username, _password(options.password_file))
    if options.tls is not None:
        _use_tls(client, options.tls)
    return client


def connect(client: Client, options: MqttOptions) -> None:
    """Open the connection and send CONNECT, blocking for some seconds at most. Raises OSError."""
    if client.protocol == MQTTProtocolVersion.MQTTv5:
        properties = new_properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY
        properties.MaximumPacketSize = MAX_PACKET
        client.connect(options.host, options.port, KEEPALIVE, clean_start=False, properties=properties)
    else:
        client.connect(options.host, options.port, KEEPALIVE)


def new_properties(packet_type: int) -> Properties:
    """Empty MQTT 5 properties for one of paho's PacketTypes."""
    return Properties(packet_type)  # type: ignore[no-untyped-call]


def _send_at_once(client: Client, _: object, sock: Any) -> None:
    # Otherwise TCP holds an event back until the one before it is acknowledged, which takes 40 ms.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def acknowledge_at_once(sock: socket.socket) -> None:
    """Have the kernel acknowledge what comes next; it forgets this, so it is asked for again at each read."""
    # A broker that does not set TCP_NODELAY holds a request back until then, up to 40 ms.
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    secret = credential(str(file))
    if secret is not None:
        return secret
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise OSError(f"the password file {file} cannot be read: {error.strerror}") from error


def _use_tls(client: Client, tls: TlsOptions) -> None:
    for file in (tls.ca, tls.cert, tls.key):
        if file is not None and not file.is_file():
            raise OSError(f"the certificate file {file} does not exist")
    client.tls_set(
        ca_certs=str(tls.ca) if tls.ca else None,
        certfile=str(tls.cert) if tls.cert else None,
        keyfile=str(tls.key) if tls.key else None,
        cert_reqs=ssl.CERT_NONE if tls.insecure else ssl.CERT_REQUIRED,
    )
