"""`edge-ttsd run --try-out` as a person meets it, in a process of its own, with a voice that only hums."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from edge_tts.try_out import listens
from tests.device.daemon import DEVICE, Listener
from tests.device.mosquitto import missing
from tests.fakes import poll_until
from tests.free_port import free_port
from tests.voice_folder import write_voice

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")

ROOT = Path(__file__).resolve().parents[2]
VOICE = "en_US-hum-tone"
PROGRAM = """
import sys
from edge_tts.voices import registry
from tests.voice_folder import load_tone
registry.family_loader = lambda family: load_tone
from edge_tts.cli import main
sys.exit(main())
"""


class TryOut:
    """The process, begun in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        write_voice(folder / "voices", VOICE)
        (folder / "config.toml").touch()
        self.port = free_port()
        self.link = folder / ".run" / "serial"
        environ = {
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "EDGE_TTS_DEVICE_ID": DEVICE,
            "EDGE_TTS_MQTT_PORT": str(self.port),
            "EDGE_TTS_VOICE_DIRECTORY": str(folder / "voices"),
        }
        arguments = ["run", "--try-out", "--config", "config.toml", "--voice", VOICE, "--device", "wav:spoken"]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", PROGRAM, *arguments],
                cwd=folder,
                env=os.environ | environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A shell's background job, as these tests may be, ignores SIGINT and hands that down.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> None:
        poll_until(lambda: "Ctrl-C" in self.said or self.process.poll() is not None, timeout=30)
        assert self.process.poll() is None, self.said


@pytest.fixture
def try_out(tmp_path: Path) -> Iterator[TryOut]:
    running = TryOut(tmp_path)
    yield running
    running.process.kill()
    running.process.wait(5)


def test_greets_speaks_from_both_sources_and_leaves_nothing_behind(try_out: TryOut, tmp_path: Path) -> None:
    try_out.wait_until_ready()
    assert "mosquitto_pub -t tts/say" in try_out.said
    assert ".run/serial" in try_out.said
    with Listener(try_out.port) as listener, serial.Serial(str(try_out.link), timeout=5) as line:
        listener.wait_until_online()
        listener.publish("say", {"text": "Hello from MQTT.", "id": "from-mqtt"})
        line.write(b"SAY id=from-serial Hello.\n")
        listener.event("finished", "from-mqtt")
        heard = b""
        while b"!FINISHED from-serial" not in heard:
            reply = line.readline()
            assert reply, heard
            heard += reply
    try_out.process.send_signal(signal.SIGINT)
    assert try_out.process.wait(10) == 0, try_out.said
    spoken = {path.stem.split("-", 2)[2] for path in (tmp_path / "spoken").glob("*.wav")}
    assert {"from-mqtt", "from-serial"} < spoken
    assert not listens(try_out.port)
    assert not try_out.link.is_symlink()
    assert "Traceback" not in try_out.said


def test_broker_of_a_killed_try_out_does_not_stay(try_out: TryOut) -> None:
    try_out.wait_until_ready()
    assert listens(try_out.port)
    try_out.process.kill()
    poll_until(lambda: not listens(try_out.port), timeout=10)


def test_interrupt_while_it_starts_ends_it_too(try_out: TryOut) -> None:
    poll_until(lambda: listens(try_out.port), timeout=30)
    try_out.process.send_signal(signal.SIGINT)
    assert try_out.process.wait(10) in (0, 130)
    assert not listens(try_out.port)
    assert "Traceback" not in try_out.said
