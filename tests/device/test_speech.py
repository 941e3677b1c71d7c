"""The whole way of a sentence: a real broker, a real serial line, the built-in voice, a sound device with a clock."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_tts.audio.chunk import Samples
from tests.device import mosquitto, pulse
from tests.device.daemon import DEVICE, DaemonProcess, Listener
from tests.device.mosquitto import Mosquitto
from tests.device.pty_pair import PtyPair
from tests.device.pulse import PulseServer, find, longest_silence

MISSING = [*mosquitto.missing(), *pulse.missing()]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

SENTENCE = "The battery is at eighty percent, and the kitchen door is open."
QUEUE_SIZE = 64
LONG = "One two three four five six seven eight nine ten. " * 6


class Board:
    """A broker, a sound server, a serial line and the daemon between them."""

    def __init__(self, folder: Path, broker: Mosquitto, sound: PulseServer, line: PtyPair) -> None:
        self.folder = folder
        self.broker = broker
        self.sound = sound
        self.line = line
        self.config = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n[[serial]]\nport = "{line.path}"\n'

    def daemon(self, extra: str = "") -> DaemonProcess:
        return DaemonProcess(self.folder, self.config + extra, self.sound.environment)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("board")
    with Mosquitto() as broker, PulseServer() as sound, PtyPair(folder) as line:
        yield Board(folder, broker, sound, line)


def synthesized(folder: Path, text: str) -> Samples:
    """What `edge-ttsd say -o` makes of a text."""
    path = folder / "say.wav"
    command = [sys.executable, "-m", "edge_tts", "say", "--set", "voice.precision=int8", "-o", str(path), text]
    subprocess.run(command, check=True, timeout=60)
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == pulse.RATE
    return np.asarray(samples, np.float32)


def test_what_is_published_is_heard_as_it_was_synthesized(board: Board) -> None:
    expected = synthesized(board.folder, SENTENCE)
    # A latency that a busy machine can keep: this is about what is played, not about when.
    with (
        board.daemon('[voice]\nprecision = "int8"\n[audio]\nlatency_ms = 300\n') as daemon,
        Listener(board.broker.port) as listener,
    ):
        listener.wait_until_online()
        with board.sound.record() as recording:
            listener.publish("say", {"text": SENTENCE, "id": "7"})
            listener.event("finished", "7")
            recording.await_more(1.0)
        offset, correlation = find(expected, recording.samples)
        assert correlation > 0.99
        played = recording.samples[offset : offset + len(expected)]
        assert longest_silence(played) <= longest_silence(expected) + 24
        assert json.loads(listener.last("metrics") or "{}")["underruns"] == 0
        assert daemon.stop() == 0
        assert listener.last("availability") == "stopped"


def test_events_tell_of_every_word_when_it_is_heard(board: Board) -> None:
    with board.daemon(), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        listener.publish("say", {"text": SENTENCE, "id": "7"})
        duration = listener.event("finished", "7")["duration_ms"]
        names = [event["event"] for event in listener.events()]
        assert [name for name in names if name not in ("word", "viseme")] == ["accepted", "started", "finished"]
        told = [(when, json.loads(message.payload)) for when, message in listener.messages if "/event" in message.topic]
        words = [(when, event) for when, event in told if event["event"] == "word"]
        assert (
            " ".join(event["word"] for _, event in words)
            == "the battery is at eighty percent and the kitchen door is open"
        )
        assert [event["index"] for _, event in words] == list(range(12))
        began = next(when for when, event in told if event["event"] == "started")
        late = [when - began - event["offset_ms"] / 1000 for when, event in words]
        assert max(late) - min(late) < duration / 2000


def test_the_time_from_publishing_to_the_first_sound_is_told(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    with board.daemon(), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        listener.publish("say", {"text": "Warm up.", "id": "warm"})
        listener.event("finished", "warm")
        delays = []
        for number in range(5):
            with board.sound.record() as recording:
                recording.await_more(0.3)
                published = len(recording.samples)
                listener.publish("say", {"text": SENTENCE, "id": str(number)})
                listener.event("finished", str(number))
                recording.await_more(0.3)
            loud = np.flatnonzero(np.abs(recording.samples[published:]) > 1e-3)
            delays.append(1000 * loud[0] / pulse.RATE)
        handed = [event["first_audio_ms"] for event in listener.events() if event["event"] == "started"]
    with capsys.disabled():
        print(
            f"\n  publish to first sound: median {np.median(delays):.0f} ms heard"
            f" (sink latency and the sentence's own onset included), {np.median(handed):.0f} ms to the first samples"
        )
    assert np.median(delays) < 1500


def test_plain_text_and_both_qualities_of_service(board: Board) -> None:
    with board.daemon(), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        listener.publish("say", "Plain text.", qos=0)
        listener.event("finished")
        listener.publish(f"{DEVICE}/say", {"text": "Quick.", "id": "1", "rate": 2.0}, qos=0)
        listener.event("finished", "1")
        listener.publish("say", "caf\udce9".encode("utf-8", "surrogateescape"))
        assert listener.event("failed")["code"] == "invalid_utf8"
        listener.publish("say", {"text": "…", "id": "2"})
        assert listener.event("failed", "2")["code"] == "nothing_to_say"
        listener.publish("say", {"text": "a", "id": "3", "colour": "red"})
        assert "colour" in listener.event("failed", "3")["message"]


def test_a_burst_of_200_loses_nothing_without_an_event(board: Board) -> None:
    with board.daemon(), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        ids = [f"burst-{number}" for number in range(200)]
        for name in ids:
            listener.publish("say", {"text": "Burst.", "id": name})
        listener.event("accepted", ids[-1])
        listener.publish("stop", "")

        def ended() -> set[str]:
            return {event["id"] for event in listener.events() if event["event"] in ("finished", "cancelled", "failed")}

        listener.wait_for(lambda: ended() >= set(ids))
        dropped = [ids.index(event["id"]) for event in listener.events() if event.get("reason") == "overflow"]
        assert dropped == sorted(dropped)
        assert len(dropped) > 100
        assert max(dropped) < len(ids) - QUEUE_SIZE


def test_stop_is_heard_within_a_moment(board: Board) -> None:
    with board.daemon(), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        with board.sound.record() as recording:
            listener.publish("say", {"text": LONG, "id": "long"})
            listener.event("started", "long")
            recording.await_more(1.0)
            stopped = len(recording.samples)
            listener.publish("stop", "long")
            assert listener.event("cancelled", "long")["reason"] == "stopped"
            recording.await_more(1.0)
        after = np.flatnonzero(np.abs(recording.samples[stopped:]) > 1e-3)
        # The recorder, the server's buffer of 50 ms, the broker and the fade of 30 ms.
        assert len(after) == 0 or after[-1] / pulse.RATE < 0.5


def test_an_alarm_cuts_in_and_what_waited_follows(board: Board) -> None:
    with board.daemon(), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        listener.publish("say", {"text": LONG, "id": "long"})
        listener.publish("say", {"text": "Next.", "id": "next"})
        listener.event("started", "long")
        listener.publish("say", {"text": "Fire!", "id": "fire", "priority": "alarm"})
        listener.event("finished", "next")
        order = [(e["event"], e["id"]) for e in listener.events() if e["event"] in ("started", "cancelled")]
        assert order == [("started", "long"), ("cancelled", "long"), ("started", "fire"), ("started", "next")]


def test_a_broker_that_dies_midway_does_not_stop_speech_nor_lose_the_end(board: Board) -> None:
    with board.daemon() as daemon, Listener(board.broker.port) as listener:
        listener.wait_until_online()
        listener.publish("say", {"text": SENTENCE, "id": "through"})
        listener.event("started", "through")
        board.broker.kill()
        assert "connection lost" in _log_with(daemon, "connection lost")
        board.broker.start()
        listener.event("finished", "through")
        listener.publish("say", {"text": "Back.", "id": "back"})
        listener.event("finished", "back")


def _log_with(daemon: DaemonProcess, text: str) -> str:
    deadline = time.monotonic() + 20
    while text not in daemon.log and time.monotonic() < deadline:
        time.sleep(0.05)
    return daemon.log


def test_a_retained_say_is_not_spoken_and_a_killed_daemon_is_offline(board: Board) -> None:
    with Listener(board.broker.port) as listener:
        listener.publish("say", {"text": "Old news.", "id": "old"}, retain=True)
        with board.daemon() as daemon:
            listener.wait_until_online()
            listener.publish("say", {"text": "New.", "id": "new"})
            listener.event("finished", "new")
            assert not [event for event in listener.events() if event["id"] == "old"]
            daemon.stop(signal.SIGKILL)
            listener.wait_for(lambda: listener.last("availability") == "offline")
        listener.publish("say", "", retain=True)


def test_a_serial_line_speaks_while_the_broker_is_absent(board: Board) -> None:
    board.broker.kill()
    board.line.unplug()
    board.line.plug()
    try:
        with board.daemon():
            assert board.line.line(timeout=30) == "EDGE-TTS 1 ready"
            assert board.line.ask("SAY id=7 Hello.") == "OK 7"
            assert [board.line.line(), board.line.line()] == ["!STARTED 7", "!FINISHED 7"]
    finally:
        board.broker.start()


def test_a_damaged_voice_is_refused_by_name_and_the_running_one_stays(board: Board) -> None:
    source = Path(__file__).parents[2] / "models_int8" / "en_US-kathleen-student"
    voices = board.folder / "voices"
    for name in ("en_US-kathleen-student", "broken"):
        (voices / name).mkdir(parents=True)
        for path in source.iterdir():
            (voices / name / path.name).write_bytes(path.read_bytes())
    broken = voices / "broken"
    manifest = json.loads((broken / "voice.json").read_text())
    manifest["name"] = "broken"
    (broken / "voice.json").write_text(json.dumps(manifest))
    for graph in broken.glob("*.onnx"):
        graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    with board.daemon(f'[voice]\ndirectory = "{voices}"\n'), Listener(board.broker.port) as listener:
        listener.wait_until_online()
        listener.publish(f"{DEVICE}/set", {"voice": "broken"})
        failed = listener.event("failed")
        assert failed["code"] == "bad_bundle"
        assert ".onnx: damaged or truncated" in failed["message"]
        (broken / "voice.json").write_text("{")
        listener.publish("say", {"text": "Hello.", "voice": "broken", "id": "1"})
        assert "voice.json" in listener.event("failed", "1")["message"]
        listener.publish("say", {"text": "Still here.", "id": "2"})
        listener.event("finished", "2")
