from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_tts.cache import PhraseCache
from edge_tts.daemon import Daemon
from edge_tts.errors import BundleError, UnknownVoice
from edge_tts.events import Accepted, Cancelled, Failed, Finished
from edge_tts.rendering import Renderer
from edge_tts.request import SettingsChange, SpeechRequest
from edge_tts.synthesizer import Synthesizer
from edge_tts.voices.base import ChunkPlan, Voice
from tests.fake_sink import FakeSink
from tests.fakes import FakeSource, FakeVoice, FakeVoices, fake_front_end, poll_until


class Running:
    """A daemon between fakes, in a thread of its own."""

    def __init__(self, clocked: bool = False, queue_size: int = 64, voices: FakeVoices | None = None) -> None:
        self.sink = FakeSink(clocked=clocked)
        self.voices = voices or FakeVoices(FakeVoice("a"), FakeVoice("b"))
        self.source = FakeSource()
        self.other = FakeSource("other")
        self.daemon = Daemon(self._synthesizer, self.voices, self.sink, queue_size=queue_size)
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _synthesizer(self, emit, metrics) -> Synthesizer:
        return Synthesizer(
            fake_front_end, self.voices, self.sink, emit, Renderer(PhraseCache(1 << 20), ChunkPlan()), metrics
        )

    def _run(self) -> None:
        self.daemon.run([self.source, self.other], on_ready=self.ready.set)

    def say(self, name: str, text: str = "one two three", **fields: object) -> None:
        fields = {"text": text, "id": name, "source": "fake", **fields}
        self.daemon.submit(SpeechRequest.model_validate(fields))

    def outcomes(self, *ids: str) -> dict[str, str]:
        return {name: event.name for name, event in self.source.outcomes(*ids).items()}


@contextmanager
def running(**options: object) -> Iterator[Running]:
    bench = Running(**options)
    bench.thread.start()
    try:
        assert bench.ready.wait(5)
        yield bench
    finally:
        bench.daemon.shut_down()
        bench.thread.join(10)
        assert not bench.thread.is_alive()


def test_a_request_is_accepted_spoken_and_finished_and_only_its_source_hears_of_it() -> None:
    with running() as bench:
        bench.say("7")
        bench.source.outcomes("7")
    names = [event.name for event in bench.source.events]
    assert names == ["accepted", "started", *["word", "viseme"] * 3, "finished"]
    assert bench.other.events == []
    assert {state.status for state in bench.other.states} >= {"idle"}


def test_a_known_id_is_spoken_once_and_answered_each_time() -> None:
    with running() as bench:
        bench.say("7")
        bench.say("7")
        bench.say("8")
        bench.source.outcomes("7", "8")
    accepted = [(event.id, event.duplicate) for event in bench.source.events if isinstance(event, Accepted)]
    assert accepted == [("7", False), ("7", True), ("8", False)]
    assert [utterance.id for utterance in bench.sink.utterances] == ["7", "8"]


def test_a_request_that_was_refused_may_be_sent_again_under_its_id() -> None:
    with running(clocked=True, queue_size=1) as bench:
        bench.say("a")
        bench.sink.await_written(1)
        bench.say("b", priority="high")
        bench.say("c", priority="low")
        assert bench.source.outcomes("c")["c"].code == "queue_full"
        bench.daemon.stop()
        bench.say("c", priority="low")
        bench.source.wait_for(lambda events: any(event.id == "c" and event.name == "accepted" for event in events))


def test_overflow_drops_the_oldest_low_priority_and_says_so() -> None:
    with running(clocked=True, queue_size=2) as bench:
        bench.say("playing")
        bench.sink.await_written(1)
        bench.say("a", priority="low")
        bench.say("b", priority="alarm")
        bench.say("c")
        assert bench.source.outcomes("a")["a"] == Cancelled("a", "fake", "overflow")


def test_a_burst_beyond_the_queue_loses_nothing_silently() -> None:
    with running(clocked=True) as bench:
        bench.say("playing")
        bench.sink.await_written(1)
        ids = [str(number) for number in range(200)]
        for name in ids:
            bench.say(name)
        bench.daemon.stop()
        assert set(bench.outcomes("playing", *ids).values()) == {"cancelled"}


