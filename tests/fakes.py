"""Stand-ins for a voice, a front end, voices by name and a source."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from edge_tts.audio.chunk import AudioChunk, Mark
from edge_tts.errors import NothingToSay, UnknownVoice
from edge_tts.events import Cancelled, Event, Failed, Finished, State
from edge_tts.request import SpeechRequest
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.base import ChunkPlan, Delivery, Voice

RATE = 8000
WORD_SAMPLES = 800


@dataclass(frozen=True)
class FakePart:
    """A sentence as the front end hands it over."""

    sentence: Sentence
    rate: float = 1.0
    pitch: float = 0.0
    volume: float = 1.0


def fake_front_end(request: SpeechRequest, language: str) -> Iterator[FakePart]:
    """Sentences end at full stops, words at spaces; every word has one phone."""
    sentences = [part.split() for part in request.content.split(".") if part.split()]
    if not sentences:
        raise NothingToSay("nothing to say")
    for words in sentences:
        yield FakePart(Sentence(tuple(Word(word, ("AH0",), Break.NONE) for word in words), pause=0.1))


@dataclass
class FakeVoice:
    """Speaks 100 ms of ramp a word at 8 kHz, one chunk a word; `before_chunk` may fail or wait."""

    name: str = "fake"
    language: str = "en-US"
    sample_rate: int = RATE
    precision: str = "fp32"
    styles: tuple[str, ...] = ()
    overlap: int = 0
    before_chunk: Callable[[int], None] = lambda index: None
    deliveries: list[Delivery] = field(default_factory=list)
    cut: threading.Event = field(default_factory=threading.Event)
    """Set when a session is cancelled; `before_chunk` may wait for it."""
    closed: bool = False

    def open(self, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> FakeSession:
        self.deliveries.append(delivery)
        self.cut.clear()
        return FakeSession(self, sentence)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeSession:
    """Its chunks, overlapping by `voice.overlap` samples, make one ramp from 0 towards 1."""

    voice: FakeVoice
    sentence: Sentence

    @property
    def overlap(self) -> int:
        return self.voice.overlap

    def cancel(self) -> None:
        self.voice.cut.set()

    def __iter__(self) -> Iterator[AudioChunk]:
        whole = whole_sentence(self.sentence)
        for index, word in enumerate(self.sentence.words):
            self.voice.before_chunk(index)
            if self.voice.cut.is_set():
                return
            begin = index * WORD_SAMPLES
            end = min(begin + WORD_SAMPLES + self.overlap, len(whole))
            marks = (Mark(begin, "word", word.text, index), Mark(begin + 400, "viseme", "AH"))
            yield AudioChunk(whole[begin:end], self.voice.sample_rate, marks)


def whole_sentence(sentence: Sentence) -> np.ndarray:
    """What a FakeVoice says, in one piece."""
    total = len(sentence.words) * WORD_SAMPLES
    return ((np.arange(total, dtype=np.float32) + 1) / (total + 1)).astype(np.float32)


class FakeVoices:
    """A VoiceStore with voices in memory."""

    def __init__(self, *voices: FakeVoice) -> None:
        self._voices = {voice.name: voice for voice in voices or (FakeVoice(),)}
        self.default = next(iter(self._voices))

    def load_default(self) -> Voice:
        return self._voices[self.default]

    def voice_for(self, name: str | None, language: str | None) -> Voice:
        if (name or self.default) not in self._voices:
            raise UnknownVoice(f"voice {name!r} is not installed")
        return self._voices[name or self.default]

    def choose_default(self, name: str) -> None:
        self.voice_for(name, None)
        self.default = name


class FakeSource:
    """Remembers what it was told."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.events: list[Event] = []
        self.states: list[State] = []
        self.measured: list[Mapping[str, float]] = []
        self.started = self.stopped = False
        self._changed = threading.Condition()

    def start(self) -> None:
        self.started = True

    def publish(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def report(self, state: State) -> None:
        self.states.append(state)

    def measure(self, numbers: Mapping[str, float]) -> None:
        self.measured.append(numbers)

    def stop(self) -> None:
        self.stopped = True

    def wait_for(self, condition: Callable[[list[Event]], bool], timeout: float = 10.0) -> list[Event]:
        """The events, once they fulfil the condition; fails the test when they do not in time."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.events), timeout), self.events
            return list(self.events)

    def outcomes(self, *ids: str, timeout: float = 10.0) -> dict[str, Event]:
        """How each of these requests ended."""

        def ended(events: list[Event]) -> dict[str, Event]:
            return {event.id: event for event in events if isinstance(event, (Finished, Cancelled, Failed))}

        return ended(self.wait_for(lambda events: set(ids) <= ended(events).keys(), timeout))


def poll_until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait for a condition that nothing announces; fails the test when it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
