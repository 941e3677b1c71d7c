"""A decoder for boards whose wall is the vocoder: about a GMAC per audio second instead of 20.

    python -m tools.light_decoder LIGHT.pt BUNDLE

puts a trained light decoder (tools.distill light) into a voice bundle in place of the HiFi-GAN one. It takes and gives
what that one does, so the runtime plays either.

The network works at 200 frames per second, predicts magnitude and phase of each and sums their inverse Fourier
transforms (as iSTFTNet, Kaneko et al. 2022, and Vocos, Siuzdak 2023). Everything is a convolution, so a chunk with
`receptive_field` frames of context gives what the whole sentence would.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_tts.errors import EdgeTtsError
from edge_tts.voices.bundle import MANIFEST, Bundle, sha256
from tools.gpt_sovits.decoder import Decoder

NAME = "istft"
"""voice.json settings.decoder of a bundle with this decoder."""
OPSET = 17
PRE_KERNEL = 7
"""Of the first convolution, which is copied from SoVITS's decoder."""
LOUDEST = 4.0
"""Natural log of the largest magnitude; exp of more would drown a frame in one bin."""


class LightDecoderError(EdgeTtsError, ValueError):
    """A light decoder or its bundle cannot be used; the message says why."""

    code = "bad_light_decoder"


@dataclass(frozen=True)
class Shape:
    """Widths and depths; hop and widths of the first layer must be those of the voice."""

    inter: int = 192
    bias: int = 512
    """Channels of the first convolution: the length of a style's decoder_bias."""
    hop: int = 640
    upsampling: int = 4
    """Network frames per latent frame."""
    channels: int = 256
    hidden: int = 768
    blocks: int = 8
    kernel: int = 7

    @property
    def stride(self) -> int:
        """Samples per network frame."""
        return self.hop // self.upsampling

    @property
    def size(self) -> int:
        """Samples of a Fourier transform: four strides, so that squared Hann windows sum to a constant."""
        return 4 * self.stride


