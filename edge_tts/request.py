"""One wish to say something, as every source hands it to the daemon."""

from __future__ import annotations

import json
import time
import uuid
from enum import IntEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edge_tts.errors import BadRequest, InvalidEncoding, NothingToSay, TextTooLong

MAX_TEXT = 20_000
"""Characters in one request; about 25 minutes of speech."""
MAX_PAYLOAD = 4 * MAX_TEXT + 4096
"""Bytes in one message: the longest text in UTF-8, and the other fields."""


class Priority(IntEnum):
    """Order in the queue; an alarm is never dropped and always interrupts what is less."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    ALARM = 3


def _priority(value: object) -> object:
    if isinstance(value, Priority):
        return value
    try:
        return Priority[str(value).upper()]
    except KeyError:
        raise ValueError("use low, normal, high or alarm") from None


class SamplingOptions(BaseModel):
    """How an autoregressive voice draws its tokens (GPT-SoVITS); other families ignore all but the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int | None = Field(None, ge=0, lt=2**32)
    top_k: int | None = Field(None, ge=1, le=1025)
    top_p: float | None = Field(None, gt=0, le=1)
    temperature: float | None = Field(None, gt=0, le=2)
    repetition_penalty: float | None = Field(None, ge=1, le=3)


class SpeechRequest(BaseModel):
    """Text to speak and how. Fields beyond the wire's own (`source`, `received`, …) are filled in by the source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None = Field(None)
    ssml: str | None = Field(None)
    phonemes: str | None = Field(None)
    """ARPAbet, phones apart by spaces, words by ` | `, with `,` `.` `?` `!` as breaks; instead of text."""
    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        default_factory=lambda: uuid.uuid4().hex[:12]
    )
    voice: str | None = None
    language: str | None = None
    rate: float = Field(1.0, ge=0.5, le=2.0)
    pitch: float = Field(0.0, ge=-6.0, le=6.0)
    """Semitones."""
    volume: float = Field(1.0, ge=0.0, le=1.0)
    priority: Annotated[Priority, BeforeValidator(_priority)] = Priority.NORMAL
    interrupt: bool = False
    """Cancel what is playing, unless it has a higher priority."""
    ttl: float | None = Field(None, gt=0)
    """Seconds after which it is not worth saying any more; None for ever."""
    cache: bool = True
    style: str | None = None
    sampling: SamplingOptions = Field(default_factory=SamplingOptions)

    source: str = Field("local", exclude=True)
    received: float = Field(default_factory=time.monotonic, exclude=True)
    """Monotonic clock, seconds."""
    reply: dict[str, Any] = Field(default_factory=dict, exclude=True)
    """Whatever the source needs to answer (an MQTT 5 response topic, say); nobody else looks at it."""

    @model_validator(mode="after")
    def _one_content(self) -> SpeechRequest:
        given = [name for name in ("text", "ssml", "phonemes") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of text, ssml and phonemes")
        return self

    @property
    def content(self) -> str:
        """The text, SSML or phonemes, whichever was given."""
        return self.text or self.ssml or self.phonemes or ""

    @property
    def expired(self) -> bool:
        """Whether its time to live is over."""
        return self.ttl is not None and time.monotonic() - self.received > self.ttl


class SettingsChange(BaseModel):
    """What `tts/<device>/set` and the serial commands VOLUME, RATE and VOICE change for later requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume: float | None = Field(None, ge=0.0, le=1.0)
    rate: float | None = Field(None, ge=0.5, le=2.0)
    pitch: float | None = Field(None, ge=-6.0, le=6.0)
    voice: str | None = None


INTERNAL_FIELDS = frozenset({"source", "received", "reply"})


def decode(payload: bytes) -> str:
    """Decode UTF-8 bytes from a wire. Raises TextTooLong and InvalidEncoding."""
    if len(payload) > MAX_PAYLOAD:
        raise TextTooLong(f"message of {len(payload)} bytes; the limit is {MAX_PAYLOAD}")
    try:
        return payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidEncoding(f"byte {error.start} is not valid UTF-8; send the text as UTF-8") from error


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def explain(error: ValidationError) -> str:
    """Put a validation error in one line that names the field."""
    parts = []
    for item in error.errors():
        where = ".".join(str(step) for step in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown field"
        parts.append(f"{where}: {message}" if where else message)
    return "; ".join(parts)


def make_request(fields: dict[str, Any], *, source: str, **internal: Any) -> SpeechRequest:
    """Build a request from wire fields. Raises BadRequest naming the field, NothingToSay or TextTooLong."""
    forbidden = INTERNAL_FIELDS & fields.keys()
    if forbidden:
        raise BadRequest(f"{sorted(forbidden)[0]}: unknown field")
    for name, value in fields.items():
        # JSON can spell half a surrogate pair, which no UTF-8 output could carry any further.
        if isinstance(value, str) and not _encodable(value):
            raise InvalidEncoding(f"{name}: half a surrogate pair; send the text as UTF-8")
    try:
        request = SpeechRequest(**fields, source=source, **internal)
    except ValidationError as error:
        raise BadRequest(explain(error)) from error
    if len(request.content) > MAX_TEXT:
        raise TextTooLong(f"{len(request.content)} characters; the limit is {MAX_TEXT}")
    if not request.content.strip():
        raise NothingToSay("the text is empty")
    return request


def make_change(fields: dict[str, Any]) -> SettingsChange:
    """Build a change of settings from wire fields. Raises BadRequest naming the field."""
    try:
        return SettingsChange(**fields)
    except ValidationError as error:
        raise BadRequest(explain(error)) from error


def parse_payload(payload: bytes, *, source: str, **internal: Any) -> SpeechRequest:
    """Read a message that is either plain UTF-8 text or a JSON object with the fields of SpeechRequest.

    Raises BadRequest or one of its kinds. Text that merely begins with a brace and is no JSON is refused, not spoken.
    """
    text = decode(payload)
    if not text.lstrip().startswith("{"):
        return make_request({"text": text}, source=source, **internal)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not valid JSON: {error}") from error
    return make_request(fields, source=source, **internal)
