"""A private mosquitto on a free loopback port, which a test can kill and start again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

PATIENCE = 10.0
PATHS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"


def missing() -> list[str]:
    """The programs that must be installed before this can work."""
    return [name for name in ("mosquitto", "mosquitto_passwd", "openssl") if shutil.which(name, path=PATHS) is None]


class Mosquitto:
    """A broker of its own, in a folder of its own, as a context manager.

    With `password` only `user` may enter; with `tls` it shows a certificate for localhost that `ca` vouches for.
    """

    user = "speaker"

    def __init__(self, password: str | None = None, tls: bool = False) -> None:
        self.host = "localhost" if tls else "127.0.0.1"
        self.port = _free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="edge-tts-mosquitto-")
        self._process: subprocess.Popen[bytes] | None = None
        folder = Path(self._folder.name)
        self.ca = folder / "ca.pem"
        self._log = folder / "log"
        # Under root it would change to a user that may not read this folder.
        lines = [f"listener {self.port} 127.0.0.1", "user root", f"allow_anonymous {str(password is None).lower()}"]
        if password is not None:
            passwords = folder / "passwords"
            _run("mosquitto_passwd", "-b", "-c", str(passwords), self.user, password)
            lines.append(f"password_file {passwords}")
        if tls:
            make_certificates(folder)
            lines += [f"certfile {folder / 'server.pem'}", f"keyfile {folder / 'server.key'}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join([*lines, "persistence false", "max_queued_messages 10000", ""]))

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Come up, and return when connections are taken."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_program("mosquitto"), "-c", str(self._config)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "mosquitto does not come up"
            time.sleep(0.01)

    def kill(self) -> None:
        """Vanish without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again on the same port; it has forgotten everything."""
        self.kill()
        self.start()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=0.5).close()
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str) -> str:
    path = shutil.which(name, path=PATHS)
    assert path is not None, f"{name} is not installed"
    return path


def _run(name: str, *arguments: str) -> None:
    subprocess.run([_program(name), *arguments], check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """Write ca.pem, and server.pem and server.key for localhost signed by it."""
    ca, key = str(folder / "ca.pem"), str(folder / "ca.key")
    server, server_key = str(folder / "server.pem"), str(folder / "server.key")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _run("openssl", "req", "-x509", *curve, "-keyout", key, "-out", ca, "-subj", "/CN=throw-away authority")
    request, extensions = folder / "server.csr", folder / "server.ext"
    _run("openssl", "req", *curve[:-2], "-keyout", server_key, "-out", str(request), "-subj", "/CN=localhost")
    extensions.write_text("subjectAltName=DNS:localhost\n")
    _run(
        *("openssl", "x509", "-req", "-in", str(request), "-CA", ca, "-CAkey", key, "-CAcreateserial"),
        *("-days", "2", "-extfile", str(extensions), "-out", server),
    )
