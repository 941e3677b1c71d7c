"""A private PulseAudio with a null sink: a sound device whose clock runs, and whose sound can be recorded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from edge_tts.audio.chunk import Samples

RATE = 24000
_PATIENCE = 20.0

ALSA_CONFIG = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.!sysdefault {
    @args [ CARD ]
    @args.CARD { type string default { @func getenv vars [ ALSA_CARD ] default "speaker" } }
    type pulse
    device $CARD
}
"""
"""`default` plays on the server's first sink; `sysdefault:CARD=<sink>` on a sink by name."""


def missing() -> list[str]:
    """What must be installed before this can work."""
    programs = [name for name in ("pulseaudio", "pactl", "parec") if shutil.which(name) is None]
    plugin = any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    return programs if plugin else [*programs, "libasound2-plugins"]


class PulseServer:
    """A PulseAudio of its own, in a folder of its own, as a context manager.

    `environment` leads PortAudio (through ALSA's pulse plugin), parec and pactl of this or a child process to it.
    """

    def __init__(self, sinks: Sequence[str] = ("speaker",)) -> None:
        self.sinks = tuple(sinks)
        self._folder = Path(tempfile.mkdtemp(prefix="edge-tts-pulse-"))
        self._process: subprocess.Popen[bytes] | None = None
        config = self._folder / "asound.conf"
        config.write_text(ALSA_CONFIG)
        client = self._folder / "client.conf"
        client.write_text("autospawn = no\n")
        self.environment = {
            "ALSA_CONFIG_PATH": str(config),
            "PULSE_SERVER": f"unix:{self._folder / 'native'}",
            "PULSE_RUNTIME_PATH": str(self._folder),
            "PULSE_COOKIE": str(self._folder / "cookie"),
            "PULSE_CLIENTCONFIG": str(client),
        }

    def __enter__(self) -> PulseServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [
            "pulseaudio",
            "-n",
            "--daemonize=no",
            "--use-pid-file=no",
            "--exit-idle-time=-1",
            "--log-level=error",
        ]
        # Without rewinds a null sink renders 50 ms at a time instead of 2 s.
        command += [
            f"--load=module-null-sink sink_name={sink} rate={RATE} channels=1 format=float32le norewinds=1"
            for sink in self.sinks
        ]
        command.append(f"--load=module-native-protocol-unix socket={self._folder / 'native'} auth-anonymous=1")
        environment = os.environ | self.environment | {"XDG_RUNTIME_DIR": str(self._folder), "HOME": str(self._folder)}
        del environment["PULSE_SERVER"]
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _PATIENCE
        while self._control("info").returncode:
            assert self._process.poll() is None, "pulseaudio ended as soon as it was started"
            assert time.monotonic() < deadline, "pulseaudio does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server at once, as if the device were unplugged."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End the server and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop the server from doing anything until `thaw`; its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def record(self, sink: str = "speaker") -> Iterator[Recording]:
        """Record what a sink plays: 24 kHz mono, from before the block's first line until it is left."""
        recording = Recording(self._folder, os.environ | self.environment, sink)
        try:
            yield recording
        finally:
            recording.stop()

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["pactl", *arguments],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )


class Recording:
    """A running or ended recording of a sink's monitor."""

    def __init__(self, folder: Path, environment: dict[str, str], sink: str) -> None:
        command = ["parec", f"--device={sink}.monitor", f"--rate={RATE}", "--channels=1", "--format=float32le", "--raw"]
        self._blocks: list[bytes] = []
        self._grown = threading.Condition()
        for _ in range(3):
            self._process = subprocess.Popen(
                [*command, "--latency-msec=20"],
                env=environment,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._thread = threading.Thread(target=self._collect, name="parec-reader", daemon=True)
            self._thread.start()
            if self._await_seconds(0.1, timeout=5.0):
                return
            self.stop()
        raise AssertionError(f"nothing can be recorded from {sink}")

    @property
    def samples(self) -> Samples:
        """What has been recorded so far, shape [n]."""
        with self._grown:
            raw = b"".join(self._blocks)
        return np.frombuffer(raw[: len(raw) // 4 * 4], np.float32)

    def await_more(self, seconds: float) -> None:
        """Wait until so much more has been recorded: everything played up to now is in it then."""
        have = len(self.samples) / RATE
        assert self._await_seconds(have + seconds, timeout=_PATIENCE), "the recording does not go on"

    def stop(self) -> None:
        """End the recording."""
        self._process.terminate()
        self._thread.join(5.0)
        self._process.wait(5.0)

    def _await_seconds(self, seconds: float, timeout: float) -> bool:
        with self._grown:
            return self._grown.wait_for(lambda: sum(map(len, self._blocks)) >= 4 * seconds * RATE, timeout)

    def _collect(self) -> None:
        assert self._process.stdout is not None
        while block := os.read(self._process.stdout.fileno(), 65536):
            with self._grown:
                self._blocks.append(block)
                self._grown.notify_all()


def find(played: Samples, recorded: Samples) -> tuple[int, float]:
    """Where `played` begins in `recorded`, and the correlation of the two there."""
    if len(recorded) < len(played):
        recorded = np.pad(recorded, (0, len(played) - len(recorded)))
    size = 1 << (len(recorded) + len(played)).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(played, size))
    offset = int(np.argmax(np.fft.irfft(spectrum, size)[: len(recorded) - len(played) + 1]))
    part: npt.NDArray[np.float64] = recorded[offset : offset + len(played)].astype(np.float64)
    norm = float(np.linalg.norm(part) * np.linalg.norm(played))
    return offset, float(part @ played) / norm if norm else 0.0


def longest_silence(samples: Samples, threshold: float = 1e-4) -> int:
    """Samples in the longest run quieter than `threshold`."""
    loud = np.flatnonzero(np.abs(samples) >= threshold)
    return int(np.diff(np.concatenate([[-1], loud, [len(samples)]])).max()) - 1
