from __future__ import annotations

import random

import pytest

from edge_tts.errors import UnknownVoice
from edge_tts.events import Accepted, Cancelled, Failed, Finished, Started, State, WordSpoken
from edge_tts.request import SettingsChange, make_request
from edge_tts.sources.dialect import Action, Answer, AskState, Change, Say, Stop
from edge_tts.sources.native_dialect import MAX_LINE, NativeDialect


def act(line: str | bytes, dialect: NativeDialect | None = None) -> Action:
    data = line if isinstance(line, bytes) else line.encode()
    (action,) = (dialect or NativeDialect()).feed(data + b"\n")
    return action


def error_in(action: Action) -> str:
    assert isinstance(action, Answer)
    ok, code, _ = action.data.decode().split(" ", 2)
    assert ok == "ERR"
    return code


def test_the_banner_names_the_product_and_the_version_of_the_dialect() -> None:
    assert NativeDialect().opened() == b"EDGE-TTS 1 ready\r\n"


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("hello world", {"text": "hello world"}),
        ("SAY hello", {"text": "hello"}),
        ("SAY id=7 priority=high hello  there", {"id": "7", "priority": "high", "text": "hello  there"}),
        ("SAY   id=7   hello", {"id": "7", "text": "hello"}),
        ("SAY voice=x language=en rate=1.2 pitch=-2 ttl=10 interrupt=yes hi",
         {"voice": "x", "language": "en", "rate": "1.2", "pitch": "-2", "ttl": "10", "interrupt": "yes", "text": "hi"}),
        ("SAY volume=50% hi", {"volume": 0.5, "text": "hi"}),
        ("SAY the answer is x=5", {"text": "the answer is x=5"}),
        ("SAY Grüße, 你好", {"text": "Grüße, 你好"}),
        ("say hello", {"text": "say hello"}),
        ("SAYING nothing", {"text": "SAYING nothing"}),
        ("stop the car", {"text": "stop the car"}),
        ("stop", {"text": "stop"}),
        ("STOP THE CAR NOW", {"text": "STOP THE CAR NOW"}),
        ("VOLUME UP PLEASE", {"text": "VOLUME UP PLEASE"}),
        ("HELP ME", {"text": "HELP ME"}),
        ("STATUS is good", {"text": "STATUS is good"}),
        ('{"text": "braces"}', {"text": '{"text": "braces"}'}),
    ],
)  # fmt: skip
def test_lines_that_are_spoken(line: str, fields: dict[str, object]) -> None:
    assert act(line) == Say(fields)
    request = make_request(fields, source="test")
    assert request.text == fields["text"]


@pytest.mark.parametrize(
    ("line", "action"),
    [
        ("STOP", Stop()),
        ("STOP 7", Stop("7")),
        ("  STOP  ", Stop()),
        ("STATUS", AskState()),
        ("VOLUME 0.8", Change(SettingsChange(volume=0.8))),
        ("VOLUME 80%", Change(SettingsChange(volume=0.8))),
        ("VOLUME 1", Change(SettingsChange(volume=1.0))),
        ("VOLUME 1%", Change(SettingsChange(volume=0.01))),
        ("VOLUME 0", Change(SettingsChange(volume=0.0))),
        ("RATE 1.2", Change(SettingsChange(rate=1.2))),
        ("PITCH -2", Change(SettingsChange(pitch=-2.0))),
        ("VOICE en_US-x", Change(SettingsChange(voice="en_US-x"))),
    ],
)
def test_commands(line: str, action: Action) -> None:
    assert act(line) == action


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("VOLUME 80", "bad_request"),
        ("VOLUME 1.5", "bad_request"),
        ("VOLUME 101%", "bad_request"),
        ("VOLUME loud", "bad_request"),
        ("VOLUME x%", "bad_request"),
        ("VOLUME nan%", "bad_request"),
        ("VOLUME", "bad_request"),
        ("RATE 9", "bad_request"),
        ("RATE fast", "bad_request"),
        ("PITCH 40", "bad_request"),
        ("VOICE", "bad_request"),
        ("SAY prioriti=high hello", "bad_request"),
        ("SAY id=1 id=2 hello", "bad_request"),
        ("SAY source=mqtt hello", "bad_request"),
        (b"bad \xff byte", "invalid_utf8"),
        (b"half a letter \xc3", "invalid_utf8"),
        (b"x" * (MAX_LINE + 1), "line_too_long"),
    ],
)
def test_what_makes_no_sense_is_answered_with_an_error(line: str | bytes, code: str) -> None:
    assert error_in(act(line)) == code


