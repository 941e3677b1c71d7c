"""Events tied to samples of the utterance being played, released when those samples are heard."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from edge_tts.events import Event


class Timeline:
    """A list of (sample, event) pairs in the order of their samples. Thread-safe."""

    def __init__(self) -> None:
        self._pending: deque[tuple[int, Event]] = deque()
        self._lock = threading.Lock()

    def add(self, moments: Iterable[tuple[int, Event]]) -> None:
        """Append events with the sample each belongs to, counted from the utterance's first."""
        with self._lock:
            self._pending.extend(moments)

    def prepend(self, sample: int, event: Event) -> None:
        """Put an event before all others."""
        with self._lock:
            self._pending.appendleft((sample, event))

    def due(self, heard: int) -> list[Event]:
        """Take out the events whose samples are among the first `heard` ones."""
        events = []
        with self._lock:
            while self._pending and self._pending[0][0] < heard:
                events.append(self._pending.popleft()[1])
        return events
