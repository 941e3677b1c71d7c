from __future__ import annotations

from edge_tts.events import Event, Started, WordSpoken
from edge_tts.timeline import Timeline


def word(index: int) -> Event:
    return WordSpoken("7", "x", "w", index)


def test_events_are_released_when_their_samples_have_been_heard() -> None:
    timeline = Timeline()
    timeline.add([(0, word(0)), (100, word(1)), (100, word(2)), (200, word(3))])
    assert timeline.due(0) == []
    assert timeline.due(1) == [word(0)]
    assert timeline.due(101) == [word(1), word(2)]
    assert timeline.due(200) == []
    timeline.prepend(0, Started("7", "x"))
    assert timeline.due(201) == [Started("7", "x"), word(3)]
