"""Requests from a serial port, and the answers to them."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import termios
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import serial

from edge_tts.errors import EdgeTtsError
from edge_tts.events import Event, State
from edge_tts.request import make_request
from edge_tts.sources.backoff import Backoff
from edge_tts.sources.base import RequestHandler
from edge_tts.sources.dialect import Action, Answer, AskState, Change, Dialect, Say, Stop
from edge_tts.sources.native_dialect import NativeDialect
from edge_tts.sources.wakeup import Wakeup

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between attempts to open the port."""
STABLE_AFTER = 2.0
"""Seconds after which an open port counts as good and the pauses begin small again."""
READ_SIZE = 4096
WRITE_SIZE = 256
MAX_OUTGOING = 2048
"""Lines waiting for a peer that does not read; the oldest is dropped first."""
JOIN_TIMEOUT = 3.0


@dataclass
class _Admission:
    """The place of a request's `OK` or `ERR` among the lines to send, held until the daemon has decided."""

    id: str


class SerialSource:
    """One port (a device, a udev symlink, a pty), 8N1, in one dialect; it is opened again whenever it comes back."""

    def __init__(
        self, port: str, handler: RequestHandler, *, baud: int = 115200, dialect: Dialect | None = None
    ) -> None:
        self._port = port
        self._baud = baud
        self._handler = handler
        self._dialect = dialect or NativeDialect()
        self._lock = threading.Lock()
        self._outgoing: deque[bytes | _Admission] = deque(maxlen=MAX_OUTGOING)
        self._is_open = False
        self._complaint = ""
        self._stopping = threading.Event()
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    @property
    def name(self) -> str:
        """`serial:` and the port's path."""
        return f"serial:{self._port}"

    def start(self) -> None:
        """Begin to open the port, in the background; one that is absent is tried for ever."""
        self._thread.start()

    def stop(self) -> None:
        """Send what the port takes at once and close it."""
        self._stopping.set()
        self._wakeup.ring()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)
            if self._thread.is_alive():
                log.warning("%s did not end within %.0f s", self.name, JOIN_TIMEOUT)
                return
        self._wakeup.close()

    def publish(self, event: Event) -> None:
        """Send an event's line; lost while the port is out, or when the peer has long stopped reading."""
        with self._lock:
            line = self._dialect.event(event)
            place = _Admission(event.id)
            if place in self._outgoing:
                self._outgoing[self._outgoing.index(place)] = line
                self._wakeup.ring()
            else:
                self._put(line)

    def report(self, state: State) -> None:
        """Do nothing: the peer asks for the state when it wants it."""

    def measure(self, numbers: Mapping[str, float]) -> None:
        """Do nothing."""

    def _put(self, item: bytes | _Admission) -> None:
        if item and self._is_open:
            self._outgoing.append(item)
            self._wakeup.ring()

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with self._open() as port:
                    self._serve(port)
            except (OSError, ValueError, termios.error) as error:
                self._complain(error)
            except Exception:
                log.exception("%s failed; it will be opened again", self.name)
            with self._lock:
                self._is_open = False
                self._outgoing.clear()
            if time.monotonic() - began > STABLE_AFTER:
                backoff.reset()
            backoff.wait(self._stopping)

    def _complain(self, error: Exception) -> None:
        reason = str(error)
        # The same news every five seconds for ever would bury everything else in the log.
        level = logging.DEBUG if reason == self._complaint else logging.WARNING
        self._complaint = reason
        denied = isinstance(error, OSError) and error.errno == errno.EACCES
        advice = " (add the user to the group dialout)" if denied else ""
        log.log(level, "%s: %s%s; retrying", self.name, reason, advice)

    def _open(self) -> serial.Serial:
        port = serial.Serial(self._port, self._baud, timeout=0, exclusive=True)
        # The kernel raises DTR when a port opens, which resets an Arduino; not dropping it at close spares it the next.
        with contextlib.suppress(termios.error):
            attributes = termios.tcgetattr(port.fileno())
            attributes[2] &= ~termios.HUPCL
            termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)
        log.info("%s is open at %d baud", self.name, self._baud)
        self._complaint = ""
        with self._lock:
            self._is_open = True
            self._put(self._dialect.opened())
        return port

    def _serve(self, port: serial.Serial) -> None:
        unsent = b""
        reading: list[Any] = [port, self._wakeup]
        while True:
            unsent += self._ready_lines(WRITE_SIZE - len(unsent))
            stopping = self._stopping.is_set()
            writing = [port] if unsent else []
            readable, writable, _ = select.select(reading, writing, [], 0 if stopping else None)
            if self._wakeup in readable:
                self._wakeup.clear()
            if port in writable:
                # Not port.write(), which spins while there is no room.
                with contextlib.suppress(BlockingIOError):
                    unsent = unsent[os.write(port.fileno(), unsent) :]
            elif stopping:
                return
            if port in readable and not stopping:
                self._receive(port.read(READ_SIZE))

    def _ready_lines(self, room: int) -> bytes:
        lines = b""
        with self._lock:
            while self._outgoing and len(lines) < room:
                line = self._outgoing[0]
                if isinstance(line, _Admission):
                    break
                lines += line
                self._outgoing.popleft()
        return lines

    def _receive(self, data: bytes) -> None:
        with self._lock:
            actions = list(self._dialect.feed(data))
        for action in actions:
            try:
                self._perform(action)
            except EdgeTtsError as error:
                with self._lock:
                    self._put(self._dialect.failed(error))

    def _perform(self, action: Action) -> None:
        match action:
            case Say():
                request = make_request(action.fields, source=self.name)
                with self._lock:
                    self._put(_Admission(request.id))
                self._handler.submit(request)
            case Stop():
                count = self._handler.stop(action.id)
                with self._lock:
                    self._put(self._dialect.stopped(count))
            case Change():
                self._handler.apply(action.change)
                with self._lock:
                    self._put(self._dialect.changed(action.change))
            case AskState():
                state = self._handler.state()
                with self._lock:
                    self._put(self._dialect.state(state))
            case Answer():
                with self._lock:
                    self._put(action.data)
