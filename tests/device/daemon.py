"""The real daemon in a process of its own, and a client that publishes to it and hears its events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

DEVICE = "board"
PATIENCE = 30.0


class DaemonProcess:
    """`edge-ttsd run` with a configuration file; as a context manager it is stopped in good order."""

    def __init__(self, folder: Path, config: str, environment: Mapping[str, str]) -> None:
        self._log = folder / "daemon.log"
        path = folder / "config.toml"
        path.write_text(f'[device]\nid = "{DEVICE}"\n{config}')
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge_tts", "run", "--config", str(path)],
                env=os.environ | {"XDG_STATE_HOME": str(folder), **environment},
                stderr=log,
                stdout=log,
            )

    def __enter__(self) -> DaemonProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is not None:
            print(self.log)

    @property
    def log(self) -> str:
        """Everything it has logged so far."""
        return self._log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(PATIENCE)


class Listener:
    """An MQTT client that hears everything below `tts/`, with the time it arrived."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[float, MQTTMessage]] = []
        self._changed = threading.Condition(threading.RLock())
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("tts/#", 1)
        self._client.on_message = self._received
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: object, qos: int = 1, retain: bool = False) -> None:
        """Publish text, bytes or an object as JSON below `tts/`."""
        data = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        self._client.publish(f"tts/{topic}", data, qos, retain)

    def events(self) -> list[dict[str, Any]]:
        """The events so far."""
        with self._changed:
            found = [message for _, message in self.messages if message.topic == f"tts/{DEVICE}/event"]
        return [json.loads(message.payload) for message in found]

    def event(self, name: str, request_id: str | None = None, timeout: float = PATIENCE) -> dict[str, Any]:
        """The first event of this name (and id), once it has come."""

        def matching() -> list[dict[str, Any]]:
            return [event for event in self.events() if event["event"] == name and request_id in (None, event["id"])]

        self.wait_for(lambda: bool(matching()), timeout)
        return matching()[0]

    def last(self, topic: str) -> str | None:
        """The last payload on a topic below `tts/<device>/`."""
        with self._changed:
            found = [message for _, message in self.messages if message.topic == f"tts/{DEVICE}/{topic}"]
        return found[-1].payload.decode() if found else None

    def wait_until_online(self) -> None:
        """Wait until the daemon says that it is there."""
        self.wait_for(lambda: self.last("availability") == "online" and self.last("state") is not None)

    def wait_for(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Wait for a condition on what was received; fails the test when it does not come true in time."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                assert left > 0, [event for event in self.events() if event["event"] not in ("word", "viseme")]
                self._changed.wait(min(left, 0.5))

    def _received(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        with self._changed:
            self.messages.append((time.monotonic(), message))
            self._changed.notify_all()
