"""A GPT-SoVITS bundle in INT8 from one in fp32."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edge_tts.errors import BundleError
from edge_tts.sentence import Sentence
from edge_tts.voices.bundle import MANIFEST, Bundle, GraphFile, Manifest, Precision, sha256
from edge_tts.voices.golden import make_golden
from edge_tts.voices.gpt_sovits import load
from edge_tts.voices.gpt_sovits.settings import Array
from edge_tts.voices.registry import load_voice
from tools.quantization.calibration import (
    VOCODER_GRAPHS,
    Parts,
    Utterance,
    forced_logits,
    open_parts,
    record,
    speak,
    synthesize,
)
from tools.quantization.fp16 import store_half
from tools.quantization.int8 import calibrate, write_dynamic, write_static
from tools.quantization.recipes import Recipe, candidates, recipe_for
from tools.quantization.sensitivity import Outcome, Progress, retreat, snr_db

GRAPHS = ("t2s", *VOCODER_GRAPHS)
GOLDEN = "HH AH0 L OW1 | W ER1 L D ."
JUDGED = 3
"""Utterances on which losses are measured; all of them calibrate."""
JUDGED_TOKENS = 30
"""Of each of them: more than a second."""

Write = Callable[[Path, Collection[str]], None]
"""Writes a graph to a file with these nodes in INT8."""


@dataclass(frozen=True)
class Targets:
    """The least signal-to-noise ratios in dB with one graph in INT8; its layers go back to float until they hold."""

    wave: float = 30.0
    """Of the waveform."""
    logits: float = 20.0
    """Of the raw token scores, each after the fp32 voice's own tokens."""


class Judge:
    """What the fp32 voice says, and how far from it a changed graph leads."""

    def __init__(self, parts: Parts, utterances: Sequence[Utterance]) -> None:
        self._parts = parts
        self._utterances = utterances
        self._wave = self._speak(parts)
        self._logits = self._score(parts)

    def loss(self, graph: str, path: Path) -> float:
        """SNR in dB of the waveform, or of the token scores, with `path` in place of the fp32 graph."""
        changed = self._parts.with_graph(graph, path)
        if graph == "t2s":
            return snr_db(self._logits, self._score(changed))
        return snr_db(self._wave, self._speak(changed))

    def whole(self, parts: Parts) -> dict[str, float]:
        """Figures of a voice with all its graphs changed, speaking the same tokens."""
        same = np.argmax(self._score(parts), axis=1) == np.argmax(self._logits, axis=1)
        return {
            "waveform_snr_db": round(snr_db(self._wave, self._speak(parts)), 1),
            "likeliest_token_agrees": round(float(np.mean(same)), 3),
        }

    def _speak(self, parts: Parts) -> Array:
        return np.concatenate([synthesize(parts.vocoder, spoken, JUDGED_TOKENS) for spoken in self._utterances])

    def _score(self, parts: Parts) -> Array:
        return np.concatenate([forced_logits(parts.tokens, spoken, JUDGED_TOKENS) for spoken in self._utterances])


