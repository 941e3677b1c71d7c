"""Score voices on the held-out prompts, from text, beside the recordings; prints one table.

    python -m tools.evaluate VOICE_FOLDER... --corpus DIR [--precision int8,fp32] [--prompts 60] [--out DIR]

P.808, SIG, BAK and OVRL are DNSMOS (speechmos) at 16 kHz. WER is pocketsphinx's with its own US English models. MCD (24
mel-cepstral coefficients of the envelope), F0 and voicing errors are measured along a dynamic-time-warping path to the
recording, on the synthesized waveform; so they include the duration model. `drift` is the same MCD to the first voice.

Other programs are scored beside them with `--command "NAME=PROGRAM … {wav} … {text}"`, for example
`--command "espeak-ng=espeak-ng -v en-us -w {wav} {text}"`; of their figures the first five columns mean something.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_tts.frontend.phonemize import phonemizer_for
from edge_tts.voices.base import Voice
from edge_tts.voices.bundle import MANIFEST, Bundle
from edge_tts.voices.golden import speak
from edge_tts.voices.registry import load_voice
from tools.edit_distance import edit_distance
from tools.prepare_corpus import Take, analyse, held_out_takes, read_takes

Samples = npt.NDArray[np.float32]
RATE = 16_000
CEPSTRA = 24


class Mos:
    """DNSMOS scores of a waveform (Reddy et al. 2021), computed on one thread."""

    def __init__(self) -> None:
        import speechmos.dnsmos

        from edge_tts.voices.ort import open_session

        models = Path(speechmos.dnsmos.__file__).parent / "dnsmos_models"
        self._dnsmos = speechmos.dnsmos.DNSMOS.__new__(speechmos.dnsmos.DNSMOS)
        self._dnsmos.onnx_sess = open_session(models / "sig_bak_ovr.onnx")
        self._dnsmos.p808_onnx_sess = open_session(models / "model_v8.onnx")

    def __call__(self, samples: Samples) -> dict[str, float]:
        scores = self._dnsmos(samples / max(1.0, float(np.abs(samples).max())), RATE, False)
        return {name.removesuffix("_mos"): float(value) for name, value in scores.items()}


class Recognizer:
    """Words that pocketsphinx hears."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=RATE, loglevel="FATAL")

    def __call__(self, samples: Samples) -> list[str]:
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr.split() if hypothesis else []


