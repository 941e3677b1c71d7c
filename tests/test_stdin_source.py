from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from edge_tts.events import Finished
from edge_tts.request import MAX_PAYLOAD
from edge_tts.sources.stdin import MAX_AHEAD, StdinSource
from tests.fake_handler import FakeHandler
from tests.fakes import poll_until


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    reader, writer = os.pipe()
    with open(reader, "rb") as source, open(writer, "wb", buffering=0) as sink:
        yield source, sink


def start(stream: IO[bytes], handler: FakeHandler, **fields: object) -> StdinSource:
    source = StdinSource(stream, handler, fields)
    handler.source = source
    source.start()
    return source


def test_a_line_is_spoken_before_the_next_one_comes(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    stream, writer = pipe
    handler = FakeHandler()
    source = start(stream, handler, voice="x")
    writer.write(b"first\nsec")
    handler.wait_for_texts("first")
    assert handler.requests[0].voice == "x"
    assert not source.finished.is_set()
    writer.write(b"ond\n\n")
    handler.wait_for_texts("first", "second")
    source.stop()


def test_finished_comes_after_the_last_line_was_spoken(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    stream, writer = pipe
    handler = FakeHandler(speaks=False)
    source = start(stream, handler)
    writer.write(b"only line, without an end")
    writer.close()
    handler.wait_for_texts("only line, without an end")
    assert not source.finished.is_set()
    handler.publish(Finished(handler.requests[0].id, source.name))
    assert source.finished.wait(5)
    assert source.failures == 0
    source.stop()


def test_nothing_to_read_is_finished(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    stream, writer = pipe
    source = start(stream, FakeHandler())
    writer.close()
    assert source.finished.wait(5)
    source.stop()


def test_a_long_file_waits_for_the_speech(tmp_path: Path) -> None:
    file = tmp_path / "text"
    lines = [f"line {number}" for number in range(1000)]
    file.write_text("\n".join(lines))
    handler = FakeHandler(speaks=False)
    with file.open("rb") as stream:
        source = start(stream, handler)
        done = 0
        while not source.finished.is_set():
            poll_until(lambda: len(handler.requests) > done or source.finished.is_set())  # noqa: B023
            assert len(handler.requests) - done <= MAX_AHEAD
            if len(handler.requests) > done:
                handler.publish(Finished(handler.requests[done].id, source.name))
                done += 1
        source.stop()
    assert handler.texts == lines


def test_bad_lines_are_left_out_and_counted(pipe: tuple[IO[bytes], IO[bytes]], tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"good\nbad \xff\n" + b"x" * (MAX_PAYLOAD + 1) + b"\ngood too\n")
    handler = FakeHandler()
    with file.open("rb") as stream:
        source = start(stream, handler)
        assert source.finished.wait(5)
        source.stop()
    assert handler.texts == ["good", "good too"]
    assert source.failures == 2


def test_stop_ends_a_read_that_waits(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    stream, _ = pipe
    source = start(stream, FakeHandler())
    source.stop()
    assert source.finished.is_set()


def test_stop_ends_a_wait_for_speech(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    stream, writer = pipe
    handler = FakeHandler(speaks=False)
    source = start(stream, handler)
    writer.write(b"line\n" * (MAX_AHEAD + 5))
    poll_until(lambda: len(handler.requests) == MAX_AHEAD)
    source.stop()
    assert len(handler.requests) == MAX_AHEAD