def quantize_bundle(
    source: Bundle,
    folder: Path,
    sentences: Sequence[Sentence],
    targets: Targets,
    keep: Sequence[Precision] = (),
    report: bool = False,
    progress: Progress = print,
) -> Manifest:
    """Write the INT8 form of a GPT-SoVITS bundle into `folder` (its name is the voice's) and return its manifest.

    `keep` adds fp16 (on disk) or fp32 graphs, to fall back on or for devices where INT8 is slow. With `report` every
    layer's loss goes into `quality`, not only where some had to go back to float. Raises BundleError, also when the new
    voice does not reproduce the golden utterance of the fp32 one.
    """
    if source.manifest.family != "gpt_sovits":
        raise BundleError(f"{source.folder}: a voice of the family {source.manifest.family}, not gpt_sovits")
    if folder.resolve() == source.folder.resolve():
        raise BundleError(f"{folder}: is the voice to be quantized; write to another folder")
    files = {name: source.graph(name, "fp32") for name in GRAPHS}
    parts = open_parts(source, files)
    utterances = speak(parts, sentences)
    progress(f"{len(utterances)} sentences, {sum(len(spoken.tokens) for spoken in utterances) / 25:.0f} s of speech")
    feeds = record(parts.vocoder, utterances)
    judge = Judge(parts, utterances[:JUDGED])
    folder.mkdir(parents=True, exist_ok=True)
    quality: dict[str, Any] = {}
    graphs: dict[str, tuple[GraphFile, ...]] = {}
    for name, file in files.items():
        recipe = recipe_for(name, str(source.manifest.settings.get("decoder")))
        if recipe.form == "float":
            target = folder / f"{name}.fp16.onnx"
            _store_half(file, target)
            graphs[name] = (_listed(target, "fp16"),)
            quality[name] = {"snr_db": round(judge.loss(name, target), 1)}
        else:
            target = folder / f"{name}.int8.onnx"
            write = _writer(file, recipe, feeds.get(name, []))
            minimum = targets.logits if name == "t2s" else targets.wave
            outcome = _quantize(name, file, target, recipe, write, judge, minimum, report, progress)
            graphs[name] = (_listed(target, "int8"), *(_kept(file, folder, name, kind) for kind in keep))
            quality[name] = _figures(judge.loss(name, target), outcome)
        progress(f"{name}: {quality[name]['snr_db']} dB, {target.stat().st_size / 1e6:.1f} MB")
    quality |= judge.whole(open_parts(source, {name: folder / items[0].file for name, items in graphs.items()}))
    for other in source.manifest.files:
        shutil.copy(source.file(other), folder)
    manifest = source.manifest.model_copy(
        update={
            "name": folder.resolve().name,
            "graphs": graphs,
            "golden": make_golden(load(source, "fp32", 1), GOLDEN),
            "quality": {**source.manifest.quality, "int8": quality},
        }
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
    # what a device checks at each start is checked here first
    load_voice(Bundle(folder), ["int8"])
    return manifest


def _writer(file: Path, recipe: Recipe, feeds: Sequence[Any]) -> Write:
    if recipe.form == "dynamic":
        return lambda target, nodes: write_dynamic(file, target, nodes)
    ranges = calibrate(file, feeds, recipe.ops)
    return lambda target, nodes: write_static(file, target, nodes, ranges)


def _quantize(
    name: str,
    file: Path,
    target: Path,
    recipe: Recipe,
    write: Write,
    judge: Judge,
    minimum: float,
    report: bool,
    progress: Progress,
) -> Outcome:
    """Write a graph in INT8 as far as `minimum` dB allow, its other weights as fp16."""
    nodes = candidates(onnx.load(file), recipe)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"

        def loss(chosen: Collection[str]) -> float:
            write(trial, chosen)
            return judge.loss(name, trial)

        outcome = retreat(nodes, loss, minimum, progress, report)
        write(trial, outcome.int8)
        _store_half(trial, target)
    return outcome


def _figures(snr: float, outcome: Outcome) -> dict[str, Any]:
    figures: dict[str, Any] = {"snr_db": round(snr, 1), "int8_layers": len(outcome.int8)}
    if outcome.kept:
        figures["float_layers"] = list(outcome.kept)
    if outcome.layers:
        figures["layers"] = {node: round(value, 1) for node, value in outcome.layers.items()}
    return figures


def _kept(file: Path, folder: Path, name: str, precision: Precision) -> GraphFile:
    target = folder / f"{name}.{precision}.onnx"
    if precision == "fp16":
        _store_half(file, target)
    else:
        shutil.copy(file, target)
    return _listed(target, precision)


def _store_half(source: Path, target: Path) -> None:
    model = onnx.load(source)
    store_half(model)
    onnx.save(model, target)


def _listed(path: Path, precision: Precision) -> GraphFile:
    return GraphFile(file=path.name, precision=precision, sha256=sha256(path))
