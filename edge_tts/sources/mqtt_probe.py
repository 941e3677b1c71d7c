"""Whether an MQTT broker would let us in."""

from __future__ import annotations

import os
import socket
import ssl
import time
from typing import Any

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge_tts.sources.mqtt_client import MqttOptions, new_client

TCP_TIMEOUT = 1.0
ANSWER_TIMEOUT = 3.0


def problem_with(options: MqttOptions) -> str:
    """Connect as the daemon does, under another client id, and leave. Returns what went wrong, empty if nothing did."""
    try:
        with socket.create_connection((options.host, options.port), timeout=TCP_TIMEOUT):
            pass
        answer = _answer(options, MQTTProtocolVersion.MQTTv5)
        if answer is None or answer == "Unsupported protocol version":
            answer = _answer(options, MQTTProtocolVersion.MQTTv311)
    except OSError as error:
        # A broker without TLS hangs up on the handshake.
        handshake = options.tls is not None and isinstance(error, (ssl.SSLError, ConnectionResetError))
        return f"TLS: {error}" if handshake else str(error)
    if answer is None:
        return f"something listens but does not answer as an MQTT broker within {ANSWER_TIMEOUT:.0f} s"
    return f"refused: {answer}" if answer.is_failure else ""


def _answer(options: MqttOptions, version: MQTTProtocolVersion) -> ReasonCode | None:
    """The reason code of CONNACK, None when there was none. Raises OSError."""
    answers: list[ReasonCode] = []

    def answered(client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, __: Any) -> None:
        answers.append(reason)

    client = new_client(options, f"edge-tts-doctor-{os.getpid()}", version)
    client.on_connect = answered
    client.connect(options.host, options.port)
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while not answers and time.monotonic() < deadline and client.loop(timeout=0.1) == MQTTErrorCode.MQTT_ERR_SUCCESS:
        pass
    client.disconnect()
    return answers[0] if answers else None
