"""A GPT-SoVITS bundle without torch: a real, tiny token model of seeded noise, and toy graphs behind it.

The toys have the inputs and outputs of the real ones (tools/gpt_sovits/export.py); the latent encoder looks at all the
codes it is given, flow and decoder reach over a few frames. `ScriptedTokens` stands in for the token model where a test
says what comes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_tts.voices.bundle import sha256
from edge_tts.voices.gpt_sovits.settings import T2sSettings

DATA = Path(__file__).parent / "data" / "gpt_sovits_voice"
SYMBOLS = Path(__file__).parents[1] / "tools" / "gpt_sovits" / "symbols_v2.txt"
INTER, HOP, PHONES, CODES = 4, 640, 732, 1025
T2S = {"heads": [4, 4, 4], "head_width": 16, "width": 64, "vocabulary": 1025, "eos": 1024, "bucket": 128}
T2S |= {"max_tokens": 1500, "min_tokens": 11}
DECODER_REACH = 2

Array = npt.NDArray[Any]


def reference() -> dict[str, Array]:
    """What the official code computes with the tiny token model."""
    with np.load(Path(__file__).parent / "data" / "gpt_sovits" / "t2s_tiny_ref.npz") as file:
        return dict(file)


def write_bundle(folder: Path, styles: Sequence[str] = ("calm", "cheerful"), **settings: object) -> Path:
    """Make the bundle; `settings` replace those of the family."""
    folder.mkdir(parents=True)
    shutil.copy(DATA / "t2s.fp32.onnx", folder)
    shutil.copy(DATA / "tables.npz", folder)
    rng = np.random.default_rng(7)
    for name, make in TOYS.items():
        onnx.save(make(rng), folder / f"{name}.fp32.onnx")
    with np.load(DATA / "tables.npz") as tables:
        phone_rows, phone_bias = tables["phone_rows"], tables["phone_bias"]
    fixture = reference()
    for index, name in enumerate(styles):
        arrays = {
            "prompt_tokens": fixture["prompts"][0],
            "ref_rows": phone_rows[fixture["ref_phones"][0]].astype(np.float32) + phone_bias,
            "mrte_bias": np.full(2 * INTER, 0.1 * index, np.float32),
            "flow_bias": np.full(INTER, 0.1 * index, np.float32),
            "decoder_bias": np.zeros(INTER, np.float32),
        }
        np.savez(folder / f"style_{name}.npz", **arrays)
    graphs = {
        path.name.split(".")[0]: [{"file": path.name, "precision": "fp32", "sha256": sha256(path)}]
        for path in sorted(folder.glob("*.onnx"))
    }
    manifest = {
        "name": folder.name,
        "family": "gpt_sovits",
        "language": "en-US",
        "sample_rate": 32000,
        "license": "CC0-1.0",
        "graphs": graphs,
        "files": {path.name: sha256(path) for path in sorted(folder.glob("*.npz"))},
        "symbols": SYMBOLS.read_text(encoding="utf-8").split(),
        "styles": list(styles),
        "streaming": {"hop": HOP, "receptive_field": DECODER_REACH},
        "settings": {"t2s": T2S, "inter_channels": INTER, "decoder_margin": DECODER_REACH, **settings},
    }
    (folder / "voice.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


class ScriptedTokens:
    """A token model that says these tokens, attempt by attempt; without an end where a script has none."""

    def __init__(self, *attempts: Sequence[int | None], before_step: Callable[[int], None] = lambda step: None) -> None:
        self.settings = T2sSettings.model_validate(T2S)
        self.attempts = list(attempts)
        self.begun = 0
        self.steps = 0
        self._before_step = before_step

    def text_rows(self, phones: Array, style: object) -> Array:
        return np.zeros((len(phones), 64), np.float32)

    def begin(self, text: Array, prompt: Array, most: int, options: object = None) -> ScriptedSequence:
        self.begun += 1
        return ScriptedSequence(self, self.attempts[min(self.begun, len(self.attempts)) - 1])

    def step(self) -> None:
        self.steps += 1
        self._before_step(self.steps)


class ScriptedSequence:
    """The logits make the script's next token all but certain; `None` in the script is the end."""

    def __init__(self, model: ScriptedTokens, script: Sequence[int | None]) -> None:
        self._model = model
        self._script = script
        self._next = 0

    @property
    def logits(self) -> Array:
        token = self._script[self._next % len(self._script)]
        scores = np.zeros(1025, np.float32)
        scores[1024 if token is None else token] = 100
        return scores

    def append(self, token: int) -> None:
        assert token == self._script[self._next % len(self._script)]
        self._next += 1
        self._model.step()