def cepstra(envelope: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mel-cepstral coefficients 1..24 of log-envelope points [T, 80], scaled so that their distance is in dB."""
    points = envelope.shape[1]
    n = np.arange(points)
    basis = np.cos(np.pi / points * (n[None, :] + 0.5) * np.arange(1, CEPSTRA + 1)[:, None])
    # log amplitude = c0 + sum of c_k cos(k w); MCD = 10 / ln 10 * sqrt(2 * sum of squared differences) (Kubichek 1993)
    result: npt.NDArray[np.float64] = envelope @ basis.T / points * 2 * (10 / np.log(10) * np.sqrt(2))
    return result


def warp(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """Dynamic-time-warping path between two sequences of vectors."""
    from scipy.spatial.distance import cdist

    cost = cdist(first, second)
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, rows + 1):
        best = np.minimum(total[i - 1, 1:], total[i - 1, :-1]).tolist()
        left = float("inf")
        for j, (step, here) in enumerate(zip(cost[i - 1].tolist(), best, strict=True), 1):
            left = step + min(here, left)
            total[i, j] = left
    i, j = rows, columns
    path = []
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        moves = ((total[i - 1, j - 1], i - 1, j - 1), (total[i - 1, j], i - 1, j), (total[i, j - 1], i, j - 1))
        _, i, j = min(moves)
    path.reverse()
    return [a for a, _ in path], [b for _, b in path]


def distances(features: dict[str, Any], reference: dict[str, Any]) -> dict[str, float]:
    """MCD (dB) over speech frames, F0 RMSE (semitones) where both are voiced, and voicing disagreement (%)."""
    ours, theirs = cepstra(features["env"]), cepstra(reference["env"])
    a, b = warp(ours, theirs)
    level = reference["env"].mean(axis=1)[b]
    speech = level > level.max() - 4.0
    voiced_a, voiced_b = features["voiced"][a] > 0.5, reference["voiced"][b] > 0.5
    both = voiced_a & voiced_b
    f0 = 12 / np.log(2) * (features["lf0"][a] - reference["lf0"][b])[both]
    return {
        "mcd": float(np.sqrt(((ours[a] - theirs[b])[speech] ** 2).sum(axis=1)).mean()),
        "f0": float(np.sqrt(np.mean(f0**2))) if both.any() else float("nan"),
        "vuv": 100.0 * float(np.mean(voiced_a != voiced_b)),
    }


@dataclass
class Row:
    """One system's scores, summed over prompts."""

    name: str
    sums: dict[str, float]
    words: int = 0
    errors: int = 0
    prompts: int = 0

    def add(self, scores: dict[str, float]) -> None:
        for name, value in scores.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.prompts += 1

    def figures(self) -> dict[str, float]:
        """Means over prompts; WER over all words."""
        means = {name: value / self.prompts for name, value in self.sums.items()}
        return {**means, "wer": 100.0 * self.errors / self.words}


COLUMNS = (
    ("P.808", "p808", ".2f"),
    ("SIG", "sig", ".2f"),
    ("BAK", "bak", ".2f"),
    ("OVRL", "ovrl", ".2f"),
    ("WER %", "wer", ".1f"),
    ("MCD dB", "mcd", ".2f"),
    ("F0 st", "f0", ".2f"),
    ("V/UV %", "vuv", ".1f"),
    ("dur %", "duration", ".1f"),
    ("drift dB", "drift", ".2f"),
)


def table(rows: list[Row]) -> str:
    """A Markdown table, one row a system."""
    lines = ["| system | " + " | ".join(title for title, _, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        figures = row.figures()
        cells = [format(figures[key], form) if key in figures else "–" for _, key, form in COLUMNS]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def record(folder: Path, precision: str, figures: dict[str, float]) -> None:
    """Write one precision's figures into the voice's own voice.json, under `quality`."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["quality"][precision] = {
        key: round(figures[key], 2) for _, key, _ in COLUMNS if key in figures and key != "drift"
    }
    path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def speak_text(voice: Voice, text: str) -> Samples:
    """Text to the whole waveform, by the language's own front end; sentences follow one another without pause."""
    return np.concatenate([speak(voice, sentence) for sentence in phonemizer_for(voice.language).phonemize(text)])


def run_program(command: str, text: str) -> tuple[Samples, int]:
    """What another program makes of a text: its words, with {wav} and {text} filled in, write a WAV file."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        wav = str(Path(folder) / "out.wav")
        words = [wav if word == "{wav}" else text if word == "{text}" else word for word in shlex.split(command)]
        subprocess.run(words, check=True, capture_output=True)
        samples, rate = soundfile.read(wav, dtype="float32")
    return samples, rate


def spectrograms(path: Path, sounds: dict[str, tuple[Samples, int]], title: str) -> None:
    """Write one PNG with the spectrogram of every sound, below one another."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(sounds), 1, figsize=(9, 2.4 * len(sounds)), squeeze=False)
    for axis, (name, (samples, rate)) in zip(axes[:, 0], sounds.items(), strict=True):
        axis.specgram(samples + 1e-9, NFFT=512, noverlap=384, Fs=rate, vmin=-140, vmax=-40, cmap="magma")
        axis.set_ylabel(name, fontsize=8)
        axis.set_ylim(0, 8000)
    axes[0, 0].set_title(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    pyplot.close(figure)


def evaluate(
    systems: dict[str, Callable[[Take], tuple[Samples, int]]],
    takes: list[Take],
    out: Path | None,
    pictures: int = 2,
    progress: Callable[[str], None] = print,
) -> list[Row]:
    """Score every system on every take; the first system is the recordings, which the others are compared with."""
    import soxr

    mos, recognize = Mos(), Recognizer()
    rows = [Row(name, {}) for name in systems]
    begin = time.monotonic()
    for number, take in enumerate(takes, 1):
        text = " ".join(s.text for s in phonemizer_for("en-US").phonemize(take.text))
        reference: dict[str, Any] | None = None
        baseline: dict[str, Any] | None = None
        length = 0.0
        sounds: dict[str, tuple[Samples, int]] = {}
        for row, make in zip(rows, systems.values(), strict=True):
            samples, rate = make(take)
            sounds[row.name] = samples, rate
            low = soxr.resample(samples, rate, RATE).astype(np.float32)
            scores = mos(low)
            heard = recognize(low)
            row.words += len(text.split())
            row.errors += edit_distance(text.split(), heard)
            wide = soxr.resample(samples, rate, 24_000) if rate != 24_000 else samples
            features = analyse(np.ascontiguousarray(wide, dtype=np.float64))
            level = features["env"].mean(axis=1)
            speech = np.flatnonzero(level > level.max() - 4.0)
            spoken = float(speech[-1] - speech[0])
            if reference is None:
                reference, length = features, spoken
            else:
                scores.update(distances(features, reference))
                scores["duration"] = 100.0 * abs(spoken - length) / length
                if baseline is None:
                    baseline = features
                else:
                    scores["drift"] = distances(features, baseline)["mcd"]
            row.add(scores)
        if out is not None and number <= pictures:
            spectrograms(out / f"{take.prompt}.png", sounds, take.text)
        if number % 10 == 0:
            progress(f"{number}/{len(takes)} prompts, {time.monotonic() - begin:.0f} s")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("voices", type=Path, nargs="+")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--precision", help="apart by commas; default: every one that each voice offers")
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--out", type=Path, help="folder for spectrogram PNGs")
    parser.add_argument("--record", action="store_true", help="write the figures into each voice's voice.json")
    parser.add_argument("--command", action="append", default=[], help="another program: NAME=PROGRAM … {wav} … {text}")
    options = parser.parse_args()
    import soundfile

    def recording(take: Take) -> tuple[Samples, int]:
        samples, rate = soundfile.read(options.corpus / "flac" / f"{take.id}.flac", dtype="float32")
        return samples, rate

    systems: dict[str, Callable[[Take], tuple[Samples, int]]] = {"recordings": recording}
    sources: list[tuple[Path, str]] = []
    for folder in options.voices:
        bundle = Bundle(folder)
        wanted = options.precision.split(",") if options.precision else bundle.precisions()
        for precision in bundle.precisions():
            if precision in wanted:
                voice = load_voice(bundle, [precision])
                sources.append((folder, precision))
                name = f"{folder.parent.name}/{bundle.name} {precision}"
                systems[name] = lambda take, voice=voice: (speak_text(voice, take.text), voice.sample_rate)  # type: ignore[misc]
    for command in options.command:
        name, _, words = command.partition("=")
        systems[name] = lambda take, words=words: run_program(words, take.text)  # type: ignore[misc]
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    takes = held_out_takes(read_takes(options.corpus))[: options.prompts]
    rows = evaluate(systems, takes, options.out)
    print(table(rows))
    if options.record:
        for (folder, kind), row in zip(sources, rows[1:], strict=True):
            record(folder, kind, row.figures())


if __name__ == "__main__":
    main()
