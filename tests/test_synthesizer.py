from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge_tts.cache import PhraseCache
from edge_tts.errors import VoiceError
from edge_tts.events import Cancelled, Event, Failed, Finished, Started, WordSpoken
from edge_tts.metrics import Metrics
from edge_tts.rendering import Renderer
from edge_tts.request import SpeechRequest
from edge_tts.synthesizer import Synthesizer
from edge_tts.voices.base import ChunkPlan
from tests.fake_sink import FakeSink
from tests.fakes import FakePart, FakeVoice, FakeVoices, fake_front_end, poll_until, whole_sentence


class Bench:
    """A synthesizer between fakes."""

    def __init__(self, voice: FakeVoice | None = None, clocked: bool = False) -> None:
        self.voice = voice or FakeVoice()
        self.sink = FakeSink(clocked=clocked)
        self.events: list[Event] = []
        self.metrics = Metrics()
        self.synthesizer = Synthesizer(
            fake_front_end,
            FakeVoices(self.voice),
            self.sink,
            self.events.append,
            Renderer(PhraseCache(1 << 20), ChunkPlan()),
            self.metrics,
        )

    def say(self, text: str, **fields: object) -> list[Event]:
        request = SpeechRequest.model_validate({"text": text, "id": "7", "source": "x", **fields})
        self.synthesizer.speak(request)
        return self.events

    def say_in_background(self, text: str, **fields: object) -> threading.Thread:
        thread = threading.Thread(target=self.say, args=(text,), kwargs=fields)
        thread.start()
        return thread


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def test_every_sample_of_every_sentence_reaches_the_sink_with_the_pause_between() -> None:
    bench = Bench()
    bench.say("a b c. d e.")
    parts = list(fake_front_end(SpeechRequest(text="a b c. d e."), "en-US"))
    pause = np.zeros(800, np.float32)
    expected = np.concatenate([whole_sentence(parts[0].sentence), pause, whole_sentence(parts[1].sentence)])
    np.testing.assert_array_equal(bench.sink.now.samples, expected)


@pytest.mark.parametrize("overlap", [1, 100, 512])
def test_overlapping_chunks_are_cross_faded_to_the_same_sentence(overlap: int) -> None:
    bench = Bench(FakeVoice(overlap=overlap))
    bench.say("a b c d")
    part = next(iter(fake_front_end(SpeechRequest(text="a b c d"), "en-US")))
    np.testing.assert_allclose(bench.sink.now.samples, whole_sentence(part.sentence), atol=1e-6)


def test_events_come_in_order_with_words_counted_over_the_request() -> None:
    events = Bench().say("a b. c")
    assert names(events) == ["started", *["word", "viseme"] * 3, "finished"]
    words = [(event.word, event.index, event.offset_ms) for event in events if isinstance(event, WordSpoken)]
    assert words == [("a", 0, 0), ("b", 1, 100), ("c", 2, 300)]
    assert events[-1] == Finished("7", "x", duration_ms=400)


def test_words_are_told_when_they_are_heard() -> None:
    bench = Bench(clocked=True)
    thread = bench.say_in_background("a b c")
    bench.sink.await_written(2400)
    bench.synthesizer.emit_due()
    assert names(bench.events) == []
    bench.sink.advance(0.13)
    bench.synthesizer.emit_due()
    assert names(bench.events) == ["started", "word", "viseme", "word"]
    bench.sink.advance(10)
    thread.join(5)
    assert names(bench.events)[-1] == "finished"


def test_volume_scales_the_request_alone() -> None:
    bench = Bench()
    bench.say("a", volume=0.5)
    bench.say("a", volume=0.0)
    full = whole_sentence(next(iter(fake_front_end(SpeechRequest(text="a"), "en-US"))).sentence)
    np.testing.assert_allclose(bench.sink.utterances[0].samples, full / 2)
    assert not bench.sink.utterances[1].samples.any()


def test_rates_multiply_and_stay_in_range() -> None:
    bench = Bench()
    bench.synthesizer.rate, bench.synthesizer.pitch = 1.5, 4.0
    bench.say("a", rate=1.2, pitch=1.0)
    bench.say("a", rate=2.0, pitch=6.0)
    assert [(item.rate, item.pitch) for item in bench.voice.deliveries] == [(pytest.approx(1.8), 5.0), (2.0, 6.0)]


def test_cancelling_stops_between_chunks_and_ends_with_one_event() -> None:
    bench = Bench(clocked=True)
    thread = bench.say_in_background(" ".join("word" for _ in range(1000)))
    bench.sink.await_written(1600)
    assert bench.synthesizer.cancel("stopped")
    assert not bench.synthesizer.cancel("stopped")
    thread.join(5)
    assert bench.events[-1] == Cancelled("7", "x", "stopped")
    assert names(bench.events).count("cancelled") == 1
    assert bench.sink.now.written < 1000 * 800


def test_only_what_matches_is_cancelled() -> None:
    bench = Bench(clocked=True)
    thread = bench.say_in_background("a b")
    bench.sink.await_written(1600)
    assert not bench.synthesizer.cancel("stopped", lambda request: request.id == "8")
    bench.sink.advance(10)
    thread.join(5)
    assert names(bench.events)[-1] == "finished"
    assert not bench.synthesizer.cancel("stopped")


