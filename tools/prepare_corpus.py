"""Turn a folder of recordings into training features: denoised speech parameters, one .npz per take.

    python -m tools.prepare_corpus CORPUS OUT [--jobs 2]

CORPUS holds flac/ (24 kHz mono), metadata.csv (id|text), quality.csv and align_phones.jsonl. Takes already in OUT are
skipped, so an interrupted run is resumed by repeating it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_tts.voices.envelope import BANDS, FRAME, SAMPLE_RATE, envelope_matrix, interpolation

FFT = 1024
F0_FLOOR, F0_CEILING = 80.0, 420.0
RIDGE = 1e-3
MIN_SNR_DB = 25.0
MIN_ALIGNMENT_SCORE = -17.0
CLIPPED_TEXT = frozenset({"arctic_a0252"})
HELD_OUT = Path(__file__).with_name("held_out_prompts.txt")

Samples = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Take:
    """One recording of one prompt, with its forced alignment."""

    id: str
    text: str
    snr_db: float
    score: float
    words: list[tuple[str, list[tuple[str, float, float]]]]
    """(word, [(phone, start, end)]) in seconds; silences are words named `<...>`."""

    @property
    def prompt(self) -> str:
        return self.id.rsplit("_", 1)[0]

    @property
    def clean(self) -> bool:
        """Good enough to learn from."""
        return self.snr_db >= MIN_SNR_DB and self.score >= MIN_ALIGNMENT_SCORE and self.prompt not in CLIPPED_TEXT


def read_takes(corpus: Path) -> list[Take]:
    """Every aligned take of the corpus, sorted by id."""
    with open(corpus / "metadata.csv", encoding="utf-8") as file:
        texts = dict(line.rstrip("\n").split("|", 1) for line in file)
    with open(corpus / "quality.csv", encoding="utf-8") as file:
        snr = {row["id"]: float(row["snr_db"]) for row in csv.DictReader(file, delimiter="|")}
    takes = []
    with open(corpus / "align_phones.jsonl", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            words = [(w["w"], [(p, float(s), float(e)) for p, s, e in w["ph"]]) for w in row["words"]]
            takes.append(Take(row["id"], texts[row["id"]], snr[row["id"]], float(row["score"]), words))
    return sorted(takes, key=lambda take: take.id)


def held_out_prompts() -> frozenset[str]:
    """Prompts that no take of which may be trained on."""
    return frozenset(HELD_OUT.read_text(encoding="utf-8").split())


def held_out_takes(takes: list[Take]) -> list[Take]:
    """One recording of every held-out prompt: the one with the best signal-to-noise ratio."""
    best: dict[str, Take] = {}
    held = held_out_prompts()
    for take in takes:
        if take.prompt in held and (take.prompt not in best or take.snr_db > best[take.prompt].snr_db):
            best[take.prompt] = take
    return [best[prompt] for prompt in sorted(best)]


def denoise(samples: Samples) -> Samples:
    """The recording without its stationary noise: a decision-directed Wiener filter (Scalart & Filho 1996)."""
    from scipy.signal import istft, stft

    size = 512
    _, _, spectrum = stft(samples, SAMPLE_RATE, nperseg=size, noverlap=size * 3 // 4)
    power = np.abs(spectrum) ** 2
    quiet = np.argsort(power.sum(axis=0))[: max(6, power.shape[1] // 12)]
    noise = power[:, quiet].mean(axis=1) + 1e-12
    posterior = power / noise[:, None]
    gain = np.empty_like(power)
    clean = posterior[:, 0] * 0.01
    for i in range(power.shape[1]):
        prior = 0.96 * clean + 0.04 * np.maximum(posterior[:, i] - 1.0, 0.0)
        gain[:, i] = np.maximum(prior / (1.0 + prior), 0.12)
        clean = gain[:, i] ** 2 * posterior[:, i]
    _, result = istft(spectrum * gain, SAMPLE_RATE, nperseg=size, noverlap=size * 3 // 4)
    return np.ascontiguousarray(result[: len(samples)])


def analyse(samples: Samples) -> dict[str, npt.NDArray[np.float32]]:
    """Speech parameters per 10 ms frame: `env` [T, 80], `lf0` [T], `voiced` [T], `per` [T, 6].

    Log F0 is interpolated through unvoiced frames.

    F0 by Harvest and StoneMask, envelope by CheapTrick, aperiodicity by D4C (Morise et al.); envelope points are the
    ridge-regularised least-squares fit to the interpolation that synthesis uses.
    """
    import pyworld

    period = 1000.0 * FRAME / SAMPLE_RATE
    f0, times = pyworld.harvest(samples, SAMPLE_RATE, F0_FLOOR, F0_CEILING, frame_period=period)
    f0 = pyworld.stonemask(samples, f0, times, SAMPLE_RATE)
    power = pyworld.cheaptrick(samples, f0, times, SAMPLE_RATE, fft_size=FFT)
    aperiodicity = pyworld.d4c(samples, f0, times, SAMPLE_RATE, fft_size=FFT)
    voiced = f0 > 0
    if not voiced.any():
        raise ValueError("no voiced frame in the recording")
    index = np.arange(len(f0))
    log_f0 = np.interp(index, index[voiced], np.log(f0[voiced]))
    matrix = envelope_matrix(FFT // 2 + 1).astype(np.float64)
    fit = np.linalg.solve(matrix.T @ matrix + RIDGE * np.eye(matrix.shape[1]), matrix.T)
    bands = interpolation(BANDS, np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)).astype(np.float64)
    periodicity = np.sqrt(np.maximum(1.0 - (aperiodicity @ bands.T) ** 2, 0.0)) * voiced[:, None]
    return {
        "env": (0.5 * np.log(np.maximum(power, 1e-16)) @ fit.T).astype(np.float32),
        "lf0": log_f0.astype(np.float32),
        "voiced": voiced.astype(np.float32),
        "per": periodicity.astype(np.float32),
    }


def _prepare(job: tuple[Path, Path]) -> str:
    import soundfile

    source, target = job
    samples, rate = soundfile.read(source)
    if rate != SAMPLE_RATE:
        raise ValueError(f"{source}: {rate} Hz, expected {SAMPLE_RATE}")
    features: dict[str, Any] = analyse(denoise(samples))
    partial = target.with_suffix(".part.npz")
    np.savez(partial, **features)
    os.replace(partial, target)
    return target.stem


def prepare(corpus: Path, out: Path, jobs: int) -> Iterator[tuple[int, int]]:
    """Write the missing feature files; yields (done, to do) as it goes."""
    out.mkdir(parents=True, exist_ok=True)
    work = [(corpus / "flac" / f"{take.id}.flac", out / f"{take.id}.npz") for take in read_takes(corpus)]
    work = [(source, target) for source, target in work if not target.exists()]
    with ProcessPoolExecutor(jobs) as pool:
        for done, _ in enumerate(pool.map(_prepare, work, chunksize=4), 1):
            yield done, len(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    start = time.monotonic()
    for done, total in prepare(options.corpus, options.out, options.jobs):
        if done % 50 == 0 or done == total:
            print(f"{done}/{total} takes, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
