"""Time voices on this machine: CPU seconds per second of audio on one thread, first chunk, memory; prints tables.

    edge-ttsd bench [VOICE_FOLDER...] [--precision int8] [--yardstick yardstick.onnx] [--repeats 7]

Time is CPU time of the process, front end included, the fastest of the repeats. The yardstick (an ONNX decoder of the
size popular voices use, 256 samples at 22,050 Hz a frame) runs in turn with the voice, so that their ratio holds on a
busy machine. A voice that draws its tokens at random recites a second of its reference's for each sentence instead.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edge_tts.frontend.base import Phonemizer
from edge_tts.frontend.phonemize import phonemizer_for
from edge_tts.voices.base import Voice
from edge_tts.voices.bundle import Bundle
from edge_tts.voices.golden import repeatable
from edge_tts.voices.ort import open_session
from edge_tts.voices.registry import load_voice

SENTENCES = {
    "short": "Battery low.",
    "medium": "The front door of the house has been open since this morning.",
    "long": (
        "The delivery robot on the second floor, which left its charging station at a quarter past nine, has now been "
        "waiting in front of the north elevator for more than eleven minutes, because somebody parked a trolley there, "
        "so please ask one of your colleagues to move it before the next delivery is due."
    ),
}
YARDSTICK_HOP, YARDSTICK_RATE = 256, 22_050
YARDSTICK_SECONDS = 4.0


class Stopwatch:
    """CPU seconds spent in ONNX graphs, by file name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def watch_graphs(self) -> Iterator[None]:
        """Within the block every `run` of every session is timed."""
        session: Any = onnxruntime.InferenceSession
        originals = {name: getattr(session, name) for name in ("run", "run_with_iobinding", "run_with_ort_values")}

        def timed(name: str) -> Any:
            def run(this: Any, *args: Any, **kwargs: Any) -> Any:
                # Of this thread alone: another one may run another graph meanwhile.
                begin = time.thread_time()
                result = originals[name](this, *args, **kwargs)
                key = Path(getattr(this, "_model_path", None) or "graph").name
                self.seconds[key] = self.seconds.get(key, 0.0) + time.thread_time() - begin
                return result

            return run

        for name in originals:
            setattr(session, name, timed(name))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(session, name, original)


def say(voice: Voice, phonemizer: Phonemizer, text: str) -> dict[str, float]:
    """CPU seconds of one text: `front end`, each graph, `other` (waveform, Python), `total`, `first chunk`.

    `audio` is the length of what was spoken, in seconds.
    """
    watch = Stopwatch()
    samples, first, front_end = 0, 0.0, 0.0
    with watch.watch_graphs():
        begin = mark = time.process_time()
        for sentence in phonemizer.sentences(text):
            front_end += time.process_time() - mark
            for chunk in repeatable(voice, sentence):
                first = first or time.process_time() - begin
                samples += len(chunk.samples)
            mark = time.process_time()
        front_end += time.process_time() - mark
        total = time.process_time() - begin
    other = total - front_end - sum(watch.seconds.values())
    parts = {"front end": front_end, **watch.seconds, "other": other}
    return {**parts, "total": total, "first chunk": first, "audio": samples / voice.sample_rate}


def forget_words(phonemizer: Phonemizer) -> None:
    """Empty the front end's cache of words, so that a repeat costs what a new text would."""
    pronouncer = getattr(phonemizer, "_pronouncer", None)
    for name in ("phones", "is_word"):
        clear = getattr(getattr(pronouncer, name, None), "cache_clear", None)
        if clear is not None:
            clear()


def yardstick_seconds(session: Any) -> float:
    """CPU seconds of the yardstick per second of its audio."""
    frames = int(YARDSTICK_SECONDS * YARDSTICK_RATE / YARDSTICK_HOP)
    latent = np.random.default_rng(0).standard_normal((1, 192, frames)).astype(np.float32)
    begin = time.process_time()
    session.run(None, {"z": latent})
    return (time.process_time() - begin) / (frames * YARDSTICK_HOP / YARDSTICK_RATE)


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def bench(voice: Voice, repeats: int, yardstick: Any = None) -> tuple[dict[str, dict[str, float]], float | None]:
    """For each sentence the fastest repeat's figures, and the yardstick's fastest seconds per second of audio."""
    phonemizer = phonemizer_for(voice.language)
    best: dict[str, dict[str, float]] = {}
    fastest: float | None = None
    for repeat in range(repeats + 1):
        for name, text in SENTENCES.items():
            forget_words(phonemizer)
            figures = say(voice, phonemizer, text)
            if repeat and (name not in best or figures["total"] < best[name]["total"]):
                first = min(figures["first chunk"], best.get(name, figures)["first chunk"])
                best[name] = {**figures, "first chunk": first}
        if yardstick is not None and repeat:
            seconds = yardstick_seconds(yardstick)
            fastest = seconds if fastest is None else min(fastest, seconds)
    return best, fastest


def print_tables(name: str, best: dict[str, dict[str, float]], fastest: float | None, memory: float) -> None:
    parts = [key for key in next(iter(best.values())) if key not in ("total", "first chunk", "audio")]
    titles = ["sentence", "audio s", *parts, "total", "first chunk ms"]
    if fastest is not None:
        titles.append("yardstick / voice")
    print(f"\n{name}: CPU seconds per second of audio, one thread; {memory:.0f} MB more resident with it")
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for sentence, figures in best.items():
        audio = figures["audio"]
        cells = [f"{figures.get(part, 0.0) / audio:.5f}" for part in (*parts, "total")]
        row = [sentence, f"{audio:.2f}", *cells, f"{1000 * figures['first chunk']:.1f}"]
        if fastest is not None:
            row.append(f"{fastest / (figures['total'] / audio):.1f}")
        print("| " + " | ".join(row) + " |")
    if fastest is not None:
        print(f"yardstick: {fastest:.5f}")


def bench_voices(folders: Sequence[Path], wanted: Sequence[str], yardstick: Path | None, repeats: int) -> None:
    """Time each voice in each of the `wanted` precisions (empty: all it offers) and print a table for each."""
    ruler = open_session(yardstick) if yardstick else None
    for folder in folders:
        bundle = Bundle(folder)
        for precision in [item for item in bundle.precisions() if not wanted or item in wanted]:
            before = resident_mb()
            voice = load_voice(bundle, [precision])
            bench(voice, 1)
            memory = resident_mb() - before
            best, fastest = bench(voice, repeats, ruler)
            print_tables(f"{bundle.name} {precision}", best, fastest, memory)
            voice.close()
