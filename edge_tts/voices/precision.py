"""Which precision of a voice is fastest on this device: measured once, remembered by device and bundle."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from edge_tts.errors import EdgeTtsError
from edge_tts.voices.base import Voice
from edge_tts.voices.bundle import MANIFEST, Bundle, Precision, sha256
from edge_tts.voices.golden import golden_sentence, speak
from edge_tts.voices.registry import load_voice

log = logging.getLogger(__name__)

REPETITIONS = 3
MEMORY_FILE = "precision.json"


def fastest(seconds: dict[Precision, float], smallest_first: Sequence[Precision], margin: float = 0.9) -> Precision:
    """The precision to use: the smallest, unless another needs less than `margin` of its time."""
    best = smallest_first[0]
    for precision in smallest_first[1:]:
        if seconds[precision] < margin * seconds[best]:
            best = precision
    return best


def order_from(best: Precision, offered: Sequence[Precision]) -> list[Precision]:
    """`best` first, the others after it as fallbacks."""
    return [best, *(item for item in offered if item != best)]


class PrecisionMemory:
    """The choices made on this device, as a JSON file; without a writable folder they last until the restart."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / MEMORY_FILE if folder else None
        self._choices: dict[str, str] = {}
        if self._path is not None and self._path.exists():
            try:
                self._choices = {str(key): str(value) for key, value in json.loads(self._path.read_text()).items()}
            except (OSError, ValueError, AttributeError) as error:
                log.warning("%s: cannot be read, precisions are measured again: %s", self._path, error)

    def get(self, key: str) -> str | None:
        """The remembered choice."""
        return self._choices.get(key)

    def put(self, key: str, choice: Precision) -> None:
        """Remember a choice; a disk that is full or read-only is logged, not an error."""
        self._choices[key] = choice
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch = self._path.with_suffix(".new")
            scratch.write_text(json.dumps(self._choices, indent=1))
            scratch.replace(self._path)
        except OSError as error:
            log.warning("%s: cannot be written: %s", self._path, error)


def device_key(bundle: Bundle) -> str:
    """Changes with the processor, the runtime and the bundle's contents."""
    cpu = ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = "".join(sorted({line for line in lines if line.startswith(("model name", "CPU part", "Model"))}))
    except OSError:
        pass
    facts = f"{platform.machine()} {cpu} ort{onnxruntime.__version__} {sha256(bundle.folder / MANIFEST)}"
    return f"{bundle.name}@{hashlib.sha256(facts.encode()).hexdigest()[:16]}"


def load_best(bundle: Bundle, wanted: str, memory: PrecisionMemory, threads: int = 1) -> Voice:
    """Load a bundle in the `wanted` precision, or with `auto` in the one measured fastest here.

    Raises BundleError when no precision is usable.
    """
    offered = bundle.precisions()
    golden = bundle.manifest.golden
    if wanted != "auto":
        chosen: list[Precision] = [item for item in offered if item == wanted]
        return load_voice(bundle, [*chosen, *(item for item in offered if item != wanted)], threads)
    if len(offered) == 1 or golden is None:
        return load_voice(bundle, offered, threads)
    key = device_key(bundle)
    remembered = memory.get(key)
    for precision in offered:
        if precision == remembered:
            return load_voice(bundle, order_from(precision, offered), threads)
    seconds: dict[Precision, float] = {}
    for precision in offered:
        try:
            voice = load_voice(bundle, [precision], threads)
        except EdgeTtsError:
            continue
        seconds[precision] = _seconds(voice, golden.phonemes)
        voice.close()
    usable = [item for item in offered if item in seconds]
    if not usable:
        return load_voice(bundle, offered, threads)
    best = fastest(seconds, usable)
    memory.put(key, best)
    figures = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items())
    log.info("voice %s: %s chosen on this device (%s for the golden utterance)", bundle.name, best, figures)
    return load_voice(bundle, order_from(best, offered), threads)


def _seconds(voice: Voice, phonemes: str) -> float:
    sentence = golden_sentence(phonemes)
    best = float("inf")
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        speak(voice, sentence)
        best = min(best, time.perf_counter() - begin)
    return best
