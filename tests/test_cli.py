from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import soundfile

from edge_tts.cli import main
from edge_tts.rendering import Renderer
from tests.voice_folder import tone_family, write_voice

__all__ = ["tone_family"]


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("EDGE_TTS_VOICE_DIRECTORY", str(tmp_path / "voices"))
    monkeypatch.setenv("EDGE_TTS_VOICE_DEFAULT", "tone")
    # signal handlers can be set by the main thread alone, where tests run
    assert threading.current_thread() is threading.main_thread()


@pytest.fixture
def voices(tmp_path: Path, tone_family: None) -> Path:
    write_voice(tmp_path / "voices", "tone")
    return tmp_path / "voices"


@pytest.mark.usefixtures("voices")
def test_say_writes_a_wav_file(tmp_path: Path) -> None:
    assert main(["say", "-o", str(tmp_path / "out.wav"), "Hello there."]) == 0
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert (len(samples), rate) == (3200, 8000)


@pytest.mark.usefixtures("voices")
def test_say_reads_lines_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines"
    path.write_text("One two.\n\nThree four five.\n")
    with path.open() as lines:
        monkeypatch.setattr(sys, "stdin", lines)
        assert main(["say", "-o", str(tmp_path / "out.wav"), "-"]) == 0
    assert soundfile.info(tmp_path / "out.wav").frames == 5 * 1600


@pytest.mark.usefixtures("voices")
def test_say_tells_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text, said in (("", "the text is empty"), (" ... ", "nothing")):
        assert main(["say", "-o", str(tmp_path / "out.wav"), text]) == 1
        assert said in capsys.readouterr().err
    assert main(["say", "-o", str(tmp_path / "no" / "out.wav"), "Hello."]) == 1
    assert "no/out.wav" in capsys.readouterr().err
    assert main(["say", "--rate", "9", "-o", str(tmp_path / "out.wav"), "Hello."]) == 1
    assert "rate: " in capsys.readouterr().err


@pytest.mark.usefixtures("voices")
def test_say_speaks_with_the_voice_it_was_told_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.wav")
    assert main(["say", "--voice", "tone", "-o", out, "Hello."]) == 0
    assert main(["say", "--voice", "nobody", "-o", out, "Hello."]) == 1
    assert "'nobody' is not installed (installed: tone)" in capsys.readouterr().err


@pytest.mark.usefixtures("voices")
def test_say_without_a_device_points_to_the_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("not a folder")
    assert main(["say", "--device", f"wav:{tmp_path / 'taken'}", "Hello."]) == 1
    assert "edge-ttsd doctor" in capsys.readouterr().err


@pytest.mark.usefixtures("voices")
def test_phrases_are_rendered_ahead_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "phrases.txt").write_text("# greetings\nHello there.\n\n...\nGood night. Sleep well.\n")
    assert main(["prerender", str(tmp_path / "phrases.txt")]) == 1
    assert capsys.readouterr().out.splitlines()[1].startswith("line 4: ")
    assert len(list((tmp_path / "state" / "edge-tts" / "phrases").iterdir())) == 3

    def no_synthesis(*arguments: object) -> None:
        raise AssertionError("synthesized again")

    assert main(["say", "-o", str(tmp_path / "before.wav"), "Good night. Sleep well."]) == 0
    monkeypatch.setattr(Renderer, "_synthesize", no_synthesis)
    assert main(["say", "-o", str(tmp_path / "after.wav"), "Good night. Sleep well."]) == 0
    assert (tmp_path / "after.wav").read_bytes() == (tmp_path / "before.wav").read_bytes()
    assert main(["say", "-o", str(tmp_path / "after.wav"), "Something new."]) == 1


@pytest.mark.usefixtures("voices")
def test_say_takes_ssml(tmp_path: Path) -> None:
    ssml = "<speak>One <break time='500ms'/> two.</speak>"
    assert main(["say", "--ssml", "-o", str(tmp_path / "out.wav"), ssml]) == 0
    assert soundfile.info(tmp_path / "out.wav").frames >= 2 * 1600 + 4000


def test_voices_are_listed_and_unusable_ones_say_why(voices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write_voice(voices, "bad") / "voice.json").write_text("{")
    assert main(["voices"]) == 0
    listed = capsys.readouterr().out
    assert "* tone  en-US  8000 Hz  int8/fp32  CC0-1.0" in listed
    assert "bad  unusable: " in listed


def test_without_voices_the_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["voices"]) == 1
    assert str(tmp_path / "voices") in capsys.readouterr().out
    assert main(["say", "-o", str(tmp_path / "out.wav"), "Hello."]) == 1
    assert "'tone' is not installed" in capsys.readouterr().err


def test_the_configuration_in_force_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "--set", "audio.volume=0.5", "--device", "wav:x"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["audio"]["volume"], shown["audio"]["device"], shown["log"]["json"]) == (0.5, "wav:x", False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "audio.volum=0.5"], "audio.volum: unknown key; did you mean audio.volume?"),
        (["--set", "audio.volume"], "write KEY=VALUE"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
    ],
)
def test_a_wrong_configuration_is_explained(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-config", *arguments]) == os.EX_CONFIG
    assert said in capsys.readouterr().err


def test_32_bit_arm_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    assert main(["voices"]) == 1
    assert "64-bit" in capsys.readouterr().err


def test_a_closed_pipe_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "edge_tts", "check-config"]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")
