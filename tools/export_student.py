"""Export a trained student as a voice folder: folded ONNX graphs, INT8 beside half-size float, voice.json.

    python -m tools.export_student CHECKPOINT CORPUS FEATURES VOICE_FOLDER [--float FOLDER]

The means and spreads of the training targets, the global-variance gains and the cepstral post-filter are all linear, so
they are folded into the last layers and cost nothing at run time. `--float` also writes the fp32 voice to compare with.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from edge_tts.voices import student as runtime
from edge_tts.voices.bundle import Bundle, GraphFile, Manifest, Precision, Streaming, sha256
from edge_tts.voices.envelope import FRAME, POINTS, SAMPLE_RATE
from edge_tts.voices.golden import make_golden, speak
from edge_tts.voices.linguistic import SYMBOLS
from tools.quantization.fp16 import store_half
from tools.quantization.int8 import Feed
from tools.quantize_int8 import quantize
from tools.student_data import Example, load_examples
from tools.student_model import Block, Student

GOLDEN = "DH AH0 | K W IH1 K | B R AW1 N | F AA1 K S | JH AH1 M P S ."
OPSET = 17


@dataclass(frozen=True)
class Shaping:
    """What is done to the decoder's output against over-smoothing, per envelope point and for F0."""

    gain: npt.NDArray[np.float32]
    """[80]: global-variance gain of each point around its mean."""
    mean: npt.NDArray[np.float32]
    """[80]: mean of the envelope in speech."""
    f0_gain: float
    f0_mean: float
    postfilter: float
    """Mel-cepstral coefficients from the second on are multiplied by 1 + this."""
    level: float
    """Added to every envelope point: log gain."""
    temperature: float
    """Standard deviation of the noise the decoder reads; 0 leaves the noise out of the graph."""

    @property
    def noisy(self) -> bool:
        return self.temperature > 0


@torch.no_grad()
def predict(student: Student, example: Example, temperature: float, draw: torch.Generator) -> Tensor:
    """Parameters [T, 88] for a training example with its own durations and no style."""
    reach = student.shape.reach
    ids = torch.zeros(1, len(example.ids) + reach, example.ids.shape[1], dtype=torch.long)
    ids[0, : len(example.ids)] = torch.from_numpy(example.ids)
    encoded, _ = student.encoder(ids, torch.zeros(1, student.shape.style))
    owner, side = runtime.positions(example.durations)
    length = len(owner)
    frames = torch.zeros(1, length + 2 * reach, encoded.shape[-1])
    sides = torch.zeros(1, length + 2 * reach, side.shape[1])
    frames[0, reach : reach + length] = encoded[0, torch.from_numpy(owner)]
    sides[0, reach : reach + length] = torch.from_numpy(side)
    noise = None
    if temperature:
        noise = torch.zeros(1, length + 2 * reach, student.shape.noise)
        noise[0, reach : reach + length] = temperature * torch.randn(length, student.shape.noise, generator=draw)
    output = student.decoder(frames, sides, noise)[0, reach : reach + length]
    output[:, : POINTS + 1] = output[:, : POINTS + 1] * student.std + student.mean
    return output


def measure_shaping(
    student: Student, examples: list[Example], postfilter: float, level_db: float, temperature: float
) -> Shaping:
    """Global-variance gains: the spread within recorded utterances over the spread within predicted ones."""
    spreads, means, f0 = [], [], []
    draw = torch.Generator().manual_seed(0)
    for example in examples:
        output = predict(student, example, temperature, draw).numpy()
        target = example.frames
        level = target[:, :POINTS].mean(axis=1)
        speech = level > level.max() - 4.0
        voiced = target[:, POINTS + 1] > 0.5
        spreads.append((target[speech, :POINTS].std(0), output[speech, :POINTS].std(0)))
        means.append(output[speech, :POINTS].mean(0))
        f0.append((target[voiced, POINTS].std(), output[voiced, POINTS].std(), target[voiced, POINTS].mean()))
    recorded, predicted = np.mean(spreads, axis=0)
    smooth = np.convolve(np.pad(recorded / predicted, 3, mode="edge"), np.ones(7) / 7, "valid")
    f0_recorded, f0_predicted, f0_mean = np.mean(f0, axis=0)
    return Shaping(
        gain=smooth.astype(np.float32),
        mean=np.mean(means, axis=0).astype(np.float32),
        f0_gain=min(1.3, float(f0_recorded / f0_predicted)),
        f0_mean=float(f0_mean),
        postfilter=postfilter,
        level=float(level_db * np.log(10.0) / 20.0),
        temperature=temperature,
    )