def test_an_interrupt_takes_the_place_of_what_is_playing() -> None:
    with running(clocked=True) as bench:
        bench.say("a")
        bench.sink.await_written(1)
        bench.say("b")
        bench.say("c", interrupt=True)
        assert bench.source.outcomes("a")["a"] == Cancelled("a", "fake", "interrupted")
        poll_until(lambda: bench.sink.now.id == "c")


@pytest.mark.parametrize(
    ("playing", "arriving", "interrupted"),
    [
        ("normal", {"priority": "alarm"}, True),
        ("alarm", {"priority": "alarm"}, False),
        ("alarm", {"priority": "high", "interrupt": True}, False),
        ("alarm", {"priority": "alarm", "interrupt": True}, True),
        ("low", {"priority": "high"}, False),
    ],
)
def test_who_interrupts_whom(playing: str, arriving: dict[str, object], interrupted: bool) -> None:
    with running(clocked=True) as bench:
        bench.say("a", priority=playing)
        bench.sink.await_written(2400)
        bench.say("b", **arriving)
        bench.sink.advance(10)
        assert bench.outcomes("a")["a"] == ("cancelled" if interrupted else "finished")


def test_stop_by_id_leaves_the_others() -> None:
    with running(clocked=True) as bench:
        for name in "abc":
            bench.say(name)
        bench.sink.await_written(1)
        assert bench.daemon.stop("b") == 1
        assert bench.daemon.stop("nobody") == 0
        assert bench.daemon.stop("a") == 1
        bench.sink.await_utterances(1)
        poll_until(lambda: bench.sink.now.id == "c")
        bench.sink.await_written(2400)
        bench.sink.advance(10)
        assert bench.outcomes("a", "b", "c") == {"a": "cancelled", "b": "cancelled", "c": "finished"}


def test_what_waits_too_long_expires_with_an_event() -> None:
    with running(clocked=True) as bench:
        bench.say("a")
        bench.sink.await_written(1)
        bench.say("b", ttl=0.05)
        assert bench.source.outcomes("b")["b"] == Cancelled("b", "fake", "expired")


def test_a_failed_request_does_not_stop_the_next() -> None:
    with running() as bench:
        bench.say("a", text="...")
        bench.say("b", voice="nobody")
        bench.say("c")
        outcomes = bench.source.outcomes("a", "b", "c")
        assert isinstance(outcomes["c"], Finished)
        assert [outcomes[name].code for name in "ab"] == ["nothing_to_say", "unknown_voice"]


def test_a_lost_device_shows_in_the_state_until_speech_is_heard_again() -> None:
    with running() as bench:
        bench.sink.lose()
        bench.say("a")
        assert bench.source.outcomes("a")["a"].code == "audio_device"
        poll_until(lambda: bench.daemon.state().status == "no_audio")
        bench.sink.restore()
        bench.say("b")
        bench.source.outcomes("b")
        poll_until(lambda: bench.daemon.state().status == "idle")


def test_a_request_that_fails_for_another_reason_says_nothing_about_the_device() -> None:
    with running() as bench:
        bench.sink.lose()
        bench.say("a")
        bench.say("b", voice="nobody")
        bench.source.outcomes("a", "b")
        assert bench.daemon.state().status == "no_audio"


def test_settings_change_what_comes_later() -> None:
    with running() as bench:
        bench.daemon.apply(SettingsChange(volume=0.5, rate=1.5, pitch=-2, voice="b"))
        state = bench.daemon.state()
        assert (state.volume, state.rate, state.pitch, state.voice) == (0.5, 1.5, -2, "b")
        with pytest.raises(UnknownVoice):
            bench.daemon.apply(SettingsChange(volume=0.1, voice="nobody"))
        assert bench.daemon.state() == state


def test_shutting_down_cancels_what_is_left_and_tells_before_the_sources_stop() -> None:
    with running(clocked=True) as bench:
        bench.say("a")
        bench.say("b")
        bench.sink.await_written(1)
    assert bench.outcomes("a", "b") == {"a": "cancelled", "b": "cancelled"}
    assert {event.reason for event in bench.source.events if isinstance(event, Cancelled)} == {"shutdown"}
    assert bench.source.stopped
    assert not bench.sink.started


