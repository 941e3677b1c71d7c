from __future__ import annotations

import threading
import time

import pytest

from edge_tts.errors import QueueFull
from edge_tts.request import SpeechRequest
from edge_tts.request_queue import RecentIds, RequestQueue


def say(name: str, priority: str = "normal", **fields: object) -> SpeechRequest:
    return SpeechRequest.model_validate({"text": name, "id": name, "priority": priority, **fields})


def order(queue: RequestQueue) -> str:
    return " ".join(request.id for request in iter(lambda: queue.get(timeout=0), None))


def test_urgent_requests_go_first_and_equals_in_order() -> None:
    queue = RequestQueue()
    for name, priority in (("a", "low"), ("b", "normal"), ("c", "alarm"), ("d", "normal"), ("e", "high")):
        queue.put(say(name, priority))
    assert order(queue) == "c e b d a"


def test_an_interrupting_request_goes_before_its_equals_but_not_before_the_more_urgent() -> None:
    queue = RequestQueue()
    for name, priority in (("a", "high"), ("b", "normal"), ("c", "normal")):
        queue.put(say(name, priority))
    assert queue.put(say("d", interrupt=True)).position == 1
    assert queue.put(say("e", interrupt=True)).position == 2
    assert order(queue) == "a d e b c"


def test_a_full_queue_drops_the_oldest_of_the_lowest_priority() -> None:
    queue = RequestQueue(3)
    for name, priority in (("a", "normal"), ("b", "low"), ("c", "low")):
        queue.put(say(name, priority))
    dropped = queue.put(say("d")).dropped
    assert dropped is not None
    assert dropped.id == "b"
    assert order(queue) == "a d c"


def test_a_full_queue_refuses_what_matters_less_than_all_that_waits() -> None:
    queue = RequestQueue(2)
    queue.put(say("a", "high"))
    queue.put(say("b", "high"))
    with pytest.raises(QueueFull, match="more important"):
        queue.put(say("c", "low"))
    assert order(queue) == "a b"


def test_an_alarm_is_never_dropped() -> None:
    queue = RequestQueue(2)
    for name in "abcd":
        assert queue.put(say(name, "alarm")).dropped is None
    for priority in ("alarm", "normal"):
        with pytest.raises(QueueFull, match="alarms"):
            queue.put(say("e", priority))
    assert order(queue) == "a b c d"


def test_requests_are_removed_by_id_or_all_together() -> None:
    queue = RequestQueue()
    for name in "abc":
        queue.put(say(name))
    assert [request.id for request in queue.remove("b")] == ["b"]
    assert queue.remove("b") == []
    assert [request.id for request in queue.remove()] == ["a", "c"]
    assert len(queue) == 0


def test_whoever_misses_a_request_in_the_queue_finds_it_taken() -> None:
    queue, taken, seen = RequestQueue(), [], []

    def take(request: SpeechRequest) -> None:
        remover = threading.Thread(target=lambda: seen.append((queue.remove("a"), list(taken))))
        remover.start()
        remover.join(0.05)
        taken.append(request.id)
        removers.append(remover)

    removers: list[threading.Thread] = []
    queue.put(say("a"))
    queue.get(0, taken=take)
    removers[0].join(5)
    assert seen == [([], ["a"])]


def test_a_closed_queue_refuses() -> None:
    queue = RequestQueue()
    queue.close()
    with pytest.raises(QueueFull, match="stopping"):
        queue.put(say("a"))


def test_expired_requests_are_taken_out() -> None:
    queue = RequestQueue()
    queue.put(say("a", ttl=5, received=time.monotonic() - 6))
    queue.put(say("b", ttl=60))
    assert [request.id for request in queue.take_expired()] == ["a"]
    assert order(queue) == "b"


def test_a_request_that_expires_while_the_queue_is_searched_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = RequestQueue()
    queue.put(say("a", ttl=60))
    looks = iter([False, True, True])
    monkeypatch.setattr(SpeechRequest, "expired", property(lambda request: next(looks)))
    first = queue.take_expired()
    assert len(first) + len(queue) == 1


def test_closing_wakes_whoever_waits() -> None:
    queue = RequestQueue()
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(queue.get(timeout=10)))
    waiter.start()
    queue.close()
    waiter.join(5)
    assert got == [None]


def test_ids_are_forgotten_after_the_window() -> None:
    ids = RecentIds(window=60)
    ids.add("a")
    assert "a" in ids
    assert "b" not in ids
    brief = RecentIds(window=0)
    brief.add("a")
    time.sleep(0.01)
    assert "a" not in brief


def test_ids_take_bounded_memory() -> None:
    ids = RecentIds(window=60, capacity=3)
    for name in "abcde":
        ids.add(name)
    assert "a" not in ids
    assert "e" in ids