def cepstral_matrix(postfilter: float) -> npt.NDArray[np.float64]:
    """Matrix [80, 80] that multiplies mel-cepstral coefficients from the second on by 1 + `postfilter`."""
    n = np.arange(POINTS)
    basis = np.sqrt(2.0 / POINTS) * np.cos(np.pi / POINTS * (n[None, :] + 0.5) * n[:, None])
    basis[0] /= np.sqrt(2.0)
    scale = np.where(n >= 2, 1.0 + postfilter, 1.0)
    result: npt.NDArray[np.float64] = basis.T @ (scale[:, None] * basis)
    return result


class FoldedBlock(nn.Module):
    """A trained Block over [time, channels], with the layer scale in the weights.

    Two-dimensional, so that its projections become Gemm, whose INT8 kernel adds the bias as well.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        channels, _, _, kernel = block.depthwise.weight.shape
        self.depthwise = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.depthwise.weight.data = block.depthwise.weight.detach().squeeze(2)
        self.depthwise.bias = block.depthwise.bias
        self.norm = block.norm
        self.widen = block.widen
        scale = block.scale.detach().double()
        self.narrow = _linear(
            (scale[:, None] * block.narrow.weight.detach()).numpy(), (scale * block.narrow.bias.detach()).numpy()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(x.T.unsqueeze(0)).squeeze(0).T
        return x + self.narrow(torch.relu(self.widen(self.norm(y))))


def _folded(blocks: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*(FoldedBlock(block) for block in blocks))


class FoldedEncoder(nn.Module):
    """ids [1, N, features] to hidden [1, N, channels] and log durations [1, N]; the average style is in the tables."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        encoder = student.encoder
        tables = [table.weight.detach().clone() for table in encoder.tables]
        tables[0][1:] += encoder.style.bias.detach()
        offsets = np.cumsum([0] + [len(table) for table in tables[:-1]])
        self.table = nn.Parameter(torch.cat(tables))
        self.register_buffer("offsets", torch.from_numpy(offsets))
        self.blocks = _folded(encoder.blocks)
        self.norm = encoder.norm
        self.duration = encoder.duration

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.embedding(ids[0] + self.offsets, self.table).sum(1)
        hidden = self.norm(self.blocks(x))
        return hidden[None], self.duration(hidden).T


class FoldedDecoder(nn.Module):
    """hidden [1, T, channels] and side [1, T, positions (+ noise)] to parameters [1, T, 88] ready for synthesis."""

    def __init__(self, student: Student, shaping: Shaping) -> None:
        super().__init__()
        decoder = student.decoder
        self.positions = decoder.side.in_features
        weights = [decoder.side.weight] + ([decoder.noise.weight] if shaping.noisy else [])
        self.side = nn.Parameter(torch.cat(weights, dim=1).detach().T.contiguous())
        self.blocks, self.norm = _folded(decoder.blocks), decoder.norm
        self.prosody_in = decoder.prosody_in
        self.prosody_blocks, self.prosody_norm = _folded(decoder.prosody_blocks), decoder.prosody_norm
        # envelope = level + P (mean + G (W h + b - mean)), with the targets' own mean and spread in W and b
        gain = np.diag(shaping.gain.astype(np.float64))
        filter_ = cepstral_matrix(shaping.postfilter)
        weight = decoder.envelope.weight.detach().numpy().astype(np.float64)
        bias = decoder.envelope.bias.detach().numpy().astype(np.float64)
        std, mean = student.std.numpy().astype(np.float64), student.mean.numpy().astype(np.float64)
        centre = shaping.mean.astype(np.float64)
        weight = filter_ @ gain @ (std[:POINTS, None] * weight)
        bias = filter_ @ (centre + gain @ (std[:POINTS] * bias + mean[:POINTS] - centre)) + shaping.level
        self.envelope = _linear(weight, bias)
        weight = decoder.prosody.weight.detach().numpy().astype(np.float64)
        bias = decoder.prosody.bias.detach().numpy().astype(np.float64)
        weight[0] *= std[POINTS] * shaping.f0_gain
        bias[0] = shaping.f0_mean + shaping.f0_gain * (std[POINTS] * bias[0] + mean[POINTS] - shaping.f0_mean)
        self.prosody = _linear(weight, bias)

    def forward(self, hidden: Tensor, side: Tensor) -> Tensor:
        hidden, side = hidden[0], side[0]
        envelope = self.envelope(self.norm(self.blocks(hidden + side @ self.side)))
        inputs = torch.cat([hidden, side[:, : self.positions]], 1)
        prosody = self.prosody(self.prosody_norm(self.prosody_blocks(self.prosody_in(inputs))))
        return torch.cat([envelope, prosody[:, :1], torch.sigmoid(prosody[:, 1:])], 1)[None]


