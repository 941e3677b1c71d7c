"""The speaker embedding that v2Pro voices take beside the spectrogram: ERes2NetV2 on Kaldi filter banks.

The network is that of 3D-Speaker (Chen et al. 2024, "ERes2NetV2", arXiv 2406.02167), as GPT-SoVITS ships it in
`pretrained_models/sv/pretrained_eres2netv2w24s4ep4.ckpt`; GPT-SoVITS takes the mean over time of its last feature map
in place of the 192 values of its head. All widths come from the file.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tools.gpt_sovits.weights import Weights

RATE = 16000
WINDOW, SHIFT, FFT, BINS = 400, 160, 512, 80
LOW = 20.0
"""Hz where the filter bank begins; it ends at half the rate."""
PREEMPHASIS = 0.97
CEILING = 20.0
"""The network's activations are cut off here."""


def speaker_embedding(weights: Weights, audio: Tensor) -> Tensor:
    """The embedding [20480] of 16 kHz samples [n] in -1 … 1."""
    with torch.no_grad():
        x = functional.relu(_convolution(weights, "conv1", "bn1", filter_banks(audio).T[None, None]))
        x = _stage(weights.at("layer1"), x, stride=1)
        x = _stage(weights.at("layer2"), x, stride=2)
        third = _stage(weights.at("layer3"), x, stride=2)
        fourth = _stage(weights.at("layer4"), third, stride=2)
        lowered = functional.conv2d(third, weights["layer3_ds.weight"], stride=2, padding=1)
        return _fuse(weights.at("fuse34"), fourth, lowered)[0].flatten(0, 1).mean(1)


def filter_banks(audio: Tensor) -> Tensor:
    """Log mel energies [frames, 80] as Kaldi's compute-fbank-feats makes them, without dither."""
    frames = audio.unfold(0, WINDOW, SHIFT)
    frames = frames - frames.mean(1, keepdim=True)
    before = functional.pad(frames[:, None], (1, 0), mode="replicate")[:, 0, :-1]
    window = torch.hann_window(WINDOW, periodic=False).pow(0.85)
    power = torch.fft.rfft((frames - PREEMPHASIS * before) * window, FFT).abs().square()
    return (power @ _mel_filters().T).clamp_min(torch.finfo(torch.float32).eps).log()


def _mel_filters() -> Tensor:
    """Triangles [80, 257], equally spaced on Kaldi's mel scale; the bin at half the rate belongs to none."""

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    edges = torch.linspace(mel(LOW), mel(RATE / 2), BINS + 2, dtype=torch.float64)
    left, center, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = torch.tensor([mel(index * RATE / FFT) for index in range(FFT // 2)], dtype=torch.float64)
    triangles = torch.minimum((bins - left) / (center - left), (right - bins) / (right - center)).clamp_min(0)
    return functional.pad(triangles, (0, 1)).float()


def _stage(weights: Weights, x: Tensor, stride: int) -> Tensor:
    for index in range(weights.count()):
        x = _block(weights.at(index), x, stride if index == 0 else 1)
    return x


def _block(weights: Weights, x: Tensor, stride: int) -> Tensor:
    """Res2Net block: groups of channels, each convolved after it has taken in the group before it."""
    groups = (
        _convolution(weights, "conv1", "bn1", x, stride)
        .clamp(0, CEILING)
        .split(weights["convs.0.weight"].shape[1], dim=1)
    )
    made: list[Tensor] = []
    for index, group in enumerate(groups):
        if made and "fuse_models.0.local_att.0.weight" in weights:
            group = _fuse(weights.at("fuse_models", index - 1), made[-1], group)
        elif made:
            group = made[-1] + group
        made.append(_convolution(weights, f"convs.{index}", f"bns.{index}", group).clamp(0, CEILING))
    shortcut = _convolution(weights, "shortcut.0", "shortcut.1", x, stride) if "shortcut.0.weight" in weights else x
    return (_convolution(weights, "conv3", "bn3", torch.cat(made, dim=1)) + shortcut).clamp(0, CEILING)


def _fuse(weights: Weights, one: Tensor, other: Tensor) -> Tensor:
    """Attentional fusion: which of the two counts how much is decided per point and channel."""
    attention = weights.at("local_att")
    x = functional.silu(_convolution(attention, "0", "1", torch.cat([one, other], dim=1)))
    lean = torch.tanh(_convolution(attention, "3", "4", x))
    return one * (1 + lean) + other * (1 - lean)


def _convolution(weights: Weights, conv: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel, bias = weights[f"{conv}.weight"], weights.at(*conv.split(".")).bias()
    x = functional.conv2d(x, kernel, bias, stride, kernel.shape[2] // 2)
    statistics = (weights[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(x, *statistics)
