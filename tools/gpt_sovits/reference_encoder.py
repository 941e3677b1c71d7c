"""What a reference clip says about the voice: its timbre (ge) and, from HuBERT features, its semantic tokens."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tools.gpt_sovits.weights import Weights, linear

FFT = 2048
BINS = 704
"""Of the spectrogram's 1025 bins the reference encoder takes these lowest ones."""
HEADS = 2


def spectrogram(audio: Tensor, hop: int) -> Tensor:
    """Magnitudes [1025, frames] of samples [n]: reflect padding, periodic Hann window of 2048, not centred."""
    margin = (FFT - hop) // 2
    padded = functional.pad(audio[None], (margin, margin), mode="reflect")[0]
    spectrum = torch.stft(padded, FFT, hop, window=torch.hann_window(FFT), center=False, return_complex=True)
    return torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-8)


def timbre(tensors: Weights, spec: Tensor, speaker: Tensor | None = None) -> Tensor:
    """ge [gin] of a spectrogram [1025, frames]; v2Pro voices also need the speaker embedding [20480]."""
    with torch.no_grad():
        ge = _mel_style(tensors.at("ref_enc"), spec[:BINS].T)
        if speaker is None:
            return ge
        ge = ge + linear(tensors["sv_emb.weight"], tensors["sv_emb.bias"])(speaker)
        return functional.prelu(ge[None], tensors["prelu.weight"])[0]


def mrte_timbre(tensors: Weights, ge: Tensor) -> Tensor:
    """The timbre as the text encoder takes it, [512]: ge itself, or its projection in v2Pro voices."""
    if "ge_to512.weight" not in tensors:
        return ge
    with torch.no_grad():
        return linear(tensors["ge_to512.weight"], tensors["ge_to512.bias"])(ge)


def semantic_tokens(tensors: Weights, ssl: Tensor) -> Tensor:
    """Tokens [frames / 2] of HuBERT features [768, frames]: projected with stride 2, then the nearest code."""
    projected = functional.conv1d(ssl[None], tensors["ssl_proj.weight"], tensors["ssl_proj.bias"], stride=2)[0].T
    distance = torch.cdist(projected.double(), tensors["quantizer.vq.layers.0._codebook.embed"].double())
    return distance.argmin(dim=1)


def _mel_style(weights: Weights, frames: Tensor) -> Tensor:
    """Spectral layers, gated convolutions, self-attention, mean over time: [frames, 704] -> [gin]."""
    x = frames
    for layer in (weights.at("spectral", 0, "fc"), weights.at("spectral", 3, "fc")):
        x = functional.mish(_apply(layer, x))
    for index in range(weights.at("temporal").count()):
        gated = weights.at("temporal", index, "conv1", "conv")
        kernel = gated["weight"]
        both = functional.conv1d(x.T[None], kernel, gated["bias"], padding=kernel.shape[2] // 2)[0].T
        signal, gate = both.chunk(2, dim=1)
        x = x + signal * torch.sigmoid(gate)
    x = x + _self_attention(weights.at("slf_attn"), x)
    return _apply(weights.at("fc", "fc"), x).mean(0)


def _self_attention(weights: Weights, x: Tensor) -> Tensor:
    count, channels = x.shape
    query, key, value = (
        _apply(weights.at(name), x).reshape(count, HEADS, -1).transpose(0, 1) for name in ("w_qs", "w_ks", "w_vs")
    )
    # the official model divides by the root of all channels, not of one head's
    attention = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(channels), dim=2)
    return _apply(weights.at("fc"), (attention @ value).transpose(0, 1).reshape(count, -1))


def _apply(weights: Weights, x: Tensor) -> Tensor:
    return functional.linear(x, weights["weight"], weights["bias"])
