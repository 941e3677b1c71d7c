"""A daemon that only takes notes: what sources hand over, and the events that a real one would send back."""

from __future__ import annotations

import threading

from edge_tts.errors import EdgeTtsError
from edge_tts.events import Accepted, Event, Failed, Finished, Started, State
from edge_tts.request import SettingsChange, SpeechRequest
from edge_tts.sources.base import RequestSource
from tests.fakes import poll_until


class FakeHandler:
    """A RequestHandler; set `source` to have each request accepted and, with `speaks`, spoken in no time."""

    def __init__(self, speaks: bool = True) -> None:
        self.source: RequestSource | None = None
        self.speaks = speaks
        self.refusal: EdgeTtsError | None = None
        """Fails every request and change while it is set."""
        self.requests: list[SpeechRequest] = []
        self.stops: list[str | None] = []
        self.changes: list[SettingsChange] = []
        self.known_ids: set[str] = set()
        self.now = State("idle", "fake", 0, None, 1.0, 1.0, 0.0, "0")
        self._lock = threading.Lock()

    def submit(self, request: SpeechRequest) -> None:
        """Note the request and publish its events before returning, as a daemon may at worst."""
        with self._lock:
            self.requests.append(request)
            duplicate = request.id in self.known_ids
            self.known_ids.add(request.id)
        if self.refusal is not None:
            self.publish(Failed(request.id, request.source, code=self.refusal.code, message=str(self.refusal)))
            return
        self.publish(Accepted(request.id, request.source, duplicate=duplicate))
        if self.speaks and not duplicate:
            self.publish(Started(request.id, request.source), Finished(request.id, request.source))

    def stop(self, request_id: str | None = None) -> int:
        """Note the stop; as many are cancelled as were ever noted, or one by its id."""
        self.stops.append(request_id)
        return len([request for request in self.requests if request_id in (None, request.id)])

    def apply(self, change: SettingsChange) -> None:
        """Note the change."""
        if self.refusal is not None:
            raise self.refusal
        self.changes.append(change)

    def state(self) -> State:
        """Whatever was put in `now`."""
        return self.now

    def publish(self, *events: Event) -> None:
        """Hand events to the source."""
        if self.source is not None:
            for event in events:
                self.source.publish(event)

    @property
    def texts(self) -> list[str | None]:
        """The texts of all requests so far."""
        return [request.text for request in self.requests]

    def wait_for_texts(self, *texts: str, timeout: float = 10.0) -> None:
        """Wait until exactly these were asked for, in this order."""
        poll_until(lambda: len(self.requests) >= len(texts), timeout)
        assert self.texts == list(texts)
