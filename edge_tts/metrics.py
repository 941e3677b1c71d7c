"""Counters and last values that `tts/<device>/metrics` shows."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

STATM = Path("/proc/self/statm")
PAGE_KB = 4


class Metrics:
    """Named numbers; all methods are thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter, which begins at 0."""
        with self._lock:
            self._counts[name] += amount

    def set(self, name: str, value: float) -> None:
        """Remember the last value of something measured."""
        with self._lock:
            self._values[name] = value

    def snapshot(self) -> dict[str, float]:
        """All numbers now, and the resident memory in MB where the system tells."""
        with self._lock:
            numbers = {**self._counts, **self._values}
        if STATM.exists():
            numbers["rss_mb"] = round(int(STATM.read_text().split()[1]) * PAGE_KB / 1024, 1)
        return numbers
