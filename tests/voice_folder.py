"""A voice folder without a neural network: its family speaks tones, each graph's file says how well."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_tts.audio.chunk import AudioChunk
from edge_tts.sentence import Sentence
from edge_tts.voices import registry
from edge_tts.voices.base import ChunkPlan, Delivery
from edge_tts.voices.bundle import Bundle, Precision, sha256
from edge_tts.voices.golden import make_golden

GOLDEN = "HH AH0 L OW1 | W ER1 L D ."


@dataclass
class ToneVoice:
    """200 ms of tone a word, scaled as the graph's file says (`1`, `0` for silence, `nan`)."""

    name: str
    scale: float
    precision: str = "fp32"
    language: str = "en-US"
    sample_rate: int = 8000
    styles: tuple[str, ...] = ()
    overlap: int = 0
    closed: bool = False

    def open(self, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> ToneSession:
        return ToneSession(self, len(sentence.words))

    def close(self) -> None:
        self.closed = True


@dataclass
class ToneSession:
    voice: ToneVoice
    words: int
    overlap: int = 0

    def cancel(self) -> None:
        pass

    def __iter__(self) -> Iterator[AudioChunk]:
        tone = 0.5 * np.sin(np.arange(1600, dtype=np.float32) * 0.3) * np.float32(self.voice.scale)
        for _ in range(self.words):
            yield AudioChunk(tone.astype(np.float32), self.voice.sample_rate)


def load_tone(bundle: Bundle, precision: Precision, threads: int) -> ToneVoice:
    """The loader of the family `tone`."""
    scale = float(bundle.graph("decoder", precision).read_text())
    return ToneVoice(bundle.name, scale, precision, bundle.manifest.language)


@pytest.fixture
def tone_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the family `tone` for one test."""
    monkeypatch.setattr(registry, "family_loader", lambda family: load_tone)


def write_voice(folder: Path, name: str, graphs: dict[str, str] | None = None, language: str = "en-US") -> Path:
    """Make a voice whose graphs' files hold these scales, by precision."""
    voice = folder / name
    voice.mkdir(parents=True)
    files = []
    for precision, scale in (graphs or {"int8": "1", "fp32": "1"}).items():
        path = voice / f"decoder.{precision}.onnx"
        path.write_text(scale)
        files.append({"file": path.name, "precision": precision, "sha256": sha256(path)})
    manifest = {
        "name": name,
        "family": "tone",
        "language": language,
        "sample_rate": 8000,
        "license": "CC0-1.0",
        "graphs": {"decoder": files},
        "streaming": {"hop": 80},
        "golden": make_golden(ToneVoice(name, 1.0), GOLDEN).model_dump(),
    }
    (voice / "voice.json").write_text(json.dumps(manifest))
    return voice
