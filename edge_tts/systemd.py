"""What the service manager is told and what it hands over: sd_notify messages, watchdog interval, credentials.

The protocol is the one of sd_notify(3): one datagram of KEY=value lines to the socket named by NOTIFY_SOCKET.
Outside of systemd every call does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)


class Notifier:
    """Tells systemd how the daemon is. Thread-safe; a manager that cannot be reached is logged once, never raised."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from `environ`."""
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._reported = False
        self.watchdog_interval = _watchdog_interval(environ)
        """Seconds between two calls of `watchdog`, half of what systemd allows; None where no watchdog is asked for."""

    def ready(self, status: str = "") -> None:
        """The daemon takes requests from now on."""
        self._send("READY=1", status)

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send("", status)

    def stopping(self, status: str = "") -> None:
        """The daemon has begun to stop."""
        self._send("STOPPING=1", status)

    def watchdog(self) -> None:
        """The daemon makes progress; without this for WatchdogSec systemd restarts it."""
        if self.watchdog_interval is not None:
            self._send("WATCHDOG=1")

    def _send(self, state: str, status: str = "") -> None:
        if not self._address:
            return
        lines = [state] if state else []
        if status:
            # A line break would begin a new key.
            lines.append("STATUS=" + " ".join(status.split()))
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
                # A manager that is slow to read must not lose READY; one that has stopped reading must not stop speech.
                client.settimeout(0.2)
                client.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._reported:
                log.warning("systemd cannot be notified at %r: %s", self._address, error)
            self._reported = True


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    for_process = environ.get("WATCHDOG_PID", "")
    if for_process and for_process != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return microseconds / 2e6 if microseconds > 0 else None


def credential(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The secret that the unit's LoadCredential handed over under `name`, without its final newline; None if empty."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    try:
        secret = (Path(folder) / name).read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        return None
    return secret or None
