from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_tts.systemd import Notifier, credential


class Manager:
    """systemd's end of the notify socket."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address.replace("\0", "@", 1)}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.socket.bind(address)

    def received(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")

    def received_nothing(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    end = Manager(str(tmp_path / "notify") if request.param == "path" else f"\0edge-tts-test-{uuid.uuid4()}")
    yield end
    end.socket.close()


def test_ready_carries_the_status_in_the_same_message(manager: Manager) -> None:
    Notifier(manager.environ).ready("listening on mqtt")
    assert manager.received() == ["READY=1", "STATUS=listening on mqtt"]


def test_status_alone_and_stopping(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.status("speaking")
    assert manager.received() == ["STATUS=speaking"]
    notifier.stopping()
    assert manager.received() == ["STOPPING=1"]


def test_line_break_in_a_status_cannot_begin_another_key(manager: Manager) -> None:
    Notifier(manager.environ).status("broker gone\nSTOPPING=1")
    assert manager.received() == ["STATUS=broker gone STOPPING=1"]


def test_watchdog_is_fed_at_half_the_interval_only_when_asked_for(manager: Manager) -> None:
    quiet = Notifier(manager.environ)
    assert quiet.watchdog_interval is None
    quiet.watchdog()
    assert manager.received_nothing()
    manager.socket.settimeout(2)
    watched = Notifier({**manager.environ, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    assert watched.watchdog_interval == 15.0
    watched.watchdog()
    assert manager.received() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    "environ",
    [
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {},
    ],
)
def test_watchdog_for_another_process_or_without_a_number_is_none(environ: dict[str, str]) -> None:
    assert Notifier(environ).watchdog_interval is None


def test_outside_of_systemd_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready("x")
    notifier.status("x")
    notifier.stopping()


def test_manager_that_is_gone_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notifier.ready()
    notifier.stopping()
    assert len(caplog.records) == 1
    assert "gone" in caplog.text


def fill(manager: Manager, crowd: contextlib.ExitStack) -> int:
    """How many messages another sender could leave."""
    sender = crowd.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    sender.setblocking(False)
    sender.connect(manager.socket.getsockname())
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sender.send(b"STATUS=full")
            sent += 1
    return sent


def test_manager_that_does_not_read_does_not_block(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.ExitStack() as crowd:
        # Until a newcomer cannot send either: one sender alone fills only its own buffer.
        while fill(manager, crowd) > 0:
            pass
        sender = threading.Thread(target=Notifier(manager.environ).status, args=("busy",), daemon=True)
        sender.start()
        sender.join(5)
    assert not sender.is_alive()
    assert "cannot be notified" in caplog.text


def test_credential_is_read_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text("s3cret \n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credential("mqtt-password", environ) == "s3cret "


def test_credential_absent_or_empty_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert credential("empty", environ) is None
    assert credential("absent", environ) is None
    assert credential("empty", {}) is None
