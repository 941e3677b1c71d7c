"""What a try-out on a workstation needs beside the daemon: a broker of its own and a serial line without a cable."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from edge_tts.errors import SourceError

BUFFER = 64 * 1024
"""Bytes waiting in one direction of the null modem before its reader is waited for or, without one, bytes are lost."""


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections there now."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def private_broker(port: int = 1883) -> Iterator[str]:
    """An MQTT broker on loopback for as long as the block runs; one that listens already is used and left alone.

    Yields a line for a person. Raises SourceError when mosquitto is not installed or does not come up.
    """
    if listens(port):
        yield f"the broker that listens on 127.0.0.1:{port} already"
        return
    # Debian installs it in /usr/sbin, which is not on a user's PATH.
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SourceError(f"no MQTT broker on port {port} and mosquitto is not installed: apt install mosquitto")
    with tempfile.TemporaryDirectory(prefix="edge-tts-broker-") as folder:
        config = Path(folder) / "mosquitto.conf"
        # Changing its user, as mosquitto does under root, would undo the death signal below.
        config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nuser root\n"
        )
        # A session of its own keeps Ctrl-C from stopping the broker before the daemon has said goodbye through it;
        # the death signal stops it when the daemon is killed.
        wrapper = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with (Path(folder) / "log").open("w+") as output:
            broker = subprocess.Popen(
                [*wrapper, program, "-c", str(config)], stdout=output, stderr=output, start_new_session=True
            )
            try:
                _wait_until_it_listens(broker, port, Path(output.name))
                yield f"mosquitto on 127.0.0.1:{port}, for this try-out only"
            finally:
                _stop(broker)


def _wait_until_it_listens(broker: subprocess.Popen[bytes], port: int, log: Path, timeout: float = 5.0) -> None:
    deadline = time.monotonic() + timeout
    while not listens(port):
        if broker.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip().splitlines()
            raise SourceError(f"mosquitto did not start: {said[-1] if said else 'it said nothing'}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def null_modem(link: Path) -> Iterator[Path]:
    """Two pseudo terminals joined like a null-modem cable: yields the daemon's end; `link` leads to the person's end.

    What the person's end does not read in time is lost, as on a cable. Raises SourceError when `link` cannot be made.
    """
    with contextlib.ExitStack() as cleanup:
        ends: list[tuple[int, str]] = []
        for _ in range(2):
            master, slave = pty.openpty()
            cleanup.callback(os.close, master)
            # The slaves stay open: the kernel puts echo back and reports a hang-up when the last one closes.
            cleanup.callback(os.close, slave)
            tty.setraw(slave)
            os.set_blocking(master, False)
            ends.append((master, os.ttyname(slave)))
        (daemon, daemon_path), (person, person_path) = ends
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_symlink():
                link.unlink()
            link.symlink_to(person_path)
        except OSError as error:
            raise SourceError(f"{link}: cannot be made: {error.strerror}") from error
        cleanup.callback(_unlink_if_ours, link, person_path)
        wake, stop = os.pipe()
        cleanup.callback(os.close, wake)
        cable = threading.Thread(target=_carry, args=(daemon, person, wake), name="null-modem", daemon=True)
        # Before the start, which Ctrl-C may interrupt when the thread is there already.
        cleanup.callback(_join, cable)
        cleanup.callback(os.close, stop)
        cable.start()
        yield Path(daemon_path)


def _join(cable: threading.Thread) -> None:
    with contextlib.suppress(RuntimeError):
        cable.join(2)


def _unlink_if_ours(link: Path, target: str) -> None:
    with contextlib.suppress(OSError):
        if os.readlink(link) == target:
            link.unlink()


def _carry(daemon: int, person: int, wake: int) -> None:
    """Copy bytes both ways until `wake` is closed at its other end."""
    to_daemon = b""
    while True:
        # A full buffer towards the daemon stops reading, so that a pasted file arrives whole.
        sources = [wake, daemon] + ([person] if len(to_daemon) < BUFFER else [])
        try:
            readable, writable, _ = select.select(sources, [daemon] if to_daemon else [], [])
        except OSError:
            # Closed before this thread had begun to run.
            return
        if wake in readable:
            return
        if person in readable:
            to_daemon += os.read(person, 4096)
        if daemon in readable:
            with contextlib.suppress(BlockingIOError):
                os.write(person, os.read(daemon, 4096))
        if daemon in writable:
            to_daemon = to_daemon[os.write(daemon, to_daemon) :]
