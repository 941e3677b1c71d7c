"""Tokens on their way from the thread that generates them to the one that turns them into sound."""

from __future__ import annotations

import threading


class TokenStream:
    """A sentence's tokens so far. The generating side waits once it is `ahead` tokens beyond what was asked for."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead
        self._tokens: list[int] = []
        self._wanted = 0
        self._read = False
        self._finished = False
        self._closed = False
        self._error: Exception | None = None
        self._changed = threading.Condition()

    def put(self, token: int) -> bool:
        """Add a token. Returns False, at once, when nobody wants any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._tokens) < self._wanted + self._ahead)
            if self._closed:
                return False
            self._tokens.append(token)
            self._changed.notify_all()
            return True

    def restart(self) -> bool:
        """Forget all tokens, for another attempt. Returns False when some have been read already."""
        with self._changed:
            if self._read or self._closed:
                return False
            self._tokens.clear()
            return True

    def finish(self, error: Exception | None = None) -> None:
        """The sentence is complete, or `error` ended it."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def first(self, count: int) -> tuple[int, ...]:
        """Wait for the first `count` tokens and return them; fewer are all there are.

        Raises what the generating side ended with, also when a `close` in another thread ended the waiting.
        """
        with self._changed:
            self._wanted = max(self._wanted, count)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._finished or len(self._tokens) >= count)
            if self._error is not None and len(self._tokens) < count:
                raise self._error
            self._read = True
            return tuple(self._tokens[:count])

    def close(self) -> None:
        """Nobody wants any more tokens; wakes both sides."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