def script(length: int, seed: int = 0) -> list[int | None]:
    """A sentence of `length` tokens and its end."""
    return [*np.random.default_rng(seed).integers(0, 1024, length).tolist(), None]


def _model(
    name: str, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], weights: dict[str, Array]
) -> Any:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _text_encoder(rng: np.random.Generator) -> Any:
    nodes = [
        helper.make_node("Gather", ["table", "phones"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "zero"], ["text_k"]),
        helper.make_node("Identity", ["text_k"], ["text_v"]),
    ]
    weights = {"table": rng.standard_normal((PHONES, 8)).astype(np.float32), "zero": np.array([0])}
    return _model(
        "text_encoder",
        nodes,
        {"phones": (TensorProto.INT64, ["t"])},
        {"text_k": [1, "t", 8], "text_v": [1, "t", 8]},
        weights,
    )


def _latent_encoder(rng: np.random.Generator) -> Any:
    nodes = [
        helper.make_node("Gather", ["table", "codes"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["context"], axes=[0]),
        helper.make_node("ReduceMean", ["text_v"], ["text"], keepdims=0),
        helper.make_node("ReduceMean", ["text_k"], ["key"], keepdims=0),
        helper.make_node("Add", ["text", "key"], ["phones"]),
        helper.make_node("Sum", ["rows", "context", "mrte_bias", "phones"], ["seen"]),
        helper.make_node("Unsqueeze", ["seen", "one"], ["twice"]),
        helper.make_node("Concat", ["twice", "twice"], ["pairs"], axis=1),
        helper.make_node("Reshape", ["pairs", "frames"], ["prior"]),
        helper.make_node("Transpose", ["prior"], ["columns"]),
        helper.make_node("Split", ["columns"], ["mean", "log_scale"], axis=0),
    ]
    weights = {
        "table": 0.5 * rng.standard_normal((CODES, 2 * INTER)).astype(np.float32),
        "one": np.array([1]),
        "frames": np.array([-1, 2 * INTER]),
    }
    text = (TensorProto.FLOAT, [1, "t", 8])
    inputs = {"codes": (TensorProto.INT64, ["c"]), "text_k": text, "text_v": text}
    inputs |= {"mrte_bias": (TensorProto.FLOAT, [2 * INTER])}
    return _model("latent_encoder", nodes, inputs, {"mean": [INTER, "f"], "log_scale": [INTER, "f"]}, weights)


def _flow(rng: np.random.Generator) -> Any:
    nodes = [
        helper.make_node("Unsqueeze", ["z_p", "zero"], ["batch"]),
        helper.make_node("Conv", ["batch", "kernel", "flow_bias"], ["moved"], pads=[2, 2]),
        helper.make_node("Squeeze", ["moved", "zero"], ["z"]),
    ]
    weights = {"kernel": 0.3 * rng.standard_normal((INTER, INTER, 5)).astype(np.float32), "zero": np.array([0])}
    inputs = {"z_p": (TensorProto.FLOAT, [INTER, "f"]), "flow_bias": (TensorProto.FLOAT, [INTER])}
    return _model("flow", nodes, inputs, {"z": [INTER, "f"]}, weights)


def _decoder(rng: np.random.Generator) -> Any:
    nodes = [
        helper.make_node("Unsqueeze", ["z", "zero"], ["batch"]),
        helper.make_node("Conv", ["batch", "before", "decoder_bias"], ["features"], pads=[1, 1]),
        helper.make_node("ConvTranspose", ["features", "up"], ["sound"], strides=[HOP], pads=[HOP // 2, HOP // 2]),
        helper.make_node("Tanh", ["sound"], ["bounded"]),
        helper.make_node("Reshape", ["bounded", "flat"], ["wav"]),
    ]
    weights = {
        "before": 0.4 * rng.standard_normal((INTER, INTER, 3)).astype(np.float32),
        "up": 0.1 * rng.standard_normal((INTER, 1, 2 * HOP)).astype(np.float32),
        "zero": np.array([0]),
        "flat": np.array([-1]),
    }
    inputs = {"z": (TensorProto.FLOAT, [INTER, "f"]), "decoder_bias": (TensorProto.FLOAT, [INTER])}
    return _model("decoder", nodes, inputs, {"wav": ["samples"]}, weights)


TOYS = {"text_encoder": _text_encoder, "latent_encoder": _latent_encoder, "flow": _flow, "decoder": _decoder}
