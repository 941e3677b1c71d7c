"""What the daemon asks of a request source, and what a source may ask of the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from edge_tts.events import Event, State
from edge_tts.request import SettingsChange, SpeechRequest


class RequestHandler(Protocol):
    """The daemon as its sources see it. All methods are thread-safe; all but `apply` return at once."""

    def submit(self, request: SpeechRequest) -> None:
        """Queue a request. Its fate comes back through the source's `publish`: accepted, or failed with a code."""

    def stop(self, request_id: str | None = None) -> int:
        """Cancel one request, or with None everything playing and waiting. Returns how many were cancelled."""

    def apply(self, change: SettingsChange) -> None:
        """Change volume, rate, pitch or voice for requests to come; loads a voice that is new.

        Raises UnknownVoice or BundleError, and then changes nothing.
        """

    def state(self) -> State:
        """What the daemon is doing now."""


class RequestSource(Protocol):
    """Something that turns bytes into requests and carries events back."""

    @property
    def name(self) -> str:
        """Unique, e.g. `mqtt` or `serial:/dev/ttyUSB0`; requests carry it as `source`."""

    def start(self) -> None:
        """Begin to listen. Returns at once; what cannot be reached is retried for ever in the background."""

    def publish(self, event: Event) -> None:
        """Carry an event of one of this source's requests back to its sender. Never blocks for long, never raises."""

    def report(self, state: State) -> None:
        """The daemon's state has changed; sources without a place for it do nothing."""

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Take the daemon's counters and timings; sources without a place for them do nothing."""

    def stop(self) -> None:
        """Leave in good order; joins its threads within a few seconds."""