def test_volume_over_one_says_how_to_write_it() -> None:
    answer = act("VOLUME 80")
    assert isinstance(answer, Answer)
    assert b"80%" in answer.data


def test_the_line_after_one_that_is_too_long_is_not_lost() -> None:
    refused, action = NativeDialect().feed(b"x" * 5 * MAX_LINE + b"\nSTATUS\n")
    assert error_in(refused) == "line_too_long"
    assert action == AskState()


def test_ctrl_c_stops_at_once_and_gives_up_the_line() -> None:
    dialect = NativeDialect()
    assert list(dialect.feed(b"hel\x03")) == [Stop()]
    assert list(dialect.feed(b"STATUS\r\n")) == [AskState()]


def test_ctrl_c_between_and_inside_lines_of_one_read() -> None:
    actions = list(NativeDialect().feed(b"one\n\x03\x03two\nthr\x03ee\n"))
    assert actions == [Say({"text": "one"}), Stop(), Stop(), Say({"text": "two"}), Stop(), Say({"text": "ee"})]


def test_ctrl_c_ends_the_swallowing_of_a_long_line() -> None:
    _, *actions = NativeDialect().feed(b"x" * 2 * MAX_LINE + b"\x03STATUS\n")
    assert actions == [Stop(), AskState()]


def test_control_characters_are_noise() -> None:
    assert list(NativeDialect().feed(b"\x00\x00\n\x07he\x00llo\tyou\x7f\r\n \r\n")) == [Say({"text": "hello you"})]


def test_opening_again_forgets_half_a_line() -> None:
    dialect = NativeDialect()
    list(dialect.feed(b"half a li"))
    dialect.opened()
    assert act("STATUS", dialect) == AskState()


def test_the_admission_of_a_request_is_its_answer() -> None:
    dialect = NativeDialect()
    assert dialect.event(Accepted("7", "s")) == b"OK 7\r\n"
    assert dialect.event(Accepted("7", "s", duplicate=True)) == b"OK 7 duplicate\r\n"
    refused = Failed("8", "s", code="unknown_voice", message="no voice\nnamed x")
    assert dialect.event(refused) == b"ERR unknown_voice no voice named x\r\n"


def test_later_events_begin_with_an_exclamation_mark() -> None:
    dialect = NativeDialect()
    for request_id in "123":
        dialect.event(Accepted(request_id, "s"))
    assert dialect.event(Started("1", "s")) == b"!STARTED 1\r\n"
    assert dialect.event(WordSpoken("1", "s", word="hi")) == b""
    assert dialect.event(Finished("1", "s")) == b"!FINISHED 1\r\n"
    assert dialect.event(Cancelled("2", "s", reason="interrupted")) == b"!CANCELLED 2 interrupted\r\n"
    assert dialect.event(Failed("3", "s", code="voice_failed", message="oh")) == b"!FAILED 3 voice_failed oh\r\n"


def test_long_explanations_are_cut() -> None:
    line = NativeDialect().failed(UnknownVoice("x" * 10_000))
    assert len(line.decode()) < 250


def test_status_is_one_line_of_names_and_values() -> None:
    state = State("speaking", "en-x", 2, "7", 0.8, 1.0, -2.0, "1.0")
    line = NativeDialect().state(state)
    assert line == b"OK status=speaking voice=en-x queued=2 speaking=7 volume=0.8 rate=1 pitch=-2 version=1.0\r\n"
    idle = State("idle", "en-x", 0, None, 1.0, 1.0, 0.0, "1.0")
    assert b" speaking=- " in NativeDialect().state(idle)


def test_help_is_one_line() -> None:
    answer = act("HELP")
    assert isinstance(answer, Answer)
    assert answer.data.startswith(b"OK SAY")
    assert answer.data.count(b"\n") == 1


def test_an_echo_of_our_own_lines_is_not_spoken() -> None:
    dialect = NativeDialect()
    echo = dialect.opened() + dialect.event(Accepted("7", "s")) + dialect.stopped(3)
    assert list(dialect.feed(echo)) == []
    assert act("OK then", dialect) == Say({"text": "OK then"})


def test_any_bytes_in_any_pieces_are_taken_without_an_exception_and_the_line_after_them_works() -> None:
    random_bytes = random.Random(5)
    for _ in range(200):
        dialect = NativeDialect()
        for _ in range(5):
            list(dialect.feed(random_bytes.randbytes(random_bytes.randrange(300))))
        *_, last = dialect.feed(b"\nSTATUS\n")
        assert last == AskState()
