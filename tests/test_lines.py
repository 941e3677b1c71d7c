from __future__ import annotations

import pytest

from edge_tts.errors import LineTooLong
from edge_tts.sources.lines import LineCutter


def cut(cutter: LineCutter, *pieces: bytes) -> list[bytes | str]:
    return [line.code if isinstance(line, LineTooLong) else line for piece in pieces for line in cutter.feed(piece)]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"\n\n\r"])
def test_each_usual_line_end_ends_a_line(end: bytes) -> None:
    assert cut(LineCutter(10), b"one" + end + b"two" + end) == [b"one", b"two"]


def test_a_line_may_come_byte_by_byte() -> None:
    text = b"one\r\ntwo\n"
    assert cut(LineCutter(10), *(text[i : i + 1] for i in range(len(text)))) == [b"one", b"two"]


def test_a_line_of_the_limit_passes_and_one_byte_more_is_refused_without_losing_the_next() -> None:
    assert cut(LineCutter(4), b"1234\n12345\nnext\n") == [b"1234", "line_too_long", b"next"]


def test_an_endless_line_is_refused_once_and_takes_no_memory() -> None:
    cutter = LineCutter(4)
    assert cut(cutter, *[b"x" * 1000] * 100) == ["line_too_long"]
    assert cut(cutter, b"tail\nnext\n") == [b"next"]


def test_flush_gives_up_an_unfinished_line() -> None:
    cutter = LineCutter(10)
    assert cut(cutter, b"half") == []
    assert cutter.flush() == b"half"
    assert cut(cutter, b"whole\n") == [b"whole"]
