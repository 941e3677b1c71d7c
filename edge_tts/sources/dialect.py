"""What a serial dialect is: bytes into actions, and the daemon's answers into bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from edge_tts.errors import EdgeTtsError
from edge_tts.events import Event, State
from edge_tts.request import SettingsChange


@dataclass(frozen=True)
class Say:
    """Speak a request with these fields of SpeechRequest."""

    fields: dict[str, Any]


@dataclass(frozen=True)
class Stop:
    """Cancel the request with this id, or with None all of them."""

    id: str | None = None


@dataclass(frozen=True)
class Change:
    """Change settings for requests to come."""

    change: SettingsChange


@dataclass(frozen=True)
class AskState:
    """Tell what the daemon is doing."""


@dataclass(frozen=True)
class Answer:
    """Send these bytes back."""

    data: bytes


Action = Say | Stop | Change | AskState | Answer


class Dialect(Protocol):
    """The language of one port. Called by one thread at a time; what it returns is sent in that order."""

    def opened(self) -> bytes:
        """Forget whatever was half received and return the greeting."""

    def feed(self, data: bytes) -> Iterator[Action]:
        """Take what was received and yield what is to be done, including answers to what makes no sense."""

    def event(self, event: Event) -> bytes:
        """Return how the fate of a request is told; empty if it is not."""

    def stopped(self, count: int) -> bytes:
        """Return the answer to Stop: so many requests were cancelled."""

    def changed(self, change: SettingsChange) -> bytes:
        """Return the answer to Change."""

    def state(self, state: State) -> bytes:
        """Return the answer to AskState."""

    def failed(self, error: EdgeTtsError) -> bytes:
        """Return the answer to an action that was refused."""
