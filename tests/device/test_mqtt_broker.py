"""The MQTT source at a real broker that comes and goes, with a daemon that only takes notes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes

from edge_tts.events import Finished, State
from edge_tts.sources import mqtt_connection
from edge_tts.sources.mqtt import MqttOptions, MqttSource, TlsOptions
from edge_tts.sources.mqtt_client import new_properties
from tests.device.mosquitto import Mosquitto, make_certificates, missing
from tests.fake_broker import SUBSCRIBE, Connection, FakeBroker
from tests.fake_handler import FakeHandler
from tests.fakes import poll_until

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

PATIENCE = 20.0


class Robot:
    """Another program at the broker: publishes, and remembers what it heard under `#`."""

    def __init__(self, broker: Mosquitto, v5: bool = True) -> None:
        self.heard: list[MQTTMessage] = []
        self._subscribed = threading.Event()
        version = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _, __, message: self.heard.append(message)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: str | bytes, qos: int = 1, retain: bool = False, **properties: Any) -> None:
        extra = new_properties(PacketTypes.PUBLISH) if properties else None
        for name, value in properties.items():
            setattr(extra, name, value)
        self._client.publish(topic, payload, qos, retain, extra).wait_for_publish(PATIENCE)

    def payloads(self, topic: str) -> list[str]:
        return [bytes(message.payload).decode() for message in list(self.heard) if message.topic == topic]

    def events(self, topic: str = "tts/board/event") -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads(topic)]

    def wait_for(self, condition: Callable[[Robot], object]) -> None:
        poll_until(lambda: bool(condition(self)), PATIENCE)

    def wait_until_available(self, payload: str = "online") -> None:
        self.wait_for(lambda robot: robot.payloads("tts/board/availability")[-1:] == [payload])


@pytest.fixture
def closing() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def broker(closing: contextlib.ExitStack) -> Mosquitto:
    return closing.enter_context(Mosquitto())


@pytest.fixture
def robot(broker: Mosquitto, closing: contextlib.ExitStack) -> Robot:
    robot = Robot(broker)
    closing.callback(robot.close)
    return robot


@pytest.fixture
def handler() -> FakeHandler:
    return FakeHandler()


def speaker(broker: Mosquitto, handler: FakeHandler, closing: contextlib.ExitStack, **options: Any) -> MqttSource:
    source = MqttSource(MqttOptions(host=broker.host, port=broker.port, **options), "board", handler)
    handler.source = source
    source.start()
    closing.callback(source.stop)
    return source


@pytest.fixture
def source(broker: Mosquitto, robot: Robot, handler: FakeHandler, closing: contextlib.ExitStack) -> MqttSource:
    source = speaker(broker, handler, closing)
    robot.wait_until_available()
    return source


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("v5", [True, False], ids=["MQTT 5", "MQTT 3.1.1"])
def test_plain_text_and_json_are_spoken(
    source: MqttSource, broker: Mosquitto, handler: FakeHandler, closing: contextlib.ExitStack, qos: int, v5: bool
) -> None:
    robot = Robot(broker, v5)
    closing.callback(robot.close)
    robot.publish("tts/say", "Grüße", qos)
    robot.publish("tts/board/say", '{"id": "7", "text": "hello"}', qos)
    handler.wait_for_texts("Grüße", "hello", timeout=PATIENCE)
    robot.wait_for(lambda robot: len(robot.events()) >= 6)
    seven = [event["event"] for event in robot.events() if event["id"] == "7"]
    assert seven == ["accepted", "started", "finished"]


def test_stop_and_set_and_what_comes_back(source: MqttSource, robot: Robot, handler: FakeHandler) -> None:
    robot.publish("tts/stop", "")
    robot.publish("tts/board/stop", '{"id": "7"}')
    robot.publish("tts/board/set", '{"volume": 0.5}')
    robot.publish("tts/board/set", '{"loudness": 1}')
    robot.wait_for(lambda robot: robot.events())
    assert handler.stops == [None, "7"]
    assert [change.volume for change in handler.changes] == [0.5]
    assert robot.events()[0]["code"] == "bad_request"
    source.report(State("speaking", "fake", 1, "7", 0.5, 1.0, 0.0, "0"))
    source.measure({"underruns": 3})
    robot.wait_for(lambda robot: robot.payloads("tts/board/metrics"))
    robot.wait_for(lambda robot: robot.events("tts/board/state")[-1]["speaking"] == "7")
    assert robot.events("tts/board/metrics") == [{"underruns": 3}]


def test_a_burst_of_200_arrives_whole_and_in_order(source: MqttSource, robot: Robot, handler: FakeHandler) -> None:
    texts = [f"sentence {number}" for number in range(200)]
    for text in texts:
        robot._client.publish("tts/say", text, qos=1)
    handler.wait_for_texts(*texts, timeout=PATIENCE)
    robot.wait_for(lambda robot: len(robot.events()) >= 600)
    finished = [event["id"] for event in robot.events() if event["event"] == "finished"]
    assert finished == [request.id for request in handler.requests]


def test_response_topic_correlation_data_and_expiry(source: MqttSource, robot: Robot, handler: FakeHandler) -> None:
    robot.publish("tts/say", "hi", ResponseTopic="reply/here", CorrelationData=b"\0abc", MessageExpiryInterval=30)
    robot.wait_for(lambda robot: len(robot.events("reply/here")) == 3)
    replies = [message for message in robot.heard if message.topic == "reply/here"]
    assert {message.properties.CorrelationData for message in replies} == {b"\0abc"}  # type: ignore[union-attr]
    assert handler.requests[0].ttl == pytest.approx(30, abs=2)


def test_a_payload_of_ten_megabytes_is_refused_and_the_next_one_spoken(
    source: MqttSource, robot: Robot, handler: FakeHandler
) -> None:
    robot.publish("tts/say", b"x" * 10_000_000)
    robot.publish("tts/say", b"\xff")
    robot.publish("tts/say", "fine")
    handler.wait_for_texts("fine", timeout=PATIENCE)
    robot.wait_for(lambda robot: len(robot.events()) >= 2)
    assert [event["code"] for event in robot.events()[:2]] == ["text_too_long", "invalid_utf8"]


def test_a_broker_that_is_absent_at_start_is_found_later(handler: FakeHandler, closing: contextlib.ExitStack) -> None:
    broker = Mosquitto()
    speaker(broker, handler, closing).publish(Finished("early", "mqtt"))
    closing.enter_context(broker)
    robot = Robot(broker)
    closing.callback(robot.close)
    robot.wait_until_available()
    # The event may have left before the robot listened, so only what comes from now on is certain.
    robot.publish("tts/say", "good morning")
    handler.wait_for_texts("good morning", timeout=PATIENCE)


def test_a_broker_that_is_killed_and_started_again(
    source: MqttSource, broker: Mosquitto, robot: Robot, handler: FakeHandler
) -> None:
    robot.publish("tts/say", "before")
    handler.wait_for_texts("before", timeout=PATIENCE)
    robot.wait_for(lambda robot: len(robot.events()) == 3)
    broker.kill()
    source.publish(Finished("while away", "mqtt"))
    robot._subscribed.clear()
    robot.heard.clear()
    broker.start()
    assert robot._subscribed.wait(PATIENCE)
    robot.wait_until_available()
    robot.publish("tts/say", "after")
    handler.wait_for_texts("before", "after", timeout=PATIENCE)
    robot.wait_for(lambda robot: robot.events("tts/board/state"))


SCRIPT = """
import sys, threading
from edge_tts.sources import mqtt_connection
from edge_tts.sources.mqtt import MqttOptions, MqttSource
from tests.fake_handler import FakeHandler
MqttSource(MqttOptions(host="127.0.0.1", port=int(sys.argv[1])), "board", FakeHandler()).start()
threading.Event().wait()
"""


def test_kill_9_is_seen_as_offline_and_what_was_asked_meanwhile_is_spoken_by_the_successor(
    broker: Mosquitto, robot: Robot, handler: FakeHandler, closing: contextlib.ExitStack
) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(broker.port)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    closing.callback(process.wait)
    closing.callback(process.kill)
    robot.wait_until_available()
    process.send_signal(signal.SIGKILL)
    robot.wait_until_available("offline")
    latecomer = Robot(broker)
    closing.callback(latecomer.close)
    latecomer.wait_until_available("offline")
    robot.publish("tts/say", "while you were out")
    speaker(broker, handler, closing)
    robot.wait_until_available("online")
    handler.wait_for_texts("while you were out", timeout=PATIENCE)


def test_a_clean_stop_is_seen_as_stopped_and_holds_nothing_back(
    source: MqttSource, broker: Mosquitto, robot: Robot, handler: FakeHandler, closing: contextlib.ExitStack
) -> None:
    for number in range(50):
        source.publish(Finished(str(number), "mqtt"))
    source.stop()
    robot.wait_until_available("stopped")
    assert [event["id"] for event in robot.events()] == [str(number) for number in range(50)]
    robot.publish("tts/say", "to nobody")
    speaker(broker, handler, closing)
    robot.wait_until_available("online")
    robot.publish("tts/say", "hello again")
    handler.wait_for_texts("hello again", timeout=PATIENCE)


def test_retained_requests_are_not_even_delivered(
    broker: Mosquitto,
    robot: Robot,
    handler: FakeHandler,
    closing: contextlib.ExitStack,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for topic in ("tts/say", "tts/board/say", "tts/stop", "tts/board/set"):
        robot.publish(topic, '{"text": "old news"}', retain=True)
    with caplog.at_level(logging.INFO):
        speaker(broker, handler, closing)
        robot.wait_until_available()
        robot.publish("tts/say", "news", retain=True)
        handler.wait_for_texts("news", timeout=PATIENCE)
    assert (handler.stops, handler.changes) == ([], [])
    assert "retained" not in caplog.text


def test_a_wrong_password_is_told_and_the_right_one_taken_when_it_is_there(
    handler: FakeHandler, closing: contextlib.ExitStack, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    broker = closing.enter_context(Mosquitto(password="open sesame"))
    password = tmp_path / "password"
    password.write_text("open sesam\n")
    with caplog.at_level(logging.INFO):
        speaker(broker, handler, closing, username=broker.user, password_file=password)
        poll_until(lambda: "refused: Not authorized (check username and password_file" in caplog.text, PATIENCE)
        password.write_text("open sesame\n")
        poll_until(lambda: "connected to the MQTT broker" in caplog.text, PATIENCE)


def test_tls(handler: FakeHandler, closing: contextlib.ExitStack, caplog: pytest.LogCaptureFixture) -> None:
    broker = closing.enter_context(Mosquitto(tls=True))
    with caplog.at_level(logging.INFO):
        stranger = MqttSource(MqttOptions(host=broker.host, port=broker.port, tls=TlsOptions()), "other", handler)
        stranger.start()
        closing.callback(stranger.stop)
        poll_until(lambda: "certificate verify failed" in caplog.text, PATIENCE)
        for tls in (TlsOptions(ca=broker.ca), TlsOptions(insecure=True)):
            caplog.clear()
            source = speaker(broker, handler, closing, tls=tls)
            poll_until(lambda: "connected to the MQTT broker" in caplog.text, PATIENCE)
            source.publish(Finished("7", "mqtt"))
            source.stop()
            assert source._connection._farewell_said


def test_several_messages_in_one_tls_record_are_all_read_at_once(
    handler: FakeHandler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "LONGEST_SLEEP", 2 * PATIENCE)
    monkeypatch.setattr(mqtt_connection, "FAREWELL_TIMEOUT", 0.1)
    make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    texts = [f"sentence {number}" for number in range(20)]

    def script(number: int, connection: Connection) -> None:
        connection.accept()
        connection.read_until(SUBSCRIBE)
        connection.publish_together("tts/say", [text.encode() for text in texts])
        while True:
            connection.read()

    with FakeBroker(script, context) as broker:
        options = MqttOptions(host="localhost", port=broker.port, tls=TlsOptions(ca=tmp_path / "ca.pem"))
        source = MqttSource(options, "board", handler)
        source.start()
        handler.wait_for_texts(*texts, timeout=PATIENCE)
        source.stop()


def test_two_boards_of_the_same_name_are_told_of_each_other(
    source: MqttSource, broker: Mosquitto, closing: contextlib.ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    speaker(broker, FakeHandler(), closing)
    poll_until(lambda: "is another board or program called edge-tts-board?" in caplog.text, PATIENCE)
