"""A source of one request, for saying something from the command line."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from edge_tts.events import Cancelled, Event, Failed, Finished, Started, State
from edge_tts.request import SpeechRequest
from edge_tts.sources.base import RequestHandler


class OnceSource:
    """Submits one request at start and remembers how it ended."""

    def __init__(self, request: SpeechRequest, handler: RequestHandler) -> None:
        """`request.source` must be this source's name."""
        self.finished = threading.Event()
        self.outcome: Event | None = None
        self.started: Started | None = None
        self._request = request
        self._handler = handler

    @property
    def name(self) -> str:
        """Always `once`."""
        return "once"

    def start(self) -> None:
        """Submit the request, as if it arrived now."""
        self._handler.submit(self._request.model_copy(update={"received": time.monotonic()}))

    def publish(self, event: Event) -> None:
        """Remember the event that ends the request."""
        if isinstance(event, Started):
            self.started = event
        if isinstance(event, (Finished, Cancelled, Failed)):
            self.outcome = event
            self.finished.set()

    def report(self, state: State) -> None:
        """Nobody asks."""

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Nobody asks."""

    def stop(self) -> None:
        """Nothing is left to stop."""

    def exit_status(self) -> int:
        """0 when the request was spoken to its end, 130 when it was interrupted from the keyboard."""
        if isinstance(self.outcome, Cancelled):
            return 130
        return 0 if isinstance(self.outcome, Finished) else 1
