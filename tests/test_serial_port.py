from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_tts.errors import UnknownVoice
from edge_tts.events import Accepted, Failed, Finished, Started, WordSpoken
from edge_tts.sources.serial_port import MAX_OUTGOING, SerialSource
from tests.device.pty_pair import PtyPair
from tests.fake_handler import FakeHandler
from tests.fakes import poll_until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PtyPair]:
    with PtyPair(tmp_path) as pair:
        yield pair


@contextmanager
def listening(host: PtyPair, handler: FakeHandler) -> Iterator[SerialSource]:
    source = SerialSource(str(host.path), handler, baud=9600)
    handler.source = source
    source.start()
    try:
        assert host.line() == "EDGE-TTS 1 ready"
        yield source
    finally:
        source.stop()


def test_a_line_is_requested_in_the_name_of_the_port(host: PtyPair) -> None:
    handler = FakeHandler()
    with listening(host, handler) as source:
        host.send(b"SAY id=7 rate=1.5 hello\n")
        assert host.lines(3) == ["OK 7", "!STARTED 7", "!FINISHED 7"]
    (request,) = handler.requests
    assert (request.source, request.text, request.rate) == (source.name, "hello", 1.5)
    assert source.name == f"serial:{host.path}"


def test_answers_keep_the_order_of_the_lines_although_admission_takes_its_time(host: PtyPair) -> None:
    handler = FakeHandler()
    with listening(host, handler) as source:
        handler.source = None
        host.send(b"SAY id=1 one\nSAY id=2 two\nSTATUS\nSAY\n")
        poll_until(lambda: len(handler.requests) == 2)
        source.publish(Failed("2", source.name, code="unknown_voice", message="who?"))
        source.publish(Accepted("1", source.name))
        source.publish(Started("1", source.name))
        ok, refused, status, empty, started = host.lines(5)
    assert ok == "OK 1"
    assert refused == "ERR unknown_voice who?"
    assert status.startswith("OK status=idle ")
    assert empty.startswith("ERR nothing_to_say ")
    assert started == "!STARTED 1"


def test_what_the_daemon_refuses_is_an_error_with_its_code(host: PtyPair) -> None:
    handler = FakeHandler()
    handler.refusal = UnknownVoice("no voice is called x")
    with listening(host, handler):
        assert host.ask("VOICE x") == "ERR unknown_voice no voice is called x"
        assert host.ask("SAY id=1 voice=x hello") == "ERR unknown_voice no voice is called x"
        assert host.ask("SAY rate=9 hello").startswith("ERR bad_request rate: ")


def test_words_are_not_told(host: PtyPair) -> None:
    handler = FakeHandler(speaks=False)
    with listening(host, handler) as source:
        assert host.ask("SAY id=1 hello") == "OK 1"
        source.publish(WordSpoken("1", source.name, word="hello"))
        source.publish(Finished("1", source.name))
        assert host.line() == "!FINISHED 1"


def test_a_host_that_does_not_read_holds_up_nobody_and_the_latest_lines_are_kept(host: PtyPair) -> None:
    handler = FakeHandler(speaks=False)
    count = 20_000
    with listening(host, handler) as source:
        flood = threading.Thread(
            target=lambda: [source.publish(Finished(str(number), source.name)) for number in range(count)]
        )
        flood.start()
        flood.join(20)
        assert not flood.is_alive()
        host.send(b"still heard\n")
        handler.wait_for_texts("still heard")
        seen = [host.line()]
        while not seen[-1].startswith("OK "):
            seen.append(host.line())
    assert len(seen) < count / 2
    kept = seen[-MAX_OUTGOING:-1]
    assert kept == [f"!FINISHED {number}" for number in range(count - len(kept), count)]


def test_stop_returns_although_the_host_reads_nothing(host: PtyPair) -> None:
    source = SerialSource(str(host.path), FakeHandler())
    source.start()
    assert host.line() == "EDGE-TTS 1 ready"
    for number in range(2000):
        source.publish(Finished(str(number), source.name))
    source.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == source.name]


def test_a_port_that_is_not_there_is_reported_once_and_stop_still_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = SerialSource(str(tmp_path / "nothing"), FakeHandler())
    with caplog.at_level(logging.DEBUG):
        source.start()
        poll_until(lambda: len(caplog.records) >= 2)
        source.stop()
    assert [record.levelname for record in caplog.records[:2]] == ["WARNING", "DEBUG"]
    assert "nothing" in caplog.records[0].getMessage()


def test_stop_before_start_is_harmless(tmp_path: Path) -> None:
    SerialSource(str(tmp_path / "nothing"), FakeHandler()).stop()


def test_a_port_in_use_is_reported_and_taken_when_it_is_free(host: PtyPair, caplog: pytest.LogCaptureFixture) -> None:
    with listening(host, FakeHandler()) as first:
        second = SerialSource(str(host.path), FakeHandler())
        second.start()
        poll_until(lambda: "exclusively lock" in caplog.text)
        first.stop()
        assert host.line() == "EDGE-TTS 1 ready"
        second.stop()
