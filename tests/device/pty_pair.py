"""A serial cable that can be pulled out: a symlink to a pseudo terminal whose other end the test holds."""

from __future__ import annotations

import os
import pty
import select
import time
import tty
from pathlib import Path
from types import TracebackType

PATIENCE = 10.0


class PtyPair:
    """Plays the host at the far end; `path` is what the product opens. A context manager, plugged in at its start."""

    def __init__(self, folder: Path, name: str = "ttyVOICE") -> None:
        self.path = folder / name
        self._master: int | None = None
        self._slave: int | None = None
        self._received = bytearray()

    def __enter__(self) -> PtyPair:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug(self) -> None:
        """Put a new pseudo terminal behind the path."""
        self._master, self._slave = pty.openpty()
        # The fixture's hold on the slave keeps it raw, and keeps the line up while the product is not there.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._received.clear()
        new = self.path.with_suffix(".new")
        new.symlink_to(os.ttyname(self._slave))
        new.rename(self.path)

    def unplug(self) -> None:
        """Hang up, and take the path away as udev does."""
        self.path.unlink(missing_ok=True)
        for end in (self._master, self._slave):
            if end is not None:
                os.close(end)
        self._master = self._slave = None

    @property
    def master(self) -> int:
        """The host's descriptor."""
        assert self._master is not None, "not plugged in"
        return self._master

    def send(self, data: bytes) -> None:
        """Write all of it, waiting for room."""
        deadline = time.monotonic() + PATIENCE
        while data:
            _, ready, _ = select.select([], [self.master], [], max(0, deadline - time.monotonic()))
            assert ready, "the product does not read"
            data = data[os.write(self.master, data) :]

    def line(self, timeout: float = PATIENCE) -> str:
        """The next line from the product, without its end."""
        deadline = time.monotonic() + timeout
        while b"\r\n" not in self._received:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no line came; so far {bytes(self._received)!r}"
            self._received += os.read(self.master, 4096)
        line, _, rest = bytes(self._received).partition(b"\r\n")
        self._received[:] = rest
        return line.decode()

    def lines(self, count: int) -> list[str]:
        """The next so many lines."""
        return [self.line() for _ in range(count)]

    def ask(self, command: str) -> str:
        """Send a line and return the next one that is no asynchronous event."""
        self.send(command.encode() + b"\n")
        while True:
            line = self.line()
            if not line.startswith("!"):
                return line

    def silence(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        return not ready and not self._received
