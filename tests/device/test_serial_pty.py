"""The serial source at pseudo terminals that come and go, with a daemon that only takes notes."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_tts.events import Accepted, Finished
from edge_tts.request import SettingsChange
from edge_tts.sources.serial_port import SerialSource
from tests.device.pty_pair import PtyPair
from tests.fake_handler import FakeHandler
from tests.fakes import poll_until


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PtyPair]:
    with PtyPair(tmp_path) as pair:
        yield pair


@pytest.fixture
def handler() -> FakeHandler:
    return FakeHandler()


@pytest.fixture
def source(host: PtyPair, handler: FakeHandler) -> Iterator[SerialSource]:
    source = SerialSource(str(host.path), handler)
    handler.source = source
    source.start()
    assert host.line() == "EDGE-TTS 1 ready"
    yield source
    source.stop()


def test_every_command(host: PtyPair, handler: FakeHandler, source: SerialSource) -> None:
    assert host.ask("SAY id=7 priority=high volume=50% hello") == "OK 7"
    assert host.ask("VOLUME 0.8") == "OK volume=0.8"
    assert host.ask("VOLUME 80%") == "OK volume=0.8"
    assert host.ask("RATE 1.2") == "OK rate=1.2"
    assert host.ask("PITCH -2") == "OK pitch=-2"
    assert host.ask("VOICE fake") == "OK voice=fake"
    assert host.ask("STATUS").startswith("OK status=idle voice=fake queued=0 speaking=- ")
    assert host.ask("HELP").startswith("OK SAY ")
    assert host.ask("STOP 7") == "OK stopped=1"
    assert host.ask("STOP") == "OK stopped=1"
    host.send(b"half a line\x03")
    assert host.line() == "OK stopped=1"
    assert host.ask("a line that is no command") == f"OK {handler.requests[1].id}"
    assert handler.texts == ["hello", "a line that is no command"]
    assert handler.stops == ["7", None, None]
    assert handler.changes == [
        SettingsChange(volume=0.8),
        SettingsChange(volume=0.8),
        SettingsChange(rate=1.2),
        SettingsChange(pitch=-2),
        SettingsChange(voice="fake"),
    ]


def test_a_command_may_come_in_any_pieces(host: PtyPair, handler: FakeHandler, source: SerialSource) -> None:
    for byte in "SAY id=1 Grüße, Welt\r\nSAY id=2 again\r".encode():
        host.send(bytes([byte]))
    assert host.lines(4) == ["OK 1", "!STARTED 1", "!FINISHED 1", "OK 2"]
    assert handler.texts == ["Grüße, Welt", "again"]


def test_garbage_is_answered_and_the_line_after_it_is_read(
    host: PtyPair, handler: FakeHandler, source: SerialSource
) -> None:
    host.send(b"\xff\xfe\xfd\n")
    assert host.line().startswith("ERR invalid_utf8 ")
    host.send(b"x" * 100_000 + b"\n")
    assert host.line().startswith("ERR line_too_long ")
    noise = random.Random(7)
    for _ in range(50):
        host.send(bytes(byte for byte in noise.randbytes(200) if byte not in b"\x03"))
    host.send(b"\nSAY id=last still here\n")
    while host.line() != "OK last":
        pass
    assert handler.texts[-1] == "still here"


def test_a_burst_is_taken_in_order(host: PtyPair, handler: FakeHandler, source: SerialSource) -> None:
    handler.speaks = False
    host.send(b"".join(b"SAY id=%d line %d\n" % (number, number) for number in range(200)))
    assert host.lines(200) == [f"OK {number}" for number in range(200)]
    assert handler.texts == [f"line {number}" for number in range(200)]


def test_ctrl_c_is_heard_while_lines_are_waiting_for_their_answer(
    host: PtyPair, handler: FakeHandler, source: SerialSource
) -> None:
    handler.source = None
    host.send(b"SAY id=1 one\nSAY id=2 tw\x03")
    poll_until(lambda: handler.stops == [None])
    source.publish(Accepted("1", source.name))
    assert host.lines(2) == ["OK 1", "OK stopped=1"]


def test_a_port_that_is_pulled_out_is_taken_again(host: PtyPair, handler: FakeHandler, source: SerialSource) -> None:
    for number in range(3):
        host.send(b"half a line that is lo")
        host.unplug()
        source.publish(Finished("7", source.name))
        host.plug()
        assert host.line() == "EDGE-TTS 1 ready"
        assert host.ask(f"SAY id={number} back again") == f"OK {number}"
        assert host.lines(2) == [f"!STARTED {number}", f"!FINISHED {number}"]
    assert handler.texts == ["back again"] * 3


def test_a_port_that_comes_late_is_opened(tmp_path: Path, handler: FakeHandler) -> None:
    late = PtyPair(tmp_path)
    source = SerialSource(str(late.path), handler)
    source.start()
    with late:
        assert late.line() == "EDGE-TTS 1 ready"
        source.stop()


def test_two_ports_at_once_are_answered_apart(tmp_path: Path) -> None:
    with PtyPair(tmp_path, "left") as left, PtyPair(tmp_path, "right") as right, contextlib.ExitStack() as stack:
        handlers = []
        for pair, baud in ((left, 9600), (right, 921600)):
            handler = FakeHandler(speaks=False)
            handler.source = source = SerialSource(str(pair.path), handler, baud=baud)
            source.start()
            stack.callback(source.stop)
            assert pair.line() == "EDGE-TTS 1 ready"
            handlers.append(handler)
        left.send(b"SAY id=1 to the left\n")
        right.send(b"SAY id=2 to the right\n")
        assert (left.line(), right.line()) == ("OK 1", "OK 2")
        left.unplug()
        assert right.ask("STATUS").startswith("OK ")
        left.plug()
        assert left.line() == "EDGE-TTS 1 ready"
        assert right.silence(0.05)
    assert [handler.texts for handler in handlers] == [["to the left"], ["to the right"]]


def test_no_descriptor_is_left_behind_by_replugging(host: PtyPair, source: SerialSource) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for _ in range(2):
        host.unplug()
        host.plug()
        assert host.line() == "EDGE-TTS 1 ready"
    assert descriptors() == before
