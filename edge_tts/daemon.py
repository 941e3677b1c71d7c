"""The daemon: takes requests from its sources, queues them, has them spoken, and carries the events back."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from edge_tts import __version__
from edge_tts.audio.sink import AudioSink
from edge_tts.errors import AudioDeviceError, QueueFull
from edge_tts.events import Accepted, Cancelled, Event, Failed, Finished, Started, State
from edge_tts.metrics import Metrics
from edge_tts.request import Priority, SettingsChange, SpeechRequest
from edge_tts.request_queue import RecentIds, RequestQueue
from edge_tts.sources.base import RequestSource
from edge_tts.synthesizer import Synthesizer
from edge_tts.systemd import Notifier
from edge_tts.voices.store import VoiceStore

log = logging.getLogger(__name__)

TICK = 0.01
"""Seconds between looks at the sound position while speaking."""
IDLE_TICK = 0.5
METRICS_INTERVAL = 60.0
STUCK_AFTER = 25.0
"""Seconds without progress of the worker after which the watchdog is no longer fed."""
JOIN_TIMEOUT = 5.0
MAX_EVENTS = 10_000
BATCH = 500
"""Events after which a flood of them makes way for the other duties of the main thread."""


class Daemon:
    """Everything between the sources and the sink. It is the sources' RequestHandler."""

    def __init__(
        self,
        synthesizer_for: Callable[[Callable[[Event], None], Metrics], Synthesizer],
        voices: VoiceStore,
        sink: AudioSink,
        queue_size: int = 64,
        duplicate_window: float = 60.0,
    ) -> None:
        """`synthesizer_for(emit, metrics)` builds the synthesizer around the daemon's event queue."""
        self.metrics = Metrics()
        self._voices = voices
        self._sink = sink
        self._requests = RequestQueue(queue_size)
        self._recent = RecentIds(duplicate_window)
        self._admission = threading.Lock()
        self._unfinished: dict[str, str] = {}
        """The sources of the requests that were accepted and have not ended, by id."""
        self._events: queue.Queue[Event | None] = queue.Queue(MAX_EVENTS)
        self._synthesizer = synthesizer_for(self._emit, self.metrics)
        self._sources: dict[str, RequestSource] = {}
        self._notifier = Notifier()
        self._stopping = threading.Event()
        self._audio_lost = False
        self._worker = threading.Thread(target=self._work, name="synthesis", daemon=True)

    # What sources call.

    def submit(self, request: SpeechRequest) -> None:
        """Queue a request; accepted or failed follows as an event. A known id is not queued a second time."""
        with self._admission:
            if request.id in self._recent:
                log.info("request %s was delivered again and is not spoken twice", request.id)
                self._emit(Accepted(request.id, request.source, duplicate=True))
                return
            try:
                admission = self._requests.put(request)
            except QueueFull as error:
                self._emit(Failed(request.id, request.source, code=error.code, message=str(error)))
                return
            self._recent.add(request.id)
            self._unfinished[request.id] = request.source
            self._emit(Accepted(request.id, request.source, position=admission.position))
        if admission.dropped is not None:
            self._emit(Cancelled(admission.dropped.id, admission.dropped.source, reason="overflow"))
        if request.interrupt or request.priority == Priority.ALARM:
            self._synthesizer.cancel("interrupted", lambda playing: self._yields(playing, request))

    @staticmethod
    def _yields(playing: SpeechRequest, request: SpeechRequest) -> bool:
        if request.interrupt:
            return playing.priority <= request.priority
        return playing.priority < request.priority

    def stop(self, request_id: str | None = None) -> int:
        """Cancel the request with this id, or with None all of them. Returns how many were cancelled."""
        with self._admission:
            removed = self._requests.remove(request_id)
        for request in removed:
            self._emit(Cancelled(request.id, request.source, reason="stopped"))
        playing = self._synthesizer.cancel("stopped", lambda request: request_id in (None, request.id))
        return len(removed) + playing

    def apply(self, change: SettingsChange) -> None:
        """Change settings for requests to come. Raises UnknownVoice or BundleError and then changes nothing."""
        if change.voice is not None:
            self._voices.choose_default(change.voice)
        if change.volume is not None:
            self._sink.volume = change.volume
        if change.rate is not None:
            self._synthesizer.rate = change.rate
        if change.pitch is not None:
            self._synthesizer.pitch = change.pitch
        self._report()

    def state(self) -> State:
        """What the daemon is doing now."""
        current = self._synthesizer.current
        status = "speaking" if current else "no_audio" if self._audio_lost else "idle"
        return State(
            status=status,
            voice=self._voices.default,
            queued=len(self._requests),
            speaking=current.id if current else None,
            volume=self._sink.volume,
            rate=self._synthesizer.rate,
            pitch=self._synthesizer.pitch,
            version=__version__,
        )

    # The life of the daemon.

    def run(
        self,
        sources: Sequence[RequestSource],
        on_ready: Callable[[], None] = lambda: None,
        until: threading.Event | None = None,
    ) -> None:
        """Start everything, carry events until `shut_down` is called, then stop everything in reverse order.

        `sources` must have been made with this daemon as their handler. With `until` it also ends once that is set
        and nothing is left to say. Raises BundleError without a usable voice.
        """
        self._sources = {source.name: source for source in sources}
        started: list[RequestSource] = []
        self._voices.load_default()
        try:
            self._sink.start()
            self._worker.start()
            for source in sources:
                source.start()
                started.append(source)
            self._notifier.ready(f"speaking with {self._voices.default}")
            self._report()
            on_ready()
            self._loop(until)
        finally:
            self._notifier.stopping()
            self._stop(started)

    def shut_down(self) -> None:
        """Make `run` return. May be called from a signal handler."""
        self._stopping.set()

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM shut the daemon down in good order; a second one ends the process."""

        def stop(number: int, frame: object) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.shut_down()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _is_idle(self) -> bool:
        return not self._unfinished and self._events.empty()

    def _loop(self, until: threading.Event | None) -> None:
        next_feed = next_metrics = 0.0
        interval = self._notifier.watchdog_interval
        while not self._stopping.is_set():
            speaking = self._synthesizer.current is not None
            self._dispatch(timeout=TICK if speaking else IDLE_TICK)
            self._synthesizer.emit_due()
            if until is not None and until.is_set() and self._is_idle():
                return
            for request in self._requests.take_expired():
                self._emit(Cancelled(request.id, request.source, reason="expired"))
            now = time.monotonic()
            if interval and now >= next_feed and now - self._synthesizer.progress < STUCK_AFTER:
                self._notifier.watchdog()
                next_feed = now + interval
            if now >= next_metrics:
                self._measure()
                next_metrics = now + METRICS_INTERVAL

    def _dispatch(self, timeout: float) -> None:
        for _ in range(BATCH):
            try:
                event = self._events.get(timeout=timeout)
            except queue.Empty:
                return
            timeout = 0.0
            if event is not None:
                self._deliver(event)

    def _deliver(self, event: Event) -> None:
        source = self._sources.get(event.source)
        if source is not None:
            with _logged(source):
                source.publish(event)
        if isinstance(event, Started):
            self._audio_lost = False
        elif isinstance(event, Failed) and event.code == AudioDeviceError.code:
            self._audio_lost = True
        if isinstance(event, (Accepted, Started, Finished, Cancelled, Failed)):
            self._report()
        if isinstance(event, (Finished, Cancelled, Failed)):
            self._unfinished.pop(event.id, None)
            self._measure()

    def _report(self) -> None:
        state = self.state()
        for source in self._sources.values():
            with _logged(source):
                source.report(state)

    def _measure(self) -> None:
        numbers = {**self.metrics.snapshot(), "queued": len(self._requests), "underruns": self._sink.underruns}
        for source in self._sources.values():
            with _logged(source):
                source.measure(numbers)

    def _emit(self, event: Event) -> None:
        try:
            self._events.put(event, timeout=1.0)
        except queue.Full:
            log.error("event %s of request %s was lost: %d events are waiting", event.name, event.id, MAX_EVENTS)

    def _work(self) -> None:
        self._synthesizer.warm_up()
        while not self._stopping.is_set():
            request = self._requests.get(IDLE_TICK, taken=self._synthesizer.claim)
            self._synthesizer.progress = time.monotonic()
            if request is None:
                continue
            self._wake()
            # Its accepted event is sent under this lock, and nothing may come before it.
            with self._admission:
                pass
            self._synthesizer.speak(request)

    def _wake(self) -> None:
        """Make the main thread look at the sound position more often from now on."""
        with contextlib.suppress(queue.Full):
            self._events.put_nowait(None)

    def _stop(self, started: Sequence[RequestSource]) -> None:
        self._stopping.set()
        # Events are carried meanwhile: in a flood, who holds this lock may be waiting for room among them.
        while not self._admission.acquire(timeout=TICK):
            self._dispatch(timeout=0.0)
        self._requests.close()
        self._admission.release()
        self._synthesizer.cancel("shutdown")
        # The worker may be waiting for it, too.
        deadline = time.monotonic() + JOIN_TIMEOUT
        while self._worker.is_alive() and time.monotonic() < deadline:
            self._dispatch(timeout=TICK)
        # What comes from now on are refusals, so the events there are now hold the last ones of accepted requests.
        for _ in range(self._events.qsize() // BATCH + 1):
            self._dispatch(timeout=0.0)
        for request_id, name in list(self._unfinished.items()):
            self._deliver(Cancelled(request_id, name, reason="shutdown"))
        for source in reversed(started):
            with _logged(source):
                source.stop()
        self._sink.stop()


@contextlib.contextmanager
def _logged(source: RequestSource) -> Iterator[None]:
    """Let an error in one source be a log entry and not the end of the others."""
    try:
        yield
    except Exception:
        log.exception("%s failed", source.name)
