"""A way for one thread to wake another that sleeps in `select`."""

from __future__ import annotations

import contextlib
import socket


class Wakeup:
    """Goes into `select` beside the descriptors that a thread reads; `ring` from any thread makes it readable."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to select for reading."""
        return self._reader.fileno()

    def ring(self) -> None:
        """Wake the sleeper. Never blocks; does nothing once closed."""
        # A full buffer means that it has been rung already.
        with contextlib.suppress(OSError):
            self._writer.send(b"!")

    def clear(self) -> None:
        """Forget all rings so far."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def close(self) -> None:
        """Free both descriptors."""
        self._reader.close()
        self._writer.close()
