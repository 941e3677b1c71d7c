"""Requests from MQTT topics; events, state and measurements published in return."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from paho.mqtt.client import MQTTMessage

from edge_tts.errors import BadRequest, EdgeTtsError, QueueFull
from edge_tts.events import Cancelled, Event, Failed, Finished, State, VisemeShown, WordSpoken
from edge_tts.request import MAX_PAYLOAD, Priority, decode, make_change, parse_payload
from edge_tts.sources.base import RequestHandler
from edge_tts.sources.mqtt_client import MqttOptions, TlsOptions
from edge_tts.sources.mqtt_connection import MqttConnection, Outgoing

__all__ = ["MqttOptions", "MqttSource", "TlsOptions"]

log = logging.getLogger(__name__)

MAX_REPLIES = 5000
"""Requests with a response topic whose end has not come yet; more than a queue can be configured to hold."""


class MqttSource:
    """`tts/say` and its neighbours as a request source."""

    name = "mqtt"

    def __init__(self, options: MqttOptions, device_id: str, handler: RequestHandler) -> None:
        base = options.base_topic
        own = f"{base}/{device_id}"
        self._handler = handler
        self._event_topic = f"{own}/event"
        self._state_topic = f"{own}/state"
        self._metrics_topic = f"{own}/metrics"
        self._actions = {
            f"{base}/say": self._say,
            f"{own}/say": self._say,
            f"{base}/stop": self._stop,
            f"{own}/stop": self._stop,
            f"{own}/set": self._set,
        }
        self._lock = threading.Lock()
        self._replies: dict[str, tuple[str, bytes | None]] = {}
        self._left_out = 0
        self._connection = MqttConnection(
            options,
            client_id=f"edge-tts-{device_id}",
            status_topic=f"{own}/availability",
            subscriptions=list(self._actions),
            on_message=self._received,
            on_connected=lambda: self.report(handler.state()),
        )

    def start(self) -> None:
        """Begin to connect, in the background; a broker that is absent is tried for ever."""
        self._connection.start()

    def stop(self) -> None:
        """Send what is waiting, say `stopped` and leave."""
        self._connection.stop()

    def publish(self, event: Event) -> None:
        """Publish an event, also on the response topic that came with its request.

        While the broker is away the latest 100 messages are kept; words and visemes, worthless later, are not.
        """
        with self._lock:
            reply = self._replies.get(event.id)
            if isinstance(event, (Finished, Cancelled, Failed)):
                self._replies.pop(event.id, None)
        self._publish(event, reply)

    def report(self, state: State) -> None:
        """Publish the state, retained."""
        self._connection.keep(self._state_topic, state.to_json())

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Publish counters and timings, if the broker is there."""
        self._tell_left_out()
        self._connection.send(Outgoing(self._metrics_topic, json.dumps(dict(numbers)), qos=0))

    def _publish(self, event: Event, reply: tuple[str, bytes | None] | None) -> None:
        qos = 0 if isinstance(event, (WordSpoken, VisemeShown)) else 1
        self._connection.send(Outgoing(self._event_topic, event.to_json(), qos))
        if reply is not None:
            topic, correlation = reply
            self._connection.send(Outgoing(topic, event.to_json(), qos, correlation=correlation))

    def _received(self, message: MQTTMessage) -> None:
        # A retained message is old news that a broker repeats at every connection: it would be spoken again, cut off
        # speech it was not meant for, or undo a setting made since. One that is new arrives without the flag.
        if message.retain:
            log.info("a retained message on %s was ignored", message.topic)
            return
        try:
            self._actions[message.topic](message)
        except EdgeTtsError as error:
            log.info("message on %s refused: %s", message.topic, error)
            request_id = _id_in(bytes(message.payload))
            self._publish(Failed(request_id, self.name, code=error.code, message=str(error)), _reply_to(message))

    def _say(self, message: MQTTMessage) -> None:
        request = parse_payload(bytes(message.payload), source=self.name)
        if self._connection.behind and request.priority < Priority.ALARM:
            self._leave_out()
            return
        self._tell_left_out()
        expiry = getattr(message.properties, "MessageExpiryInterval", None)
        if expiry is not None:
            # The broker counts the interval down before it delivers, so what arrives is what is left.
            ttl = expiry if request.ttl is None else min(request.ttl, expiry)
            request = request.model_copy(update={"ttl": float(ttl)})
        reply = _reply_to(message)
        if reply is not None:
            with self._lock:
                self._replies[request.id] = reply
                if len(self._replies) > MAX_REPLIES:
                    del self._replies[next(iter(self._replies))]
        self._handler.submit(request)

    def _leave_out(self) -> None:
        """Count a request of a flood, whose events would push out those of requests that were accepted."""
        with self._lock:
            self._left_out += 1
            if self._left_out == 1:
                log.warning("requests come faster than they can be answered; only alarms are taken meanwhile")

    def _tell_left_out(self) -> None:
        if not self._left_out or self._connection.behind:
            return
        with self._lock:
            count, self._left_out = self._left_out, 0
        if count:
            error = QueueFull(f"{count} requests were left out: they came faster than they could be answered")
            log.warning("%s", error)
            self._publish(Failed("", self.name, code=error.code, message=str(error)), None)

    def _stop(self, message: MQTTMessage) -> None:
        text = decode(bytes(message.payload)).strip()
        if text.startswith("{"):
            fields = _json_object(text)
            request_id = fields.pop("id", None)
            if fields:
                raise BadRequest(f"{next(iter(fields))}: unknown field")
            if request_id is not None and not isinstance(request_id, str):
                raise BadRequest("id: Input should be a valid string")
        else:
            request_id = text or None
        self._handler.stop(request_id)

    def _set(self, message: MQTTMessage) -> None:
        self._handler.apply(make_change(_json_object(decode(bytes(message.payload)))))


def _json_object(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest('not a JSON object; send for example {"volume": 0.5}')
    return fields


def _id_in(payload: bytes) -> str:
    """The id of a request that is wrong in other ways, or nothing."""
    if len(payload) <= MAX_PAYLOAD:
        with contextlib.suppress(ValueError, RecursionError):
            fields = json.loads(payload)
            if isinstance(fields, dict) and isinstance(fields.get("id"), str):
                return str(fields["id"])[:128]
    return ""


def _reply_to(message: MQTTMessage) -> tuple[str, bytes | None] | None:
    topic = getattr(message.properties, "ResponseTopic", None)
    return (topic, getattr(message.properties, "CorrelationData", None)) if topic else None
