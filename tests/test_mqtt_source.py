from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes

from edge_tts.errors import UnknownVoice
from edge_tts.events import Accepted, Finished, Started, WordSpoken
from edge_tts.request import MAX_PAYLOAD, MAX_TEXT, Priority, SettingsChange
from edge_tts.sources import mqtt_connection
from edge_tts.sources.mqtt import MqttOptions, MqttSource, TlsOptions
from edge_tts.sources.mqtt_client import new_client, new_properties
from edge_tts.sources.mqtt_connection import MAX_KEPT, V5, MqttConnection, Outgoing
from tests.fake_broker import CONNACK, CONNECT, DISCONNECT, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, Connection, FakeBroker
from tests.fake_handler import FakeHandler
from tests.fakes import poll_until


class Recorder(MqttConnection):
    """A connection that keeps what it is to send."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sent: list[Outgoing] = []

    def send(self, message: Outgoing) -> None:
        self.sent.append(message)

    def keep(self, topic: str, payload: str) -> None:
        self.sent.append(Outgoing(topic, payload, retain=True))


@pytest.fixture
def handler() -> FakeHandler:
    return FakeHandler()


@pytest.fixture
def source(handler: FakeHandler, monkeypatch: pytest.MonkeyPatch) -> MqttSource:
    monkeypatch.setattr("edge_tts.sources.mqtt.MqttConnection", Recorder)
    source = MqttSource(MqttOptions(), "board", handler)
    handler.source = source
    return source


def deliver(source: MqttSource, topic: str, payload: bytes, retain: bool = False, **properties: object) -> None:
    message = MQTTMessage(topic=topic.encode())
    message.payload = payload
    message.retain = retain
    if properties:
        message.properties = new_properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(message.properties, name, value)
    source._received(message)


def sent(source: MqttSource, topic: str = "tts/board/event") -> list[dict[str, Any]]:
    connection = source._connection
    assert isinstance(connection, Recorder)
    return [json.loads(message.payload) for message in connection.sent if message.topic == topic]


def test_a_flood_that_outruns_the_answers_is_left_out_but_for_alarms_and_counted(
    source: MqttSource, handler: FakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "behind", True)
    for _ in range(3):
        deliver(source, "tts/say", b"flood")
    deliver(source, "tts/say", b'{"text": "fire", "priority": "alarm"}')
    deliver(source, "tts/stop", b"")
    assert handler.texts == ["fire"]
    assert handler.stops == [None]
    monkeypatch.setattr(Recorder, "behind", False)
    deliver(source, "tts/say", b"calm")
    assert handler.texts == ["fire", "calm"]
    (failed,) = [event for event in sent(source) if event["event"] == "failed"]
    assert (failed["id"], failed["code"]) == ("", "queue_full")
    assert failed["message"].startswith("3 requests were left out")


@pytest.mark.parametrize("topic", ["tts/say", "tts/board/say"])
def test_plain_text_is_a_request(source: MqttSource, handler: FakeHandler, topic: str) -> None:
    deliver(source, topic, "Grüße\n".encode())
    (request,) = handler.requests
    assert (request.text, request.source) == ("Grüße\n", "mqtt")
    assert [event["event"] for event in sent(source)] == ["accepted", "started", "finished"]
    assert {event["id"] for event in sent(source)} == {request.id}


def test_json_carries_the_fields(source: MqttSource, handler: FakeHandler) -> None:
    deliver(source, "tts/say", b'{"text": "hi", "id": "7", "priority": "alarm", "ttl": 5, "rate": 1.5}')
    (request,) = handler.requests
    assert (request.id, request.priority, request.ttl, request.rate) == ("7", Priority.ALARM, 5, 1.5)


@pytest.mark.parametrize(
    ("payload", "code", "request_id"),
    [
        (b"", "nothing_to_say", ""),
        (b" \n", "nothing_to_say", ""),
        (b"\xff\xfe", "invalid_utf8", ""),
        (b'{"text": "hi"', "bad_request", ""),
        (b'{"id": "7"}', "bad_request", "7"),
        (b'{"id": "7", "text": 5}', "bad_request", "7"),
        (b'{"id": "7", "text": "hi", "speed": 2}', "bad_request", "7"),
        (b'{"id": "7", "text": "hi", "source": "x"}', "bad_request", "7"),
        (b'{"id": "7", "text": "hi", "rate": NaN}', "bad_request", "7"),
        (b'{"id": "7", "text": "\\ud800"}', "invalid_utf8", "7"),
        (b'{"id": 7, "text": "hi"}', "bad_request", ""),
        (b'{"text": "hi", "rate": ' + b"9" * 5000 + b"}", "bad_request", ""),
        (b"{" * 20_000, "bad_request", ""),
        (b'{"a":' * 5000, "bad_request", ""),
        (b"x" * (MAX_TEXT + 1), "text_too_long", ""),
        (b"x" * (MAX_PAYLOAD + 1), "text_too_long", ""),
        (b"x" * 10_000_000, "text_too_long", ""),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else value,
)
def test_what_cannot_be_spoken_is_answered(
    source: MqttSource, handler: FakeHandler, payload: bytes, code: str, request_id: str
) -> None:
    deliver(source, "tts/say", payload)
    assert handler.requests == []
    (event,) = sent(source)
    assert (event["event"], event["id"], event["code"]) == ("failed", request_id, code)
    assert event["message"]


@pytest.mark.parametrize("topic", ["tts/say", "tts/board/stop", "tts/board/set"])
def test_retained_messages_are_ignored(source: MqttSource, handler: FakeHandler, topic: str) -> None:
    deliver(source, topic, b'{"text": "old"}', retain=True)
    assert (handler.requests, handler.stops, handler.changes) == ([], [], [])


@pytest.mark.parametrize("topic", ["tts/stop", "tts/board/stop"])
@pytest.mark.parametrize(
    ("payload", "request_id"),
    [(b"", None), (b" ", None), (b"7", "7"), (b'{"id": "7"}', "7"), (b"{}", None), (b'{"id": null}', None)],
)
def test_stop(source: MqttSource, handler: FakeHandler, topic: str, payload: bytes, request_id: str | None) -> None:
    deliver(source, topic, payload)
    assert handler.stops == [request_id]


@pytest.mark.parametrize("payload", [b'{"id": 7}', b'{"text": "x"}', b"{", b"\xff"])
def test_a_stop_that_makes_no_sense_is_answered(source: MqttSource, handler: FakeHandler, payload: bytes) -> None:
    deliver(source, "tts/stop", payload)
    assert handler.stops == []
    assert [event["event"] for event in sent(source)] == ["failed"]


def test_set_changes_settings(source: MqttSource, handler: FakeHandler) -> None:
    deliver(source, "tts/board/set", b'{"volume": 0.5, "rate": 1.2}')
    assert handler.changes == [SettingsChange(volume=0.5, rate=1.2)]


@pytest.mark.parametrize("payload", [b"0.5", b"[1]", b'{"volume": 2}', b'{"loudness": 1}', b"loud", b""])
def test_a_setting_that_does_not_fit_is_answered(source: MqttSource, handler: FakeHandler, payload: bytes) -> None:
    deliver(source, "tts/board/set", payload)
    assert handler.changes == []
    assert [event["code"] for event in sent(source)] == ["bad_request"]


def test_a_setting_that_the_daemon_refuses_is_answered(source: MqttSource, handler: FakeHandler) -> None:
    handler.refusal = UnknownVoice("no voice is called x")
    deliver(source, "tts/board/set", b'{"voice": "x"}')
    assert [event["code"] for event in sent(source)] == ["unknown_voice"]


@pytest.mark.parametrize(
    ("payload", "ttl"), [(b"hi", 9.0), (b'{"text": "hi", "ttl": 5}', 5.0), (b'{"text": "hi", "ttl": 50}', 9.0)]
)
def test_message_expiry_limits_the_time_to_live(
    source: MqttSource, handler: FakeHandler, payload: bytes, ttl: float
) -> None:
    deliver(source, "tts/say", payload, MessageExpiryInterval=9)
    assert handler.requests[0].ttl == ttl


def test_events_also_go_to_the_response_topic_until_the_request_has_ended(
    source: MqttSource, handler: FakeHandler
) -> None:
    deliver(source, "tts/say", b'{"text": "hi", "id": "7"}', ResponseTopic="my/reply", CorrelationData=b"abc")
    assert [event["event"] for event in sent(source, "my/reply")] == ["accepted", "started", "finished"]
    connection = source._connection
    assert isinstance(connection, Recorder)
    assert {m.correlation for m in connection.sent if m.topic == "my/reply"} == {b"abc"}
    source.publish(Started("7", "mqtt"))
    assert len(sent(source, "my/reply")) == 3


def test_a_refusal_goes_to_the_response_topic_too(source: MqttSource) -> None:
    deliver(source, "tts/say", b"", ResponseTopic="my/reply")
    assert [event["code"] for event in sent(source, "my/reply")] == ["nothing_to_say"]


def test_requests_that_never_end_take_no_memory(
    source: MqttSource, handler: FakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_tts.sources.mqtt.MAX_REPLIES", 10)
    handler.speaks = False
    for number in range(20):
        deliver(source, "tts/say", b'{"text": "hi", "id": "%d"}' % number, ResponseTopic="my/reply")
    assert list(source._replies) == [str(number) for number in range(10, 20)]


def test_words_are_sent_only_once_at_most(source: MqttSource) -> None:
    source.publish(WordSpoken("7", "mqtt", word="hi"))
    connection = source._connection
    assert isinstance(connection, Recorder)
    assert [message.qos for message in connection.sent] == [0]


def test_measurements_go_to_their_topic(source: MqttSource) -> None:
    source.measure({"underruns": 2, "first_audio_ms": 41.5})
    assert sent(source, "tts/board/metrics") == [{"underruns": 2, "first_audio_ms": 41.5}]


# The connection, against a scripted broker.


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_connection, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(mqtt_connection, "FAREWELL_TIMEOUT", 0.1)


@pytest.fixture
def started() -> Iterator[list[MqttSource]]:
    sources: list[MqttSource] = []
    yield sources
    for source in sources:
        source.stop()


def start(port: int, handler: FakeHandler, started: list[MqttSource], **options: Any) -> MqttSource:
    source = MqttSource(MqttOptions(host="127.0.0.1", port=port, **options), "board", handler)
    handler.source = source
    source.start()
    started.append(source)
    return source


def serve_until_gone(connection: Connection) -> None:
    while True:
        connection.read()


@pytest.mark.parametrize("refusal", [bytes([0, 1]), bytes([0, 0x84, 0]), None], ids=["rc1", "reason 132", "hangs up"])
def test_a_broker_that_refuses_mqtt_5_is_spoken_to_in_3_1_1(
    refusal: bytes | None, handler: FakeHandler, started: list[MqttSource]
) -> None:
    versions: list[int] = []
    subscribed = threading.Event()

    def script(number: int, connection: Connection) -> None:
        packet = connection.read()
        versions.append(packet.version)
        if packet.version == 5:
            if refusal is not None:
                connection.send(CONNACK, refusal)
            return
        connection.send(CONNACK, bytes([0, 0]))
        connection.read_until(SUBSCRIBE)
        subscribed.set()
        serve_until_gone(connection)

    with FakeBroker(script) as broker:
        start(broker.port, handler, started)
        assert subscribed.wait(10)
        started.pop().stop()
    assert versions == [5, 4]


def test_a_redelivery_is_acknowledged_but_not_spoken_again(handler: FakeHandler, started: list[MqttSource]) -> None:
    acknowledged = threading.Event()

    def script(number: int, connection: Connection) -> None:
        connection.accept(session_present=number == 1)
        connection.read_until(SUBSCRIBE)
        if number == 0:
            connection.publish("tts/say", b"plain text", packet_id=9)
            handler.wait_for_texts("plain text")
            return  # The connection is lost before the acknowledgement has arrived.
        connection.publish("tts/say", b"plain text", packet_id=9, dup=True)
        assert connection.read_until(PUBACK).body[:2] == b"\0\x09"
        connection.publish("tts/say", b"never seen", packet_id=10, dup=True)
        assert connection.read_until(PUBACK).body[:2] == b"\0\x0a"
        connection.publish("tts/say", b"never seen", packet_id=10)
        connection.read_until(PUBACK)
        acknowledged.set()
        serve_until_gone(connection)

    with FakeBroker(script) as broker:
        start(broker.port, handler, started)
        assert acknowledged.wait(10)
        started.pop().stop()
    # A packet id that comes again without the DUP flag belongs to a new message, even if it says the same.
    assert handler.texts == ["plain text", "never seen", "never seen"]


def test_the_same_packet_id_in_a_new_session_is_a_new_message(handler: FakeHandler, started: list[MqttSource]) -> None:
    done = threading.Event()

    def script(number: int, connection: Connection) -> None:
        connection.accept(session_present=False)
        connection.read_until(SUBSCRIBE)
        connection.publish("tts/say", b"hello", packet_id=1, dup=number == 1)
        connection.read_until(PUBACK)
        if number == 1:
            done.set()
            serve_until_gone(connection)

    with FakeBroker(script) as broker:
        start(broker.port, handler, started)
        assert done.wait(10)
        started.pop().stop()
    assert handler.texts == ["hello", "hello"]


def test_an_acknowledgement_follows_the_hand_over_and_a_failure_in_the_daemon_ends_nothing(
    handler: FakeHandler, started: list[MqttSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    done = threading.Event()

    def submit(request: object) -> None:
        order.append("handed over")
        raise RuntimeError("a bug in the daemon")

    monkeypatch.setattr(handler, "submit", submit)

    def script(number: int, connection: Connection) -> None:
        connection.accept()
        connection.read_until(SUBSCRIBE)
        for packet_id in (1, 2):
            connection.publish("tts/say", b"hello", packet_id)
            connection.read_until(PUBACK)
            order.append("acknowledged")
        done.set()
        serve_until_gone(connection)

    with FakeBroker(script) as broker:
        start(broker.port, handler, started)
        assert done.wait(10)
        started.pop().stop()
    assert order == ["handed over", "acknowledged"] * 2


def test_a_connection_that_does_not_last_names_the_likely_cause(
    handler: FakeHandler, started: list[MqttSource], caplog: pytest.LogCaptureFixture
) -> None:
    def script(number: int, connection: Connection) -> None:
        connection.accept()
        connection.read_until(SUBSCRIBE)
        connection.send(DISCONNECT, bytes([0x8E, 0]))

    with FakeBroker(script) as broker, caplog.at_level(logging.WARNING):
        start(broker.port, handler, started)
        poll_until(lambda: "(is another board or program called edge-tts-board?)" in caplog.text)
        started.pop().stop()


def test_a_subscription_that_is_refused_is_told(
    handler: FakeHandler, started: list[MqttSource], caplog: pytest.LogCaptureFixture
) -> None:
    def script(number: int, connection: Connection) -> None:
        connection.accept()
        packet = connection.read_until(SUBSCRIBE)
        connection.send(SUBACK, packet.body[:2] + b"\0" + bytes([1, 0x87, 1, 1, 1]))
        serve_until_gone(connection)

    with FakeBroker(script) as broker, caplog.at_level(logging.WARNING):
        start(broker.port, handler, started)
        poll_until(lambda: "does not let us subscribe to tts/board/say: Not authorized" in caplog.text)
        started.pop().stop()


def test_what_was_not_acknowledged_is_sent_again_before_what_came_later(
    handler: FakeHandler, started: list[MqttSource]
) -> None:
    got: list[list[bytes]] = [[], []]
    complete = threading.Event()

    def script(number: int, connection: Connection) -> None:
        connection.accept()
        while True:
            packet = connection.read_until(PUBLISH)
            if packet.topic == "tts/board/event":
                got[number].append(packet.body[packet.body.index(b"{") :])
                if number == 0 and len(got[0]) == 2:
                    source.publish(Finished("3", "mqtt"))
                    return
            if number == 1 and len(got[1]) == 3:
                complete.set()

    with FakeBroker(script) as broker:
        source = start(broker.port, handler, started)
        source.publish(Accepted("1", "mqtt"))
        source.publish(Started("2", "mqtt"))
        assert complete.wait(10)
        started.pop().stop()
    assert [json.loads(event)["id"] for event in got[1]] == ["1", "2", "3"]


def test_while_the_broker_is_away_the_latest_events_are_kept(
    handler: FakeHandler, started: list[MqttSource], caplog: pytest.LogCaptureFixture
) -> None:
    ids: list[str] = []
    last = threading.Event()

    def script(number: int, connection: Connection) -> None:
        version = connection.accept().version
        assert version == 5
        while True:
            packet = connection.read()
            if packet.kind == PUBLISH:
                body = packet.body[2 + len(packet.topic) :]
                connection.send(PUBACK, body[:2])
                if packet.topic == "tts/board/event":
                    ids.append(json.loads(body[3:])["id"])
                    if ids[-1] == "249":
                        last.set()

    source = MqttSource(MqttOptions(), "board", handler)
    for number in range(250):
        source.publish(Finished(str(number), "mqtt"))
        source.publish(WordSpoken(str(number), "mqtt"))
    with FakeBroker(script) as broker, caplog.at_level(logging.WARNING):
        source._connection._options = MqttOptions(host="127.0.0.1", port=broker.port)
        source.start()
        started.append(source)
        assert last.wait(10)
        started.pop().stop()
    assert ids == [str(number) for number in range(250 - MAX_KEPT, 250)]
    assert "150 messages were dropped" in caplog.text


def test_a_clean_stop_says_so_and_ends_the_session(
    handler: FakeHandler, started: list[MqttSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    packets: list[tuple[int, str, bytes]] = []
    subscribed = threading.Event()

    def script(number: int, connection: Connection) -> None:
        connect = connection.accept()
        assert b"offline" in connect.body
        while True:
            packet = connection.read()
            if packet.kind == SUBSCRIBE:
                subscribed.set()
            if packet.kind == PUBLISH:
                connection.send(PUBACK, packet.body[2 + len(packet.topic) :][:2])
            packets.append((packet.kind, packet.topic if packet.kind == PUBLISH else "", packet.body))

    with FakeBroker(script) as broker:
        source = start(broker.port, handler, started)
        assert subscribed.wait(10)
        monkeypatch.setattr(mqtt_connection, "FAREWELL_TIMEOUT", 10.0)
        source.publish(Finished("7", "mqtt"))
        source.stop()
    *_, event, farewell, leave = [packet for packet in packets if packet[1] != "tts/board/state"]
    assert event[1] == "tts/board/event"
    assert farewell[1] == "tts/board/availability"
    assert farewell[2].endswith(b"stopped")
    assert leave[0] == DISCONNECT
    assert leave[2] == b"\x00\x05\x11\x00\x00\x00\x00"


def test_stop_does_not_wait_long_for_a_broker_that_does_not_answer(handler: FakeHandler) -> None:
    subscribed = threading.Event()

    def script(number: int, connection: Connection) -> None:
        connection.accept()
        connection.read_until(SUBSCRIBE)
        subscribed.set()
        connection.read_until(DISCONNECT)

    with FakeBroker(script) as broker:
        source = start(broker.port, handler, [])
        assert subscribed.wait(10)
        source.stop()
        assert not [thread for thread in threading.enumerate() if thread.name == "mqtt"]


def test_a_wrong_password_is_reported_once_and_tried_again(
    handler: FakeHandler, started: list[MqttSource], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("wrong\n")
    let_in = threading.Event()

    def script(number: int, connection: Connection) -> None:
        packet = connection.read()
        assert packet.kind == CONNECT
        if packet.body.endswith(b"\x05right"):
            connection.send(CONNACK, bytes([0, 0, 0]))
            let_in.set()
            serve_until_gone(connection)
        connection.send(CONNACK, bytes([0, 0x86, 0]))

    with FakeBroker(script) as broker, caplog.at_level(logging.DEBUG):
        start(broker.port, handler, started, username="me", password_file=password)
        poll_until(lambda: caplog.text.count("refused: Bad user name or password") >= 3)
        password.write_text("right")
        assert let_in.wait(10)
        started.pop().stop()
    levels = [record.levelname for record in caplog.records if "refused" in record.getMessage()]
    assert levels[:3] == ["WARNING", "DEBUG", "DEBUG"]
    assert "check username and password_file" in caplog.text


@pytest.mark.parametrize(
    "options",
    [
        {"username": "me", "password_file": Path("/nowhere/password")},
        {"tls": TlsOptions(ca=Path("/nowhere/ca.pem"))},
        {"host": "no..such..host"},
    ],
    ids=["password", "certificate", "host"],
)
def test_what_is_missing_is_named_and_waited_for(
    options: dict[str, Any], handler: FakeHandler, caplog: pytest.LogCaptureFixture
) -> None:
    source = MqttSource(MqttOptions(**{"host": "127.0.0.1", "port": 1, **options}), "board", handler)
    with caplog.at_level(logging.DEBUG):
        source.start()
        poll_until(lambda: len(caplog.records) >= 2)
        source.stop()
    assert "retrying" in caplog.records[0].getMessage()
    assert not [record for record in caplog.records if record.exc_info]
    if "host" not in options:
        assert "/nowhere/" in caplog.records[0].getMessage()


def test_a_password_may_be_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mqtt-password").write_text("secret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    client = new_client(MqttOptions(username="me", password_file=Path("mqtt-password")), "id", V5)
    assert client.password == "secret"


def test_a_message_that_cannot_be_published_does_not_hold_up_the_next(
    handler: FakeHandler, started: list[MqttSource]
) -> None:
    arrived = threading.Event()

    def script(number: int, connection: Connection) -> None:
        connection.accept()
        while connection.read_until(PUBLISH).topic != "tts/board/event":
            pass
        arrived.set()
        serve_until_gone(connection)

    with FakeBroker(script) as broker:
        source = start(broker.port, handler, started)
        source._connection.send(Outgoing("reply/#", "{}"))
        source.publish(Finished("7", "mqtt"))
        assert arrived.wait(10)
        started.pop().stop()