def _linear(weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.data = torch.from_numpy(weight).float()
    layer.bias.data = torch.from_numpy(bias).float()
    return layer


def export_graph(module: nn.Module, feed: Feed, outputs: list[str], path: Path) -> None:
    """Write `module` as ONNX with a free time axis (axis 1 of everything)."""
    names = list(feed)
    torch.onnx.export(
        module.eval(),
        tuple(torch.from_numpy(array) for array in feed.values()),
        str(path),
        input_names=names,
        output_names=outputs,
        dynamic_axes={name: {1: "time"} for name in (*names, *outputs)},
        opset_version=OPSET,
        dynamo=False,
    )


class Recorder:
    """A session that keeps what it is fed."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.feeds: list[Feed] = []

    def run(self, outputs: list[str] | None, feed: Feed) -> Any:
        self.feeds.append({name: array.copy() for name, array in feed.items()})
        return self._session.run(outputs, feed)


def calibration(voice: runtime.StudentVoice, examples: list[Example]) -> tuple[list[Feed], list[Feed]]:
    """What the encoder and the decoder are fed when the voice speaks the examples' sentences."""
    voice._encoder, voice._decoder = encoder, decoder = Recorder(voice._encoder), Recorder(voice._decoder)
    for example in examples:
        speak(voice, example.sentence)
    return encoder.feeds, decoder.feeds


def write_voice(
    folder: Path, graphs: dict[str, list[tuple[str, Precision]]], student: Student, temperature: float
) -> None:
    """Write voice.json for the graph files in `folder`, with the golden utterance as the first precision speaks it."""
    manifest = Manifest(
        name=folder.name,
        family="student",
        language="en-US",
        sample_rate=SAMPLE_RATE,
        license="CC0-1.0",
        teacher="recordings: Kathleen (rhasspy/dataset-voice-kathleen)",
        description="US English, one female speaker; phones to speech parameters to source-filter synthesis",
        graphs={
            name: tuple(GraphFile(file=file, precision=kind, sha256=sha256(folder / file)) for file, kind in files)
            for name, files in graphs.items()
        },
        symbols=SYMBOLS,
        streaming=Streaming(hop=FRAME, receptive_field=student.shape.reach),
        settings={
            "phone_reach": student.shape.encoder_reach,
            "noise": student.shape.noise if temperature else 0,
            "temperature": temperature,
        },
    )
    path = folder / "voice.json"
    path.write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    bundle = Bundle(folder)
    voice = runtime.load(bundle, bundle.precisions()[0], 1)
    manifest = manifest.model_copy(update={"golden": make_golden(voice, GOLDEN)})
    path.write_text(json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("--float", type=Path, required=True, dest="float_voice", help="folder for the fp32 voice")
    parser.add_argument("--postfilter", type=float, default=0.1)
    parser.add_argument("--level-db", type=float, default=3.0)
    parser.add_argument("--temperature", type=float, default=0.0)
    options = parser.parse_args()

    torch.set_num_threads(1)
    student = Student.from_checkpoint(torch.load(options.checkpoint, weights_only=True))
    examples = load_examples(options.corpus, options.features)[0][::12]
    shaping = measure_shaping(student, examples, options.postfilter, options.level_db, options.temperature)
    print(
        f"envelope gain {shaping.gain.mean():.2f}, F0 gain {shaping.f0_gain:.2f}, post-filter {shaping.postfilter:.2f}"
    )

    options.float_voice.mkdir(parents=True, exist_ok=True)
    options.voice.mkdir(parents=True, exist_ok=True)
    ids = np.ones((1, 32, len(student.encoder.tables)), np.int64)
    export_graph(FoldedEncoder(student), {"ids": ids}, ["hidden", "durations"], options.float_voice / "encoder.onnx")
    width = runtime.BUMPS + 2 + (student.shape.noise if shaping.noisy else 0)
    feed: Feed = {
        "hidden": np.zeros((1, 64, student.shape.channels), np.float32),
        "side": np.zeros((1, 64, width), np.float32),
    }
    export_graph(FoldedDecoder(student, shaping), feed, ["parameters"], options.float_voice / "decoder.onnx")
    files: dict[str, list[tuple[str, Precision]]] = {
        "encoder": [("encoder.onnx", "fp32")],
        "decoder": [("decoder.onnx", "fp32")],
    }
    write_voice(options.float_voice, files, student, options.temperature)

    voice = runtime.load(Bundle(options.float_voice), "fp32", 1)
    feeds = calibration(voice, examples[:60])
    for name, recorded in zip(("encoder", "decoder"), feeds, strict=True):
        kept = quantize(
            options.float_voice / f"{name}.onnx", options.voice / f"{name}.int8.onnx", recorded[:150], ops=("Gemm",)
        )
        print(f"{name}: calibrated with {len(recorded[:150])} feeds, float: {', '.join(kept)}")
    decoder = onnx.load(options.float_voice / "decoder.onnx")
    store_half(decoder)
    onnx.save(decoder, options.voice / "decoder.fp16.onnx")
    files = {
        "encoder": [("encoder.int8.onnx", "int8")],
        "decoder": [("decoder.int8.onnx", "int8"), ("decoder.fp16.onnx", "fp16")],
    }
    write_voice(options.voice, files, student, options.temperature)
    for path in sorted(options.voice.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
