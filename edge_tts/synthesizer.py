"""Speaks one request at a time: front end, voice, sink, and the events that belong to it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge_tts.audio.chunk import Mark, Samples
from edge_tts.audio.sink import AudioSink
from edge_tts.errors import EdgeTtsError
from edge_tts.events import Cancelled, Event, Failed, Finished, Started, VisemeShown, WordSpoken
from edge_tts.logs import FIELDS
from edge_tts.metrics import Metrics
from edge_tts.rendering import Renderer
from edge_tts.request import SpeechRequest
from edge_tts.sentence import Sentence
from edge_tts.timeline import Timeline
from edge_tts.voices.base import Delivery, Sampling, Voice

log = logging.getLogger(__name__)

WARM_UP = "1 blick."


class SpokenPart(Protocol):
    """A sentence from the front end with the delivery that its markup asks for."""

    @property
    def sentence(self) -> Sentence: ...
    @property
    def rate(self) -> float: ...
    @property
    def pitch(self) -> float: ...
    @property
    def volume(self) -> float: ...


class FrontEnd(Protocol):
    """Turns a request's text, SSML or phonemes into sentences, lazily. Raises BadRequest or a kind of it."""

    def __call__(self, request: SpeechRequest, language: str) -> Iterable[SpokenPart]: ...


class VoiceSource(Protocol):
    """Finds the voice that a request asks for."""

    def voice_for(self, name: str | None, language: str | None) -> Voice:
        """The loaded voice. Raises UnknownVoice, UnknownLanguage or BundleError."""


@dataclass
class Utterance:
    """The request being spoken and how far it has come."""

    request: SpeechRequest
    voice: Voice | None = None
    cancelled: str | None = None
    """Why it is to end early."""
    written: int = 0
    """Samples handed to the sink."""
    words: int = 0
    first_audio: float | None = None
    """Seconds from the request's arrival to the first samples handed to the sink."""
    cpu: float = 0.0
    """Seconds of CPU time of the whole process: a voice may use threads of its own."""
    timeline: Timeline = field(default_factory=Timeline)


