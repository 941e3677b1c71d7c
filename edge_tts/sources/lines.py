"""Bytes as they come, cut into lines of bounded length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge_tts.errors import LineTooLong

LINE_END = re.compile(rb"[\r\n]")


class LineCutter:
    """Collects bytes until a CR, LF or CRLF; empty lines are skipped, lines over `limit` bytes refused."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self._swallowing = False

    def feed(self, data: bytes) -> Iterator[bytes | LineTooLong]:
        """Yield each line that `data` completes, without its end; once per line over the limit, an error instead."""
        *ended, rest = LINE_END.split(data)
        for piece in ended:
            yield from self._add(piece)
            line = self.flush()
            if line:
                yield line
        yield from self._add(rest)

    def flush(self) -> bytes:
        """Return the unfinished line, empty if there is none, and begin a new one."""
        line = bytes(self._line)
        self._line.clear()
        self._swallowing = False
        return line

    def _add(self, piece: bytes) -> Iterator[LineTooLong]:
        if self._swallowing:
            return
        self._line += piece
        if len(self._line) > self._limit:
            self._line.clear()
            self._swallowing = True
            yield LineTooLong(f"the limit is {self._limit} bytes; the line was not read")
