from __future__ import annotations

import json

import pytest

from edge_tts.events import (
    Accepted,
    Cancelled,
    Event,
    Failed,
    Finished,
    Started,
    State,
    VisemeShown,
    WordSpoken,
)

EVENTS = [
    (Accepted("7", "mqtt", position=2), {"event": "accepted", "id": "7", "position": 2, "duplicate": False}),
    (Started("7", "mqtt", "v", 31), {"event": "started", "id": "7", "voice": "v", "first_audio_ms": 31}),
    (WordSpoken("7", "mqtt", "hi", 0, 5), {"event": "word", "id": "7", "word": "hi", "index": 0, "offset_ms": 5}),
    (VisemeShown("7", "mqtt", "AH", 9), {"event": "viseme", "id": "7", "viseme": "AH", "offset_ms": 9}),
    (Finished("7", "mqtt", 900), {"event": "finished", "id": "7", "duration_ms": 900}),
    (Cancelled("7", "mqtt", "stopped"), {"event": "cancelled", "id": "7", "reason": "stopped"}),
    (Failed("7", "mqtt", "bad", "é"), {"event": "failed", "id": "7", "code": "bad", "message": "é"}),
]


@pytest.mark.parametrize(("event", "payload"), EVENTS, ids=[event.name for event, _ in EVENTS])
def test_events_on_the_wire(event: Event, payload: dict[str, object]) -> None:
    assert json.loads(event.to_json()) == payload


def test_state_on_the_wire() -> None:
    state = State("idle", "v", 0, None, 1.0, 1.0, 0.0, "0.1.0")
    assert json.loads(state.to_json())["speaking"] is None
