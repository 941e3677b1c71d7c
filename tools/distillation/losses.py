"""Losses that hold a smaller model to its teacher: on distributions, on sound and on inner features."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 4.0
ALPHA = 0.7

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""FFT sizes and hops of the multi-resolution STFT loss, for 24 … 32 kHz."""


def distillation(
    student: Tensor, teacher: Tensor, targets: Tensor, alpha: float = ALPHA, temperature: float = TEMPERATURE
) -> Tensor:
    """alpha * cross entropy + (1 - alpha) * KL * T² (Hinton et al. 2015) of logits [n, classes], targets [n].

    KL is that of the softened teacher to the softened student; T² makes its gradient as large as the first term's.
    """
    task = functional.cross_entropy(student, targets)
    soft = functional.kl_div(
        functional.log_softmax(student / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * task + (1 - alpha) * soft * temperature**2


def spectral_convergence(made: Tensor, wanted: Tensor) -> Tensor:
    """Relative error of magnitudes: |wanted - made| / |wanted|, Frobenius norms."""
    return (wanted - made).norm() / wanted.norm().clamp(min=1e-6)


def multi_resolution_stft(made: Tensor, wanted: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude L1, mean over resolutions (Yamamoto et al. 2020). Waves [batch, n]."""
    total = made.new_zeros(())
    for size, hop in RESOLUTIONS:
        a, b = magnitudes(made, size, hop), magnitudes(wanted, size, hop)
        total = total + spectral_convergence(a, b) + functional.l1_loss(a.log(), b.log())
    return total / len(RESOLUTIONS)


def mel_l1(made: Tensor, wanted: Tensor, rate: int) -> Tensor:
    """Mean absolute difference of natural log mel spectra (80 bands, FFT 2048). Waves [batch, n]."""
    return functional.l1_loss(log_mel(made, rate), log_mel(wanted, rate))


def attention_transfer(made: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """How differently two models spread their energy over time, mean over layers (Zagoruyko and Komodakis 2017).

    Features [batch, channels, n] are reduced to their normalized energy per time, so that the models' channels may
    differ in number and meaning, as they do after pruning.
    """
    terms = [functional.mse_loss(_energy(a), _energy(b)) * a.shape[2] for a, b in zip(made, wanted, strict=True)]
    return torch.stack(terms).mean()


def magnitudes(wave: Tensor, size: int, hop: int) -> Tensor:
    """STFT magnitudes [batch, size / 2 + 1, frames] of waves [batch, n], not below 1e-5."""
    window = torch.hann_window(size, device=wave.device)
    spectrum = torch.stft(wave, size, hop, window=window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square()).clamp(min=1e-10).sqrt()


def log_mel(wave: Tensor, rate: int, bands: int = 80, size: int = 2048, hop: int = 320) -> Tensor:
    """Natural log mel magnitudes [batch, bands, frames] of waves [batch, n]."""
    matrix = _mel_matrix(bands, size, rate).to(wave.device)
    return torch.log((matrix @ magnitudes(wave, size, hop)).clamp(min=1e-5))


def mel_cepstral_distortion(made: Tensor, wanted: Tensor, rate: int) -> Tensor:
    """MCD in dB of waves [batch, n] of equal length and timing: coefficients 1 … 13 of the log mel spectrum's DCT."""
    difference = log_mel(made, rate) - log_mel(wanted, rate)
    bands = difference.shape[1]
    k, n = torch.arange(1, 14)[:, None], torch.arange(bands)[None]
    basis = math.sqrt(2 / bands) * torch.cos(math.pi * k * (2 * n + 1) / (2 * bands))
    cepstrum = basis.to(difference.device) @ difference
    return 10 / math.log(10) * math.sqrt(2.0) * cepstrum.square().sum(1).sqrt().mean() / math.sqrt(bands / 2)


@functools.lru_cache(maxsize=8)
def _mel_matrix(bands: int, size: int, rate: int) -> Tensor:
    """Triangles [bands, size / 2 + 1] spaced evenly in mel (O'Shaughnessy 1987) up to 12 kHz, each of sum 1."""
    top = 2595 * math.log10(1 + min(rate / 2, 12000) / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    bins = torch.linspace(0, rate / 2, size // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clamp(min=0)
    return triangles / triangles.sum(1, keepdim=True).clamp(min=1e-6)


def _energy(features: Tensor) -> Tensor:
    energy = features.square().mean(1)
    return energy / energy.norm(dim=1, keepdim=True).clamp(min=1e-8)
