"""The serial dialect of this product: `SAY hello` in, `OK 7` and `!FINISHED 7` out.

Each line received is answered with exactly one line that begins with `OK` or `ERR`; lines that begin with `!` come in
between, whenever something happens. A line is a command when its first word is one, in capitals, and the number of
words fits; everything else is spoken.

    SAY [id=7] [priority=high] [voice=…] [language=…] [rate=1.2] [pitch=-2] [volume=0.5] [ttl=10] [interrupt=yes] text
    STOP [id]       VOLUME 0.8 | 80%       RATE 1.2       PITCH -2       VOICE name       STATUS       HELP
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from edge_tts.errors import BadRequest, EdgeTtsError, LineTooLong
from edge_tts.events import Accepted, Cancelled, Event, Failed, Finished, Started, State
from edge_tts.request import SettingsChange, decode, make_change
from edge_tts.sources.dialect import Action, Answer, AskState, Change, Say, Stop
from edge_tts.sources.lines import LineCutter

MAX_LINE = 4096
MAX_MESSAGE = 200
"""Characters of an explanation that are sent."""
STOP_BYTE = b"\x03"
BANNER = "EDGE-TTS 1 ready"
HELP = (
    "SAY [id=7] [priority=low|normal|high|alarm] [voice=] [language=] [rate=] [pitch=] [volume=] [ttl=] "
    "[interrupt=yes] text | STOP [id] | VOLUME 80% | RATE 0.5-2 | PITCH -6-6 | VOICE name | STATUS | HELP | "
    "Ctrl-C stops | any other line is spoken"
)
OPTIONS = ("id", "priority", "voice", "language", "rate", "pitch", "volume", "ttl", "interrupt")
SETTINGS = {"VOLUME": "volume", "RATE": "rate", "PITCH": "pitch", "VOICE": "voice"}
OPTION = re.compile(r"([a-z_]+)=(\S*)(?:\s+|$)")
CONTROL: dict[int, int | None] = {**dict.fromkeys([*range(0x20), 0x7F]), ord("\t"): ord(" ")}
"""Noise on a line, to be left out; a tab is a space."""
ECHOES = 32


class NativeDialect:
    """One port's conversation."""

    def __init__(self) -> None:
        self._cutter = LineCutter(MAX_LINE)
        self._accepted: set[str] = set()
        self._sent: deque[str] = deque(maxlen=ECHOES)

    def opened(self) -> bytes:
        """Forget half a line and return the banner."""
        self._cutter.flush()
        self._sent.clear()
        return self._line(BANNER)

    def feed(self, data: bytes) -> Iterator[Action]:
        """Yield the actions of all lines that `data` completes, and a stop for each Ctrl-C."""
        first, *after_stops = data.split(STOP_BYTE)
        yield from self._read(first)
        for piece in after_stops:
            # As in a terminal, Ctrl-C also gives up the line that was being typed.
            self._cutter.flush()
            yield Stop()
            yield from self._read(piece)

    def event(self, event: Event) -> bytes:
        """Return `OK` or `ERR` for a request's admission, then `!` lines; words and visemes are not told."""
        match event:
            case Accepted():
                if not event.duplicate:
                    self._accepted.add(event.id)
                return self._line(f"OK {event.id}{' duplicate' if event.duplicate else ''}")
            case Started():
                return self._line(f"!STARTED {event.id}")
            case Finished():
                self._accepted.discard(event.id)
                return self._line(f"!FINISHED {event.id}")
            case Cancelled():
                self._accepted.discard(event.id)
                return self._line(f"!CANCELLED {event.id} {event.reason}")
            case Failed() if event.id in self._accepted:
                self._accepted.discard(event.id)
                return self._line(f"!FAILED {event.id} {event.code} {_short(event.message)}")
            case Failed():
                return self._line(f"ERR {event.code} {_short(event.message)}")
        return b""

    def stopped(self, count: int) -> bytes:
        """Return `OK stopped=2`."""
        return self._line(f"OK stopped={count}")

    def changed(self, change: SettingsChange) -> bytes:
        """Return for example `OK volume=0.8`."""
        return self._line("OK " + _pairs(change.model_dump(exclude_none=True)))

    def state(self, state: State) -> bytes:
        """Return the state in one line of `name=value`; `-` stands for nothing."""
        return self._line("OK " + _pairs({**asdict(state), "speaking": state.speaking or "-"}))

    def failed(self, error: EdgeTtsError) -> bytes:
        """Return `ERR <code> <message>`."""
        return self._line(f"ERR {error.code} {_short(str(error))}")

    def _line(self, text: str) -> bytes:
        text = text.translate(CONTROL).rstrip()
        self._sent.append(text)
        return text.encode(errors="replace") + b"\r\n"

    def _read(self, data: bytes) -> Iterator[Action]:
        for line in self._cutter.feed(data):
            try:
                if isinstance(line, LineTooLong):
                    raise line
                text = decode(line).translate(CONTROL).strip()
                if text in self._sent:
                    # An RS-485 transceiver or a terminal that echoes would have us speak our own answers for ever.
                    self._sent.remove(text)
                elif text:
                    yield self._action(text)
            except EdgeTtsError as error:
                yield Answer(self.failed(error))

    def _action(self, text: str) -> Action:
        command, *arguments = text.split()
        match command, len(arguments):
            case "SAY", _:
                return Say(_say_fields(text.removeprefix("SAY").lstrip()))
            case "STOP", 0 | 1:
                return Stop(*arguments)
            case "STATUS", 0:
                return AskState()
            case "HELP", 0:
                return Answer(self._line(f"OK {HELP}"))
            case (("VOLUME" | "RATE" | "PITCH" | "VOICE"), 0):
                raise BadRequest(f"{command}: a value is missing")
            case (("VOLUME" | "RATE" | "PITCH" | "VOICE"), 1):
                name = SETTINGS[command]
                return Change(make_change({name: _value(name, arguments[0])}))
        return Say({"text": text})


def _say_fields(rest: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    while option := OPTION.match(rest):
        name, value = option.groups()
        if name not in OPTIONS:
            raise BadRequest(f"{name}=: unknown option; use {', '.join(OPTIONS)}, or send the text without SAY")
        if name in fields:
            raise BadRequest(f"{name}=: given twice")
        fields[name] = _value(name, value)
        rest = rest[option.end() :]
    return {**fields, "text": rest}


def _value(name: str, text: str) -> str | float:
    if name == "volume":
        if text.endswith("%"):
            try:
                return float(text[:-1]) / 100
            except ValueError:
                raise BadRequest(f"volume: {text} is not a percentage") from None
        if re.fullmatch(r"\d+", text) and int(text) > 1:
            # Taking 80 for 80 % would make 1 mean either a whisper or full volume.
            raise BadRequest(f"volume: write {text}% or a number from 0 to 1")
    return text


def _pairs(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={f'{value:g}' if isinstance(value, float) else value}" for name, value in values.items())


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
