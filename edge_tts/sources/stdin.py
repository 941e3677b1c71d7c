"""Lines from standard input, each spoken as it comes."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Mapping
from typing import IO, Any

from edge_tts.errors import EdgeTtsError, LineTooLong
from edge_tts.events import Cancelled, Event, Failed, Finished, State
from edge_tts.request import MAX_PAYLOAD, decode, make_request
from edge_tts.sources.base import RequestHandler
from edge_tts.sources.lines import LineCutter
from edge_tts.sources.wakeup import Wakeup

log = logging.getLogger(__name__)

MAX_AHEAD = 8
"""Lines waiting in the daemon before reading pauses, so that a long file does not overflow the queue."""
READ_SIZE = 4096
JOIN_TIMEOUT = 3.0


class StdinSource:
    """Speaks a stream line by line; `finished` is set when it has ended and each line's fate is known."""

    name = "stdin"

    def __init__(self, stream: IO[bytes], handler: RequestHandler, fields: Mapping[str, Any] | None = None) -> None:
        """`stream` has a descriptor (a pipe, a terminal, a file); `fields` of SpeechRequest go with every line."""
        self.finished = threading.Event()
        self.failures = 0
        """Lines that were not spoken to their end."""
        self._stream = stream
        self._handler = handler
        self._fields = dict(fields or {})
        self._changed = threading.Condition()
        self._ahead: set[str] = set()
        self._ended = False
        self._stopping = threading.Event()
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin to read, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        self._wakeup.ring()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)
        if not self._thread.is_alive():
            self._wakeup.close()

    def publish(self, event: Event) -> None:
        """Count a line as done when its last event comes; what failed is logged."""
        if not isinstance(event, (Finished, Cancelled, Failed)):
            return
        if isinstance(event, Failed):
            log.error("%s", event.message)
        with self._changed:
            self._ahead.discard(event.id)
            self.failures += not isinstance(event, Finished)
            self._changed.notify_all()
            self._finish_if_done()

    def report(self, state: State) -> None:
        """Do nothing."""

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Do nothing."""

    def _finish_if_done(self) -> None:
        if self._ended and not self._ahead:
            self.finished.set()

    def _run(self) -> None:
        try:
            self._read()
        except OSError as error:
            log.error("standard input cannot be read: %s", error.strerror)
            self.failures += 1
        finally:
            with self._changed:
                self._ended = True
                self._finish_if_done()

    def _read(self) -> None:
        cutter = LineCutter(MAX_PAYLOAD)
        descriptor = self._stream.fileno()
        reading: list[Any] = [descriptor, self._wakeup]
        while not self._stopping.is_set():
            readable, _, _ = select.select(reading, [], [])
            if descriptor not in readable:
                continue
            data = os.read(descriptor, READ_SIZE)
            # A last line without an end counts as one.
            for line in cutter.feed(data or b"\n"):
                self._say(line)
            if not data:
                return

    def _say(self, line: bytes | LineTooLong) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._ahead) < MAX_AHEAD or self._stopping.is_set())
        if self._stopping.is_set():
            return
        try:
            if isinstance(line, LineTooLong):
                raise line
            text = decode(line).strip()
            if not text:
                return
            request = make_request({**self._fields, "text": text}, source=self.name)
        except EdgeTtsError as error:
            log.error("a line is left out: %s", error)
            with self._changed:
                self.failures += 1
            return
        with self._changed:
            self._ahead.add(request.id)
        self._handler.submit(request)
