"""Growing pauses between attempts to reach something that is not there."""

from __future__ import annotations

import threading


class Backoff:
    """Pauses of `first` seconds, then twice as long each time, up to `last`."""

    def __init__(self, first: float, last: float) -> None:
        self._first = first
        self._last = last
        self._next = first

    def wait(self, stop: threading.Event) -> bool:
        """Pause, or return early when `stop` is set. Returns whether it is set."""
        pause = self._next
        self._next = min(2 * pause, self._last)
        return stop.wait(pause)

    def reset(self) -> None:
        """Begin with the first pause again."""
        self._next = self._first