def test_a_stop_reaches_a_request_that_is_claimed_and_not_yet_spoken() -> None:
    bench = Bench()
    request = SpeechRequest(text="a b", id="7", source="x")
    bench.synthesizer.claim(request)
    assert bench.synthesizer.cancel("stopped")
    bench.synthesizer.speak(request)
    assert bench.events == [Cancelled("7", "x", "stopped")]
    assert bench.synthesizer.current is None


def test_cancelling_before_the_sink_has_begun_is_not_lost() -> None:
    bench = Bench()

    def front_end(request: SpeechRequest, language: str) -> Iterator[FakePart]:
        bench.synthesizer.cancel("stopped")
        return fake_front_end(request, language)

    bench.synthesizer = Synthesizer(
        front_end,
        FakeVoices(),
        bench.sink,
        bench.events.append,
        Renderer(PhraseCache(1 << 20), ChunkPlan()),
        bench.metrics,
    )
    assert bench.say("a b") == [Cancelled("7", "x", "stopped")]
    assert bench.sink.now.written == 0


@pytest.mark.parametrize(
    ("error", "code"), [(VoiceError("no graph"), "voice_failed"), (ZeroDivisionError("oops"), "internal")]
)
def test_a_voice_that_fails_midway_fails_the_request_and_not_the_next(error: Exception, code: str) -> None:
    bench = Bench()

    def fail(index: int) -> None:
        if index == 1:
            raise error

    bench.voice.before_chunk = fail
    failed = bench.say("a b")[-1]
    assert isinstance(failed, Failed)
    assert (failed.code, str(error) in failed.message) == (code, True)
    assert bench.sink.now.cancelled
    bench.voice.before_chunk = lambda index: None
    assert names(bench.say("a b"))[-1] == "finished"


def test_a_device_that_is_lost_fails_the_request_with_its_code() -> None:
    bench = Bench()
    bench.sink.lose_after(800)
    failed = bench.say("a b c")[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "audio_device"


@pytest.mark.parametrize(("fields", "code"), [({"text": " . "}, "nothing_to_say"), ({"voice": "x"}, "unknown_voice")])
def test_a_request_that_cannot_be_spoken_says_why(fields: dict[str, str], code: str) -> None:
    (failed,) = Bench().say(**{"text": "a", **fields})
    assert isinstance(failed, Failed)
    assert failed.code == code


def test_one_line_is_logged_for_an_utterance(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    Bench().say("a b")
    (record,) = caplog.records
    assert record.getMessage().startswith("finished 7 voice=fake characters=3 audio=0.2s first_audio=")
    assert record.fields["real_time_factor"] >= 0


def test_progress_is_noted_with_every_chunk() -> None:
    bench = Bench(clocked=True)
    before = bench.synthesizer.progress
    thread = bench.say_in_background("a b")
    poll_until(lambda: bench.synthesizer.progress > before)
    bench.sink.await_written(1600)
    bench.sink.advance(10)
    thread.join(5)


def test_first_audio_is_measured_from_the_arrival_of_the_text() -> None:
    bench = Bench()
    started = next(event for event in bench.say("a") if isinstance(event, Started))
    assert started.voice == "fake"
    assert bench.metrics.snapshot()["first_audio_ms"] == started.first_audio_ms


def test_a_phrase_that_is_known_is_not_synthesized_again() -> None:
    bench = Bench()
    first = list(bench.say("a b. c"))
    bench.events.clear()
    again = bench.say("a b. c")
    assert len(bench.voice.deliveries) == 2
    assert [(event.name, event.payload()) for event in first if event.name == "word"] == [
        (event.name, event.payload()) for event in again if event.name == "word"
    ]
    one, two = (utterance.samples for utterance in bench.sink.utterances)
    np.testing.assert_allclose(one, two, atol=1 / 32767)


@pytest.mark.parametrize("fields", [{"cache": False}, {"rate": 1.5}, {"pitch": 1.0}, {"style": "calm"}])
def test_another_delivery_is_another_phrase(fields: dict[str, object]) -> None:
    bench = Bench()
    bench.say("a")
    bench.say("a", **fields)
    assert len(bench.voice.deliveries) == 2


def test_an_interrupted_sentence_is_not_remembered() -> None:
    bench = Bench(clocked=True)
    thread = bench.say_in_background(" ".join("word" for _ in range(1000)))
    bench.sink.await_written(1600)
    bench.synthesizer.cancel("stopped")
    thread.join(5)
    bench.say_in_background(" ".join("word" for _ in range(1000)))
    poll_until(lambda: len(bench.voice.deliveries) == 2)
    bench.synthesizer.cancel("stopped")


@pytest.mark.parametrize("by_error", [False, True])
def test_a_cancel_reaches_into_a_chunk_that_takes_long(by_error: bool) -> None:
    bench = Bench()

    def compute_for_long(index: int) -> None:
        if index == 1:
            assert bench.voice.cut.wait(10)
            if by_error:
                raise VoiceError("the graph was cut off")

    bench.voice.before_chunk = compute_for_long
    thread = bench.say_in_background("a b c")
    bench.sink.await_written(800)
    poll_until(lambda: bench.synthesizer.cancel("stopped"))
    thread.join(5)
    assert bench.events[-1] == Cancelled("7", "x", "stopped")
    bench.voice.before_chunk = lambda index: None
    assert bench.say("a b c")[-1].name == "finished"
    assert bench.sink.now.written == 2400
