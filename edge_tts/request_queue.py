"""The bounded queue between the sources and the synthesis worker: most urgent first, oldest first among equals.

A request that interrupts goes before those of its own priority that do not."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge_tts.errors import QueueFull
from edge_tts.request import Priority, SpeechRequest


@dataclass(frozen=True)
class Admission:
    """What putting a request into the queue led to."""

    position: int
    """Requests that will be spoken before it."""
    dropped: SpeechRequest | None = None
    """The request that had to make room."""


class RequestQueue:
    """Holds at most `size` waiting requests. Thread-safe.

    When full, the oldest request of the lowest priority makes room; an alarm never does, and is admitted even
    beyond `size` when nothing but alarms is waiting (up to twice the size, after which alarms are refused too).
    """

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._waiting: list[SpeechRequest] = []
        self._changed = threading.Condition()
        self._closed = False

    def put(self, request: SpeechRequest) -> Admission:
        """Queue `request`. Raises QueueFull when all that waits matters more than it does, or once it is closed."""
        with self._changed:
            if self._closed:
                raise QueueFull("the daemon is stopping; send it again when it is back")
            dropped = self._make_room(request) if len(self._waiting) >= self._size else None
            position = sum(1 for other in self._waiting if self._goes_before(other, request))
            self._waiting.insert(position, request)
            self._changed.notify()
            return Admission(position, dropped)

    @staticmethod
    def _goes_before(waiting: SpeechRequest, arriving: SpeechRequest) -> bool:
        if arriving.interrupt and not waiting.interrupt:
            return waiting.priority > arriving.priority
        return waiting.priority >= arriving.priority

    def _make_room(self, request: SpeechRequest) -> SpeechRequest | None:
        lowest = min(other.priority for other in self._waiting)
        if lowest == Priority.ALARM:
            if request.priority == Priority.ALARM and len(self._waiting) < 2 * self._size:
                return None
            raise QueueFull(f"{len(self._waiting)} alarms are waiting; the queue takes no more")
        if request.priority < lowest:
            raise QueueFull(f"{len(self._waiting)} more important requests are waiting; try again later")
        victim = next(other for other in self._waiting if other.priority == lowest)
        self._waiting.remove(victim)
        return victim

    def get(
        self, timeout: float | None = None, taken: Callable[[SpeechRequest], None] = lambda request: None
    ) -> SpeechRequest | None:
        """Take the next request; None when `timeout` seconds pass without one or the queue is closed.

        `taken` is called with it while the queue is locked: whoever no longer finds it here finds what `taken` did.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            if not self._waiting or self._closed:
                return None
            request = self._waiting.pop(0)
            taken(request)
            return request

    def remove(self, request_id: str | None = None) -> list[SpeechRequest]:
        """Take out the waiting requests with this id, or all of them with None."""
        return self._take(lambda item: request_id is None or item.id == request_id)

    def take_expired(self) -> list[SpeechRequest]:
        """Take out the waiting requests whose time to live is over."""
        return self._take(lambda item: item.expired)

    def _take(self, wanted: Callable[[SpeechRequest], bool]) -> list[SpeechRequest]:
        # Each is asked once: one whose time ran out between two looks would be neither taken nor left.
        taken: list[SpeechRequest] = []
        left: list[SpeechRequest] = []
        with self._changed:
            for item in self._waiting:
                (taken if wanted(item) else left).append(item)
            self._waiting = left
        return taken

    def close(self) -> None:
        """Let `get` return None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)


class RecentIds:
    """Remembers the ids of the last `window` seconds, so that a request delivered twice is spoken once."""

    def __init__(self, window: float = 60.0, capacity: int = 4096) -> None:
        self._window = window
        self._capacity = capacity
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, request_id: str) -> bool:
        self._forget(time.monotonic())
        return request_id in self._seen

    def add(self, request_id: str) -> None:
        """Remember an id from now on."""
        self._seen[request_id] = time.monotonic()

    def _forget(self, now: float) -> None:
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) <= self._capacity and now - oldest <= self._window:
                return
            self._seen.popitem(last=False)
