from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import serial

from edge_tts.errors import SourceError
from edge_tts.try_out import listens, null_modem, private_broker
from tests.device import mosquitto
from tests.free_port import free_port

needs_mosquitto = pytest.mark.skipif("mosquitto" in mosquitto.missing(), reason="mosquitto is not installed")


@needs_mosquitto
def test_private_broker_listens_on_loopback_only_while_the_block_runs() -> None:
    port = free_port()
    with private_broker(port) as line:
        assert listens(port)
        assert str(port) in line
        listening = Path("/proc/net/tcp").read_text()
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening
    assert not listens(port)


def test_broker_that_listens_already_is_used_and_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        with private_broker(port) as line:
            assert "already" in line
        assert listens(port)


@needs_mosquitto
def test_private_broker_dies_with_a_daemon_that_is_killed(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not installed")
    port = free_port()
    program = (
        "import time; from edge_tts.try_out import private_broker\n"
        f"with private_broker({port}): print('up', flush=True); time.sleep(60)"
    )
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"up\n"
        daemon.kill()
    deadline = time.monotonic() + 5
    while listens(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not listens(port)


def test_without_mosquitto_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(SourceError, match="apt install mosquitto"), private_broker(free_port()):
        pass


def test_broker_that_exits_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "mosquitto"
    broken.write_text("#!/bin/sh\necho no memory left >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SourceError, match="no memory left"), private_broker(free_port()):
        pass


def test_null_modem_carries_bytes_both_ways_without_echo(tmp_path: Path) -> None:
    link = tmp_path / "run" / "serial"
    with (
        null_modem(link) as path,
        serial.Serial(str(path), 9600, timeout=2) as daemon,
        serial.Serial(str(link), timeout=2) as person,
    ):
        person.write(b"SAY hello\n\x03\xff")
        assert daemon.read(12) == b"SAY hello\n\x03\xff"
        daemon.write(b"OK 1\r\n")
        assert person.read(6) == b"OK 1\r\n"
        daemon.timeout = person.timeout = 0.05
        assert daemon.read(1) == b""
        assert person.read(1) == b""
    assert not link.is_symlink()
    assert "null-modem" not in {thread.name for thread in threading.enumerate()}


def test_shell_redirection_reaches_the_daemon(tmp_path: Path) -> None:
    link = tmp_path / "serial"
    with null_modem(link) as path, serial.Serial(str(path), timeout=2, exclusive=True) as daemon:
        for _ in range(2):
            subprocess.run(["sh", "-c", f"echo 'Good morning' > {link}"], check=True)
            assert daemon.readline() == b"Good morning\n"


def test_pasted_file_arrives_whole_and_an_unread_end_blocks_nobody(tmp_path: Path) -> None:
    link = tmp_path / "serial"
    text = b"".join(b"line %d\n" % number for number in range(40_000))
    with (
        null_modem(link) as path,
        serial.Serial(str(path), timeout=2) as daemon,
        serial.Serial(str(link)) as person,
    ):
        paste = threading.Thread(target=person.write, args=(text,), daemon=True)
        paste.start()
        for _ in range(20):
            daemon.write(b"!STARTED 7\n" * 100)
        received = bytearray()
        while len(received) < len(text) and (part := daemon.read(min(4096, len(text) - len(received)))):
            received += part
        paste.join(2)
    assert bytes(received) == text


def test_stale_link_is_replaced_and_a_file_in_its_place_is_kept(tmp_path: Path) -> None:
    link = tmp_path / "serial"
    link.symlink_to("/dev/pts/999999")
    with null_modem(link), serial.Serial(str(link)):
        pass
    link.write_text("mine")
    with pytest.raises(SourceError, match="serial"), null_modem(link):
        pass
    assert link.read_text() == "mine"
