"""What the daemon tells whoever asked: the fate of each request, and its own state."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Something happened to the request `id`, which came from `source`."""

    name: ClassVar[str]

    id: str
    source: str

    def payload(self) -> dict[str, Any]:
        """The event as other programs see it: `event`, `id` and its own fields."""
        fields = asdict(self)
        del fields["source"]
        return {"event": self.name, **fields}

    def to_json(self) -> str:
        """`payload` as compact JSON."""
        return json.dumps(self.payload(), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Accepted(Event):
    """The request is in the queue, at this place (0: next)."""

    name = "accepted"
    position: int = 0
    duplicate: bool = False
    """The id was accepted before, less than a minute ago; it is spoken once."""


@dataclass(frozen=True)
class Started(Event):
    """The first sample of speech was heard."""

    name = "started"
    voice: str = ""
    first_audio_ms: int = 0
    """Milliseconds from the arrival of the text to the first sample handed to the device."""


@dataclass(frozen=True)
class WordSpoken(Event):
    """A word begins now."""

    name = "word"
    word: str = ""
    index: int = 0
    """Counted over the whole request, from 0."""
    offset_ms: int = 0
    """From the request's first sample."""


@dataclass(frozen=True)
class VisemeShown(Event):
    """The mouth takes the shape of this phone now (ARPAbet without stress, `SIL` closed)."""

    name = "viseme"
    viseme: str = ""
    offset_ms: int = 0


@dataclass(frozen=True)
class Finished(Event):
    """The last sample was heard."""

    name = "finished"
    duration_ms: int = 0


@dataclass(frozen=True)
class Cancelled(Event):
    """The request was stopped, dropped or outlived; `reason` is stopped, interrupted, overflow, expired or shutdown."""

    name = "cancelled"
    reason: str = "stopped"


@dataclass(frozen=True)
class Failed(Event):
    """The request could not be spoken. `code` is an error class's code."""

    name = "failed"
    code: str = "internal"
    message: str = ""


@dataclass(frozen=True)
class State:
    """What `tts/<device>/state` and the serial command STATUS show."""

    status: str
    """`idle`, `speaking` or `no_audio`."""
    voice: str
    queued: int
    speaking: str | None
    """The id of the request that is being spoken."""
    volume: float
    rate: float
    pitch: float
    version: str

    def to_json(self) -> str:
        """As compact JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))