class Block(nn.Module):
    """ConvNeXt block (Liu et al. 2022) over [1, channels, n], the wide part with ReLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            shape.channels, shape.channels, shape.kernel, padding=shape.kernel // 2, groups=shape.channels
        )
        self.norm = nn.LayerNorm(shape.channels)
        self.widen = nn.Linear(shape.channels, shape.hidden)
        self.narrow = nn.Linear(shape.hidden, shape.channels)
        self.scale = nn.Parameter(torch.full((shape.channels,), 1 / shape.blocks))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))
        y = self.scale * self.narrow(functional.relu(self.widen(y)))
        return x + y.transpose(1, 2)


class LightDecoder(nn.Module):
    """Latents z [inter, f] and a style's bias to samples [f * hop] in -1 … 1, as SoVITS's own decoder."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.conv_pre = nn.Conv1d(shape.inter, shape.bias, PRE_KERNEL, padding=PRE_KERNEL // 2, bias=False)
        self.up = nn.ConvTranspose1d(shape.bias, shape.channels, shape.upsampling, shape.upsampling)
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.blocks)))
        self.norm = nn.LayerNorm(shape.channels)
        self.bins = shape.size // 2 + 1
        self.head = nn.Linear(shape.channels, 2 * self.bins)
        self.register_buffer("synthesis", _synthesis(shape), persistent=False)

    def forward(self, z: Tensor, decoder_bias: Tensor) -> Tensor:
        """z [inter, f], decoder_bias [bias] -> samples [f * hop]."""
        x = self.conv_pre(z.unsqueeze(0)) + decoder_bias[:, None]
        x = self.blocks(self.up(functional.leaky_relu(x, 0.1)))
        spectrum = self.head(self.norm(x.transpose(1, 2))).transpose(1, 2)
        magnitude = torch.exp(spectrum[:, : self.bins].clamp(max=LOUDEST))
        phase = spectrum[:, self.bins :]
        parts = torch.cat([magnitude * torch.cos(phase), magnitude * torch.sin(phase)], dim=1)
        # overlap-add of windowed inverse transforms; the padding cuts what lies before the first frame's own samples
        wave = functional.conv_transpose1d(
            parts, self.synthesis, stride=self.shape.stride, padding=(self.shape.size - self.shape.stride) // 2
        )
        return wave[0, 0].clamp(-1.0, 1.0)

    @property
    def receptive_field(self) -> int:
        """Latent frames to either side that the samples of one frame depend on."""
        overlap = (self.shape.size // self.shape.stride) // 2
        inner = self.shape.blocks * (self.shape.kernel // 2) + overlap
        return math.ceil(inner / self.shape.upsampling) + PRE_KERNEL // 2

    def checkpoint(self) -> dict[str, Any]:
        """What `read_light` reads."""
        return {"shape": asdict(self.shape), "state": self.state_dict()}


def _synthesis(shape: Shape) -> Tensor:
    """The inverse real Fourier transform with window and normalization, as a kernel [2 * bins, 1, size]."""
    size = shape.size
    time = torch.arange(size, dtype=torch.float64)
    bins = torch.arange(size // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi * bins[:, None] * time[None] / size
    # all bins but the first and the last stand for their mirror images too
    twice = torch.full((len(bins), 1), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1.0
    basis = torch.cat([twice * torch.cos(angle), -twice * torch.sin(angle)])
    window = torch.hann_window(size, dtype=torch.float64)
    # squared Hann windows a quarter apart sum to 1.5; the square root of size makes kernel and network scale alike
    return (basis * window / 1.5 / math.sqrt(size))[:, None].float()


def like(decoder: Decoder, hop: int, **widths: int) -> LightDecoder:
    """An untrained light decoder that takes what `decoder` takes, beginning with its first convolution."""
    pre = decoder.conv_pre
    light = LightDecoder(Shape(inter=pre.in_channels, bias=pre.out_channels, hop=hop, **widths))
    with torch.no_grad():
        light.conv_pre.weight.copy_(pre.weight)
        # start quietly: a magnitude of about 0.01 per bin
        light.head.bias[: light.bins] = -4.0
    return light


def read_light(path: Path) -> LightDecoder:
    """A trained light decoder. Raises LightDecoderError for another kind of file."""
    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
        light: LightDecoder = LightDecoder(Shape(**checkpoint["shape"]))
        light.load_state_dict(checkpoint["state"])
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise LightDecoderError(f"{path}: not a light decoder ({error})") from error
    light.eval()
    return light


def export_light(light: LightDecoder, path: Path) -> None:
    """Write the ONNX graph: z [inter, f], decoder_bias -> wav [f * hop]."""
    shape = light.shape
    with warnings.catch_warnings():
        # this exporter is called legacy; the other one needs a package more and makes the same graph
        warnings.simplefilter("ignore")
        torch.onnx.export(
            light,
            (torch.randn(shape.inter, 10), torch.randn(shape.bias)),
            str(path),
            input_names=["z", "decoder_bias"],
            output_names=["wav"],
            dynamic_axes={"z": {1: "frames"}, "wav": {0: "samples"}},
            opset_version=OPSET,
            dynamo=False,
        )


def install(light: LightDecoder, folder: Path) -> None:
    """Put the decoder into a bundle in place of what it has. Raises LightDecoderError where the two do not fit."""
    manifest = Bundle(folder).manifest
    settings, streaming = manifest.settings, manifest.streaming
    if manifest.family != "gpt_sovits":
        raise LightDecoderError(
            f"{folder}: a voice of the family {manifest.family}; only GPT-SoVITS voices have latents"
        )
    wanted = {"inter": settings.get("inter_channels"), "hop": streaming.hop}
    for name, value in wanted.items():
        if value != getattr(light.shape, name):
            raise LightDecoderError(f"{folder}: {name} is {value}, the light decoder has {getattr(light.shape, name)}")
    file = folder / f"decoder.{NAME}.fp32.onnx"
    export_light(light, file)
    content = json.loads((folder / MANIFEST).read_bytes())
    replaced = {entry["file"] for entry in content["graphs"]["decoder"]} - {file.name}
    content["graphs"]["decoder"] = [{"file": file.name, "precision": "fp32", "sha256": sha256(file)}]
    content["settings"]["decoder"] = NAME
    # a margin found good enough for the other decoder says nothing about this one
    content["settings"].pop("decoder_margin", None)
    content["streaming"]["receptive_field"] = light.receptive_field
    # another decoder sounds different: the old fingerprint and figures say nothing about it
    content.pop("golden", None)
    content.pop("quality", None)
    (folder / MANIFEST).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    for name in replaced:
        (folder / name).unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 after an error that the user can mend."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("light", type=Path)
    arguments.add_argument("bundle", type=Path)
    options = arguments.parse_args(argv)
    try:
        install(read_light(options.light), options.bundle)
    except EdgeTtsError as error:
        print(f"light_decoder: {error}", file=sys.stderr)
        return 1
    print(f"{options.bundle}: carries the decoder {NAME!r} now; run tools.quantize_gpt_sovits for an INT8 one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