class Synthesizer:
    """Speaks requests through a sink. `speak` belongs to the worker thread, the rest to any."""

    def __init__(
        self,
        front_end: FrontEnd,
        voices: VoiceSource,
        sink: AudioSink,
        emit: Callable[[Event], None],
        renderer: Renderer,
        metrics: Metrics,
    ) -> None:
        self._front_end = front_end
        self._voices = voices
        self._sink = sink
        self._emit = emit
        self._renderer = renderer
        self._metrics = metrics
        self._lock = threading.Lock()
        self._current: Utterance | None = None
        self.rate = 1.0
        self.pitch = 0.0
        self.progress = time.monotonic()
        """When the worker last did something; a watchdog compares it with the clock."""

    @property
    def current(self) -> SpeechRequest | None:
        """The request being spoken."""
        utterance = self._current
        return utterance.request if utterance else None

    def cancel(self, reason: str, matches: Callable[[SpeechRequest], bool] = lambda request: True) -> bool:
        """Stop what is being spoken if it matches; its Cancelled event follows. Returns whether it did."""
        with self._lock:
            if self._current is None or self._current.cancelled or not matches(self._current.request):
                return False
            self._current.cancelled = reason
            self._sink.cancel()
            self._renderer.cancel()
            return True

    def emit_due(self) -> None:
        """Emit the events of samples that have been heard by now."""
        with self._lock:
            utterance = self._current
            if utterance is None or utterance.cancelled:
                return
            for event in utterance.timeline.due(self._sink.heard()):
                self._emit(event)

    def warm_up(self) -> None:
        """Have the front end load what it loads at its first number and its first unknown word."""
        try:
            language = self._voices.voice_for(None, None).language
            for _ in self._front_end(SpeechRequest(text=WARM_UP), language):
                pass
        except EdgeTtsError as error:
            log.warning("warming up: %s", error)

    def claim(self, request: SpeechRequest) -> None:
        """Make a request the current one, which `cancel` reaches, ahead of `speak`."""
        with self._lock:
            self._current = Utterance(request, cancelled="expired" if request.expired else None)

    def speak(self, request: SpeechRequest) -> None:
        """Speak a request to its end. Whatever happens ends in exactly one finished, cancelled or failed event."""
        if self.current is not request:
            self.claim(request)
        utterance = self._current
        assert utterance is not None
        self.progress = time.monotonic()
        started_cpu = time.process_time()
        outcome: Event
        try:
            completed = self._play(utterance)
            rate = utterance.voice.sample_rate if utterance.voice else 1
            outcome = Finished(request.id, request.source, duration_ms=round(1000 * utterance.written / rate))
            if not completed:
                outcome = Cancelled(request.id, request.source, reason=utterance.cancelled or "stopped")
        except EdgeTtsError as error:
            outcome = Failed(request.id, request.source, code=error.code, message=str(error))
        except Exception as error:
            log.exception("utterance %s failed", request.id)
            outcome = Failed(request.id, request.source, code="internal", message=f"{type(error).__name__}: {error}")
        if utterance.cancelled and isinstance(outcome, Failed):
            # A voice that was cut off in the middle of a graph may say so by an error.
            outcome = Cancelled(request.id, request.source, reason=utterance.cancelled)
        utterance.cpu = time.process_time() - started_cpu
        self._end(utterance, outcome)

    def _end(self, utterance: Utterance, outcome: Event) -> None:
        with self._lock:
            if isinstance(outcome, Finished):
                for event in utterance.timeline.due(utterance.written + 1):
                    self._emit(event)
            else:
                self._sink.cancel()
            self._current = None
        self.progress = time.monotonic()
        self._report(utterance, outcome)
        self._emit(outcome)

    def _play(self, utterance: Utterance) -> bool:
        request = utterance.request
        voice = self._voices.voice_for(request.voice, request.language)
        utterance.voice = voice
        if utterance.cancelled:
            return False
        parts = iter(self._front_end(request, request.language or voice.language))
        self._sink.begin(voice.sample_rate, request.id)
        pause = 0.0
        for part in parts:
            if pause and not self._write(utterance, np.zeros(round(pause * voice.sample_rate), np.float32)):
                return False
            for samples in self._pieces(utterance, voice, part):
                if not self._write(utterance, samples):
                    return False
            pause = part.sentence.pause
        return not utterance.cancelled and self._sink.drain()

    def _pieces(self, utterance: Utterance, voice: Voice, part: SpokenPart) -> Iterator[Samples]:
        """The sentence's samples at their volume, while its marks go onto the timeline."""
        request = utterance.request
        delivery = Delivery(
            rate=float(np.clip(request.rate * self.rate * part.rate, 0.5, 2.0)),
            pitch=float(np.clip(request.pitch + self.pitch + part.pitch, -6.0, 6.0)),
            style=request.style,
            sampling=Sampling(**request.sampling.model_dump()),
        )
        gain = np.float32(request.volume * part.volume)
        begin, first_word = utterance.written, utterance.words
        for samples, marks in self._renderer.pieces(voice, part.sentence, delivery, request.cache):
            moments = (self._moment(request, mark, begin, first_word, voice.sample_rate) for mark in marks)
            utterance.timeline.add(moments)
            yield samples if gain == 1.0 else samples * gain
        utterance.words += len(part.sentence.words)

    @staticmethod
    def _moment(request: SpeechRequest, mark: Mark, begin: int, first_word: int, rate: int) -> tuple[int, Event]:
        sample = begin + mark.offset
        offset_ms = round(1000 * sample / rate)
        if mark.kind == "word":
            return sample, WordSpoken(request.id, request.source, mark.value, first_word + mark.index, offset_ms)
        return sample, VisemeShown(request.id, request.source, mark.value, offset_ms)

    def _write(self, utterance: Utterance, samples: Samples) -> bool:
        if utterance.cancelled:
            return False
        if len(samples) == 0:
            return True
        if utterance.first_audio is None and utterance.voice is not None:
            request = utterance.request
            utterance.first_audio = time.monotonic() - request.received
            started = Started(request.id, request.source, utterance.voice.name, round(1000 * utterance.first_audio))
            utterance.timeline.prepend(0, started)
        accepted = self._sink.write(samples)
        self.progress = time.monotonic()
        utterance.written += len(samples)
        return accepted and not utterance.cancelled

    def _report(self, utterance: Utterance, outcome: Event) -> None:
        request = utterance.request
        self._metrics.count(outcome.name)
        fields: dict[str, object] = {"event": outcome.name, "id": request.id, "characters": len(request.content)}
        line = f"{outcome.name} {request.id}"
        if utterance.voice is not None and utterance.first_audio is not None:
            seconds = utterance.written / utterance.voice.sample_rate
            first_audio_ms = round(1000 * utterance.first_audio)
            rtf = utterance.cpu / seconds if seconds else 0.0
            self._metrics.set("first_audio_ms", first_audio_ms)
            self._metrics.set("real_time_factor", round(rtf, 4))
            fields |= {"voice": utterance.voice.name, "seconds": round(seconds, 2)}
            fields |= {"first_audio_ms": first_audio_ms, "real_time_factor": round(rtf, 4)}
            line += f" voice={utterance.voice.name} characters={len(request.content)} audio={seconds:.1f}s"
            line += f" first_audio={first_audio_ms}ms rtf={rtf:.3f}"
        if isinstance(outcome, Failed):
            fields |= {"code": outcome.code, "error": outcome.message}
            log.warning("%s: %s: %s", line, outcome.code, outcome.message, extra={FIELDS: fields})
        else:
            if isinstance(outcome, Cancelled):
                line += f" ({outcome.reason})"
            log.info("%s", line, extra={FIELDS: fields})
