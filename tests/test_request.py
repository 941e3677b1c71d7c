from __future__ import annotations

import json
import time

import pytest

from edge_tts.errors import BadRequest, InvalidEncoding, NothingToSay, TextTooLong
from edge_tts.request import MAX_PAYLOAD, MAX_TEXT, Priority, SpeechRequest, make_request, parse_payload


def test_plain_text_is_a_request_with_a_fresh_id() -> None:
    first = parse_payload(b"Hello there.", source="mqtt")
    second = parse_payload(b"Hello there.", source="mqtt")
    assert (first.text, first.source, first.priority) == ("Hello there.", "mqtt", Priority.NORMAL)
    assert first.id != second.id


def test_every_field_of_the_wire_survives_a_round_trip() -> None:
    fields = {
        "text": "Fünf Grüße",
        "id": "7",
        "voice": "x",
        "language": "de-DE",
        "rate": 1.5,
        "pitch": -2.0,
        "volume": 0.25,
        "priority": "alarm",
        "interrupt": True,
        "ttl": 3.5,
        "cache": False,
        "style": "calm",
        "sampling": {"seed": 1, "top_k": 5, "top_p": 0.9, "temperature": 0.8, "repetition_penalty": 1.2},
    }
    request = parse_payload(json.dumps(fields).encode(), source="mqtt")
    sent = request.model_dump(exclude_none=True)
    assert sent.pop("priority") is Priority.ALARM
    assert sent == {key: value for key, value in fields.items() if key != "priority"}


@pytest.mark.parametrize(
    ("payload", "error", "said"),
    [
        (b'{"text": "a", "txet": "b"}', BadRequest, "txet: unknown field"),
        (b'{"text": "a", "source": "b"}', BadRequest, "source: unknown field"),
        (b'{"text": "a", "rate": 9}', BadRequest, "rate: "),
        (b'{"text": "a", "volume": "loud"}', BadRequest, "volume: "),
        (b'{"text": "a", "priority": "urgent"}', BadRequest, "use low, normal, high or alarm"),
        (b'{"text": "a", "priority": 9}', BadRequest, "use low, normal, high or alarm"),
        (b'{"text": "a", "ttl": -1}', BadRequest, "ttl: "),
        (b'{"text": "a", "id": ""}', BadRequest, "id: "),
        (b'{"text": "a", "id": "a\\nb"}', BadRequest, "id: "),
        (b'{"text": "a", "sampling": {"top_k": 0}}', BadRequest, "sampling.top_k: "),
        (b'{"text": "a", "ssml": "<speak/>"}', BadRequest, "exactly one of text, ssml and phonemes"),
        (b'{"id": "7"}', BadRequest, "exactly one of text, ssml and phonemes"),
        (b'{"text": ', BadRequest, "not valid JSON"),
        (b"[" * 100_000, TextTooLong, "limit"),
        (b'{"text": "  "}', NothingToSay, "empty"),
        (b"", NothingToSay, "empty"),
        (b"caf\xe9", InvalidEncoding, "byte 3"),
        (b"x" * (MAX_TEXT + 1), TextTooLong, str(MAX_TEXT)),
        (b"x" * (MAX_PAYLOAD + 1), TextTooLong, str(MAX_PAYLOAD)),
        (b'{"a":' * 15_000, BadRequest, "not valid JSON"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(payload: bytes, error: type[BadRequest], said: str) -> None:
    with pytest.raises(error) as caught:
        parse_payload(payload, source="mqtt")
    assert said in str(caught.value)


def test_a_json_list_is_text_like_any_other() -> None:
    assert parse_payload(b"[1, 2]", source="mqtt").text == "[1, 2]"


def test_a_byte_order_mark_is_not_spoken() -> None:
    assert parse_payload(b"\xef\xbb\xbfhello", source="mqtt").text == "hello"


def test_time_to_live_counts_from_the_arrival() -> None:
    now = time.monotonic()
    assert not make_request({"text": "a", "ttl": 60}, source="x").expired
    assert make_request({"text": "a", "ttl": 5}, source="x", received=now - 6).expired
    assert not SpeechRequest(text="a", received=now - 1e6).expired