def test_a_flood_during_the_stop_leaves_no_accepted_request_without_an_end() -> None:
    with running(clocked=True) as bench:
        numbers = itertools.count()
        enough = threading.Event()

        def flood() -> None:
            while not enough.is_set():
                bench.say(f"flood-{next(numbers)}")

        sender = threading.Thread(target=flood)
        sender.start()
        bench.source.wait_for(lambda events: len(events) > 200)
        bench.daemon.shut_down()
        bench.thread.join(10)
        enough.set()
        sender.join()
    told = list(bench.source.events)
    accepted = [event.id for event in told if isinstance(event, Accepted)]
    ended = [event.id for event in told if isinstance(event, (Cancelled, Finished))]
    assert sorted(ended) == sorted(accepted)


def test_a_worker_that_does_not_end_in_time_does_not_keep_the_end_of_its_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_tts.daemon.JOIN_TIMEOUT", 0.1)
    released = threading.Event()
    voice = FakeVoice("a", before_chunk=lambda index: released.wait(10) and None)
    with running(voices=FakeVoices(voice)) as bench:
        bench.say("a")
        poll_until(lambda: bench.daemon.state().speaking == "a")
    released.set()
    assert bench.source.outcomes("a")["a"] == Cancelled("a", "fake", "shutdown")


def test_without_a_usable_voice_it_does_not_start() -> None:
    class NoVoices(FakeVoices):
        def load_default(self) -> Voice:
            raise BundleError("voice.json: damaged")

    bench = Running(voices=NoVoices())
    with pytest.raises(BundleError):
        bench.daemon.run([bench.source])
    assert not bench.source.started


def test_it_ends_by_itself_when_there_is_nothing_left_to_say() -> None:
    bench = Running()
    bench.say("a")
    finished = threading.Event()
    finished.set()
    bench.daemon.run([bench.source], until=finished)
    assert bench.outcomes("a") == {"a": "finished"}


def test_metrics_count_how_requests_ended() -> None:
    with running() as bench:
        bench.say("a")
        bench.say("b", text="...")
        bench.source.outcomes("a", "b")
        poll_until(lambda: bench.source.measured[-1].get("failed") == 1)
    numbers = bench.source.measured[-1]
    assert (numbers["finished"], numbers["underruns"], numbers["queued"]) == (1, 0, 0)
    json.dumps(dict(numbers))


def test_systemd_is_told_and_the_watchdog_fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        with running():
            assert manager.recv(1000).startswith(b"READY=1")
            assert manager.recv(1000) == b"WATCHDOG=1"
            assert manager.recv(1000) == b"WATCHDOG=1"
        while (message := manager.recv(1000)) == b"WATCHDOG=1":
            pass
        assert message.startswith(b"STOPPING=1")


def test_a_worker_that_hangs_starves_the_watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr("edge_tts.daemon.STUCK_AFTER", 0.3)
    monkeypatch.setattr("edge_tts.daemon.JOIN_TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        voice = FakeVoice("a", before_chunk=lambda index: released.wait(10) and None)
        with running(voices=FakeVoices(voice)) as bench:
            bench.say("a")
            manager.settimeout(1.0)
            with pytest.raises(TimeoutError):
                receive_for_ever(manager)
            released.set()


def receive_for_ever(manager: socket.socket) -> None:
    while True:
        manager.recv(1000)


def test_signals_shut_it_down() -> None:
    bench = Running()
    with bench.daemon.stopped_by_signals():
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        bench.daemon.run([bench.source])
    assert bench.source.stopped


def test_failures_carry_their_code() -> None:
    with running() as bench:
        bench.say("a", text=".")
        failed = bench.source.outcomes("a")["a"]
    assert isinstance(failed, Failed)
    assert failed.code == "nothing_to_say"


def test_a_source_that_fails_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("broken pipe")

    with running() as bench:
        bench.other.report = bench.other.measure = bench.other.publish = fail
        bench.say("a", source="other")
        bench.say("b")
        assert bench.outcomes("b") == {"b": "finished"}
    assert "other failed" in caplog.text
