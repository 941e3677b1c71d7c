"""Speech into WAV files: one for each utterance in a folder, or all of it in one file."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
from pathlib import Path

import numpy as np

from edge_tts.audio.chunk import Samples
from edge_tts.audio.ring import FADE_SECONDS, PlaybackRing
from edge_tts.audio.wav_file import WavFile
from edge_tts.errors import AudioDeviceError

log = logging.getLogger(__name__)

_OURS = re.compile(r"\d{8}-\d{6}-[A-Za-z0-9_-]+\.wav")
_BLOCK = 4096
_BUFFER_SECONDS = 2.0


class WavSink:
    """An AudioSink that makes each utterance a 16-bit WAV file `YYYYmmdd-HHMMSS-<id>.wav` in a folder.

    Only the newest `keep` files of that form stay. With `clocked`, time passes as with a device: `heard` follows the
    clock, `write` waits, and an interrupt leaves what would have been heard. `begin`, `write` and `drain` raise
    AudioDeviceError with the path when a file cannot be written.
    """

    def __init__(self, folder: Path | str, *, keep: int = 50, clocked: bool = True, volume: float = 1.0) -> None:
        self._path = Path(folder)
        self._keep = keep
        self._clocked = clocked
        self._volume = volume
        self._changed = threading.Condition()
        self._file: WavFile | None = None
        self._ring = PlaybackRing(1, 1)
        self._block: Samples = np.zeros(_BLOCK, np.float32)
        self._error: AudioDeviceError | None = None
        self._cancelled = False
        self._heard = 0
        self._clock_zero = 0.0
        """When sample 0 would have been heard, had the utterance never run dry."""
        self._complete = False
        self._dry = False
        self._underruns = 0

    @property
    def volume(self) -> float:
        return self._volume

    @volume.setter
    def volume(self, value: float) -> None:
        with self._changed:
            self._catch_up()
            self._volume = self._ring.volume = value

    @property
    def description(self) -> str:
        return f"WAV files in {self._path}"

    @property
    def underruns(self) -> int:
        return self._underruns

    def start(self) -> None:
        """Make the folder, if it can be made now; `begin` raises if it cannot then."""
        try:
            self._make_folder()
        except AudioDeviceError as error:
            log.warning("%s", error)

    def stop(self) -> None:
        self.cancel()

    def begin(self, sample_rate: int, utterance: str) -> None:
        with self._changed:
            self._close()
            self._error = None
            self._cancelled = self._complete = self._dry = False
            self._heard = 0
            self._clock_zero = time.monotonic()
            self._ring = PlaybackRing(round(_BUFFER_SECONDS * sample_rate), sample_rate, self._volume)
            self._file = self._open(sample_rate, utterance)

    def write(self, samples: Samples) -> bool:
        with self._changed:
            while True:
                self._catch_up()
                if self._error:
                    raise self._error
                if self._cancelled:
                    return False
                samples = samples[self._ring.write(samples) :]
                if len(samples) == 0:
                    return True
                if self._clocked:
                    self._changed.wait(min(len(samples) / self._ring.sample_rate, _BUFFER_SECONDS / 4))

    def drain(self) -> bool:
        with self._changed:
            self._complete = True
            while True:
                self._catch_up()
                if self._error:
                    raise self._error
                if self._cancelled:
                    return False
                if not self._ring.filled:
                    self._close()
                    if self._error:
                        raise self._error
                    return True
                self._changed.wait(self._ring.filled / self._ring.sample_rate)

    def cancel(self) -> None:
        with self._changed:
            self._catch_up()
            if self._file is None:
                return
            self._cancelled = True
            audible = min(self._ring.filled, round(FADE_SECONDS * self._ring.sample_rate))
            self._ring.cancel()
            self._put(audible)
            self._close()
            self._changed.notify_all()

    def heard(self) -> int:
        with self._changed:
            self._catch_up()
            return self._heard

    def _open(self, sample_rate: int, utterance: str) -> WavFile:
        safe = re.sub(r"[^A-Za-z0-9_-]+", "-", utterance)[:40].strip("-") or "utterance"
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{safe}"
        self._make_folder()
        for number in itertools.count(1):
            path = self._path / (f"{stem}.wav" if number == 1 else f"{stem}-{number}.wav")
            try:
                file = WavFile(path, sample_rate, "xb")
                break
            except FileExistsError:
                continue
        self._prune(path)
        return file

    def _make_folder(self) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioDeviceError(f"cannot make the folder {self._path}: {error.strerror}") from error

    def _prune(self, present: Path) -> None:
        try:
            ours = [path for path in self._path.iterdir() if _OURS.fullmatch(path.name) and path != present]
            ours.sort(key=lambda path: path.lstat().st_mtime_ns)
            for path in ours[: max(0, len(ours) + 1 - self._keep)]:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("cannot remove an old file in %s: %s", self._path, error)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except AudioDeviceError as error:
                self._error = error

    def _catch_up(self) -> None:
        """Move what has been heard by now into the file."""
        if self._file is None:
            return
        waiting = self._ring.filled
        if not self._clocked:
            self._put(waiting)
            return
        now, rate = time.monotonic(), self._ring.sample_rate
        due = max(0, int((now - self._clock_zero) * rate) - self._heard)
        self._put(min(due, waiting))
        if due > waiting:
            self._clock_zero = now - self._heard / rate
            ran_dry = self._heard > 0 and not self._complete
            self._underruns += ran_dry and not self._dry
            self._dry = ran_dry
        elif due:
            self._dry = False

    def _put(self, count: int) -> None:
        self._heard += count
        while count > 0 and self._file is not None:
            part = self._block[:count]
            self._ring.read(part, 0.0)
            count -= len(part)
            try:
                self._file.append(part)
            except AudioDeviceError as error:
                self._error = error
                self._close()


class FileSink:
    """An AudioSink that puts all utterances into one 16-bit WAV file, as fast as they come.

    `begin` and `write` raise AudioDeviceError with the path when the file cannot be written, `begin` also when an
    utterance has another sample rate than the file.
    """

    def __init__(self, path: Path | str, *, volume: float = 1.0) -> None:
        self.volume = volume
        self.underruns = 0
        self._path = Path(path)
        self._file: WavFile | None = None
        self._cancelled = threading.Event()
        self._written = 0

    @property
    def description(self) -> str:
        return str(self._path)

    def start(self) -> None:
        """Nothing to do; the first utterance opens the file."""

    def begin(self, sample_rate: int, utterance: str) -> None:
        if self._file is None:
            self._file = WavFile(self._path, sample_rate, "wb")
        if self._file.sample_rate != sample_rate:
            raise AudioDeviceError(f"{self._path} has {self._file.sample_rate} Hz and cannot take {sample_rate} Hz too")
        self._cancelled.clear()
        self._written = 0

    def write(self, samples: Samples) -> bool:
        if self._cancelled.is_set():
            return False
        assert self._file is not None, "write without begin"
        self._file.append(samples * np.float32(self.volume))
        self._written += len(samples)
        return True

    def drain(self) -> bool:
        return not self._cancelled.is_set()

    def cancel(self) -> None:
        """Take no more of this utterance; what was written stays."""
        self._cancelled.set()

    def heard(self) -> int:
        return self._written

    def stop(self) -> None:
        """Complete the file. Raises AudioDeviceError when its end cannot be written."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
