"""One lasting connection to an MQTT broker: it comes back for ever and keeps what could not be sent yet."""

from __future__ import annotations

import logging
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_tts.sources.backoff import Backoff
from edge_tts.sources.mqtt_client import MqttOptions, acknowledge_at_once, connect, new_client, new_properties
from edge_tts.sources.wakeup import Wakeup

log = logging.getLogger(__name__)

V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between attempts to connect."""
STABLE_AFTER = 5.0
"""Seconds after which a connection counts as good and the pauses begin small again."""
LONGEST_SLEEP = 5.0
"""Seconds between looks at the keep-alive when nothing happens."""
FAREWELL_TIMEOUT = 2.0
JOIN_TIMEOUT = 5.0
MAX_KEPT = 100
"""Messages kept while the broker is away; the oldest is dropped first."""
MAX_WAITING = 16_000
"""Messages that may wait for a broker that is there but slow: all that a daemon may still have to tell when BEHIND."""
BEHIND, CAUGHT_UP = 2000, 200
"""Messages waiting for a broker that is there at which it gives us more than it takes, and at which no longer."""
WINDOW = 20
"""Messages on their way to the broker and not yet acknowledged."""
REMEMBERED = 256
"""Messages handed over of which a second delivery is recognised."""


@dataclass(frozen=True)
class Outgoing:
    """A message to publish. With `qos` 0 it is lost while the broker is away."""

    topic: str
    payload: str
    qos: int = 1
    retain: bool = False
    correlation: bytes | None = None
    """Goes along as MQTT 5 correlation data."""


class MqttConnection:
    """Subscribes, announces itself on `status_topic` (online, stopped; offline as its will) and carries messages.

    All of paho is used from one thread, so `send` and `keep` never wait for the network.
    """

    def __init__(
        self,
        options: MqttOptions,
        client_id: str,
        status_topic: str,
        subscriptions: Sequence[str],
        on_message: Callable[[MQTTMessage], None],
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_message` gets each new message, which is acknowledged when it returns; both run in the thread `mqtt`."""
        self._options = options
        self._client_id = client_id
        self._status_topic = status_topic
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_connected = on_connected
        self._lock = threading.Lock()
        self._waiting: deque[Outgoing] = deque()
        self._kept: dict[str, Outgoing] = {}
        self._lost = 0
        self._behind = False
        self._in_flight: dict[int, Outgoing] = {}
        self._handed_over: dict[int, int] = {}
        self._version = V5
        self._version_settled = False
        self._connected_at: float | None = None
        self._complaint = ""
        self._farewell_said = False
        self._leave_by = float("inf")
        self._stopping = threading.Event()
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether the broker has let us in."""
        return self._connected_at is not None

    @property
    def behind(self) -> bool:
        """Whether messages come faster than the answers to them leave."""
        self._behind = self.connected and len(self._waiting) > (CAUGHT_UP if self._behind else BEHIND)
        return self._behind

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._thread.start()

    def send(self, message: Outgoing) -> None:
        """Publish a message, after the next connection if there is none now."""
        with self._lock:
            if message.qos or self.connected:
                self._waiting.append(message)
                self._bound()
        self._wakeup.ring()

    def keep(self, topic: str, payload: str) -> None:
        """Publish a retained message; a later one for the same topic replaces it if it has not left yet."""
        with self._lock:
            self._kept[topic] = Outgoing(topic, payload, retain=True)
        self._wakeup.ring()

    def stop(self) -> None:
        """Send what is waiting, say `stopped` and leave."""
        self._leave_by = time.monotonic() + FAREWELL_TIMEOUT
        self._stopping.set()
        self._wakeup.ring()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)
            if self._thread.is_alive():
                log.warning("the connection to the MQTT broker did not end within %.0f s", JOIN_TIMEOUT)
                return
        self._wakeup.close()

    def _bound(self) -> None:
        while len(self._waiting) > (MAX_WAITING if self.connected else MAX_KEPT):
            self._waiting.popleft()
            self._lost += 1

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._stopping.is_set():
            try:
                self._serve(self._connect())
            except (OSError, ValueError) as error:
                self._complain(str(error))
            except Exception:
                log.exception("the connection to the MQTT broker failed; it will be made again")
            if self._connected_at is not None and time.monotonic() - self._connected_at > STABLE_AFTER:
                backoff.reset()
            self._take_back()
            backoff.wait(self._stopping)

    def _complain(self, reason: str) -> None:
        # The same news once a minute for ever would bury everything else in the log.
        level = logging.DEBUG if reason == self._complaint else logging.WARNING
        self._complaint = reason
        log.log(level, "MQTT broker %s:%d: %s; retrying", self._options.host, self._options.port, reason)

    def _connect(self) -> Client:
        client = new_client(self._options, self._client_id, self._version)
        client.will_set(self._status_topic, "offline", qos=1, retain=True)
        client.on_connect = self._answered
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._received
        connect(client, self._options)
        return client

    def _serve(self, client: Client) -> None:
        """Carry messages both ways until the connection ends."""
        while time.monotonic() < self._leave_by + 1:
            sock: Any = client.socket()
            if sock is None:
                return
            # Bytes that TLS has decrypted already do not make the socket readable.
            pending = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
            writing = [sock] if client.want_write() else []
            wait = min(LONGEST_SLEEP, max(0.05, self._leave_by - time.monotonic()))
            readable, _, _ = select.select([sock, self._wakeup], writing, [], 0 if pending else wait)
            if self._wakeup in readable:
                self._wakeup.clear()
            if pending or sock in readable:
                acknowledge_at_once(sock)
                client.loop_read()
            if self.connected:
                self._flush(client)
            if self._stopping.is_set():
                self._part(client)
            if client.want_write():
                client.loop_write()
            client.loop_misc()

    def _flush(self, client: Client) -> None:
        while len(self._in_flight) < WINDOW:
            with self._lock:
                if self._waiting:
                    message = self._waiting.popleft()
                elif self._kept:
                    message = self._kept.pop(next(iter(self._kept)))
                else:
                    return
            self._publish(client, message)

    def _publish(self, client: Client, message: Outgoing) -> None:
        properties = None
        if message.correlation is not None and self._version == V5:
            properties = new_properties(PacketTypes.PUBLISH)
            properties.CorrelationData = message.correlation
        try:
            info = client.publish(
                message.topic, message.payload.encode(errors="replace"), message.qos, message.retain, properties
            )
        except ValueError as error:
            log.warning("nothing can be published on %s: %s", message.topic, error)
            return
        if message.qos:
            self._in_flight[info.mid] = message

    def _part(self, client: Client) -> None:
        """Take the next step of leaving: empty the queue, say so, wait for the acknowledgement, disconnect."""
        idle = not self._waiting and not self._kept and not self._in_flight
        if idle and self.connected and not self._farewell_said:
            self._publish(client, Outgoing(self._status_topic, "stopped", retain=True))
            self._farewell_said = True
        elif idle or not self.connected or time.monotonic() > self._leave_by:
            properties = None
            if self._version == V5:
                # Who has left on purpose wants nothing held back.
                properties = new_properties(PacketTypes.DISCONNECT)
                properties.SessionExpiryInterval = 0
            client.disconnect(properties=properties)

    def _take_back(self) -> None:
        """Put what was not acknowledged back in front, to be sent after the next connection."""
        self._connected_at = None
        with self._lock:
            self._waiting.extendleft(reversed([m for m in self._in_flight.values() if not m.retain]))
            self._bound()
        self._in_flight.clear()

    # What paho calls.

    def _answered(self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, __: Any) -> None:
        self._version_settled = True
        if reason.is_failure:
            if reason == "Unsupported protocol version" and self._version == V5:
                log.info("the MQTT broker does not speak MQTT 5; using 3.1.1")
                self._version = V311
            else:
                entry = reason in ("Not authorized", "Bad user name or password", "Banned")
                self._complain(f"refused: {reason}{' (check username and password_file in [mqtt])' if entry else ''}")
            return
        if not flags.session_present:
            self._handed_over.clear()
        if self._version == V5:
            # Our own events on a response topic must not come back as requests, nor old retained messages at all.
            options = SubscribeOptions(qos=1, noLocal=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            client.subscribe([(topic, options) for topic in self._subscriptions])
        else:
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._publish(client, Outgoing(self._status_topic, "online", retain=True))
        self._connected_at = time.monotonic()
        self._complaint = ""
        log.info("connected to the MQTT broker %s:%d", self._options.host, self._options.port)
        if self._lost:
            log.warning("%d messages were dropped while the MQTT broker was away", self._lost)
            self._lost = 0
        self._on_connected()

    def _disconnected(self, _: Client, __: Any, ___: DisconnectFlags, reason: ReasonCode, ____: Any) -> None:
        if self._stopping.is_set():
            return
        if self._connected_at is not None:
            lived = time.monotonic() - self._connected_at
            taken_over = reason == "Session taken over" or lived < STABLE_AFTER
            advice = f" (is another board or program called {self._client_id}?)" if taken_over else ""
            self._complain(f"connection lost: {reason}{advice}")
        elif not self._version_settled:
            # Some brokers hang up on a version they do not know; a version that has worked once is kept.
            self._version = V311 if self._version == V5 else V5
            self._complain("closed the connection without an answer")

    def _subscribed(self, _: Client, __: Any, ___: int, reasons: Sequence[ReasonCode], ____: Any) -> None:
        for topic, reason in zip(self._subscriptions, reasons, strict=False):
            if reason.is_failure:
                log.error("the MQTT broker does not let us subscribe to %s: %s", topic, reason)

    def _published(self, _: Client, __: Any, mid: int, reason: ReasonCode, ___: Any) -> None:
        message = self._in_flight.pop(mid, None)
        if message is not None and reason.is_failure:
            log.warning("the MQTT broker refused a message on %s: %s", message.topic, reason)

    def _received(self, client: Client, _: Any, message: MQTTMessage) -> None:
        if message.qos and self._is_redelivery(message):
            log.debug("a message on %s was delivered again", message.topic)
        else:
            try:
                self._on_message(message)
            except Exception:
                log.exception("a message on %s could not be handled", message.topic)
        client.ack(message.mid, message.qos)

    def _is_redelivery(self, message: MQTTMessage) -> bool:
        # The same packet id with the same content: the acknowledgement of the first delivery was lost on its way.
        fingerprint = hash((message.topic, bytes(message.payload)))
        if message.dup and self._handed_over.get(message.mid) == fingerprint:
            return True
        self._handed_over.pop(message.mid, None)
        self._handed_over[message.mid] = fingerprint
        if len(self._handed_over) > REMEMBERED:
            del self._handed_over[next(iter(self._handed_over))]
        return False
