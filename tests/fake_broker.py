"""A scripted MQTT broker for one client: what a real one does only when things go wrong."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14
PATIENCE = 10.0


@dataclass(frozen=True)
class Packet:
    """One MQTT control packet: its type, the flags beside it, and what follows the length."""

    kind: int
    flags: int
    body: bytes

    @property
    def version(self) -> int:
        """The protocol version of a CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5."""
        return self.body[6]

    @property
    def topic(self) -> str:
        """Of a PUBLISH."""
        return self.body[2 : 2 + int.from_bytes(self.body[:2], "big")].decode()


def encode(kind: int, flags: int, body: bytes) -> bytes:
    """A control packet as bytes."""
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([kind << 4 | flags]) + bytes(length) + body


class Connection:
    """One client, as the script sees it."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        stream.settimeout(PATIENCE)

    def read(self) -> Packet:
        """The next packet. Raises OSError or EOFError when the client goes away."""
        first = self._exactly(1)[0]
        length = shift = 0
        while True:
            digit = self._exactly(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return Packet(first >> 4, first & 0x0F, self._exactly(length))

    def send(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send a packet to the client."""
        self._stream.sendall(encode(kind, flags, body))

    def accept(self, session_present: bool = False) -> Packet:
        """Answer CONNECT with success. Returns the CONNECT."""
        packet = self.read()
        assert packet.kind == CONNECT
        properties = b"\0" if packet.version == 5 else b""
        self.send(CONNACK, bytes([session_present, 0]) + properties)
        return packet

    def publish(self, topic: str, payload: bytes, packet_id: int, dup: bool = False) -> None:
        """Deliver an MQTT 5 message with QoS 1."""
        self.send(PUBLISH, _publish_body(topic, payload, packet_id), flags=0x02 | (0x08 if dup else 0))

    def publish_together(self, topic: str, payloads: Sequence[bytes]) -> None:
        """Deliver MQTT 5 messages with QoS 1 in one piece."""
        bodies = (_publish_body(topic, payload, packet_id) for packet_id, payload in enumerate(payloads, start=1))
        self._stream.sendall(b"".join(encode(PUBLISH, 0x02, body) for body in bodies))

    def read_until(self, kind: int) -> Packet:
        """The next packet of this kind; what comes before it is passed over."""
        while True:
            packet = self.read()
            if packet.kind == kind:
                return packet

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self._stream.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


def _publish_body(topic: str, payload: bytes, packet_id: int) -> bytes:
    name = topic.encode()
    return len(name).to_bytes(2, "big") + name + packet_id.to_bytes(2, "big") + b"\0" + payload


class FakeBroker:
    """Runs `script` for each connection in turn, with its number; a context manager."""

    def __init__(self, script: Callable[[int, Connection], None], tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fake-broker", daemon=True)

    def __enter__(self) -> FakeBroker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would leave the thread in accept().
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(PATIENCE)
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        number = 0
        while True:
            try:
                stream, _ = self._server.accept()
            except OSError:
                return
            try:
                with self._tls.wrap_socket(stream, server_side=True) if self._tls else stream as inner:
                    self._script(number, Connection(inner))
            except (EOFError, OSError):
                pass
            except BaseException as failure:
                self.failure = failure
            number += 1
