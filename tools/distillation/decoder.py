"""Tuning a decoder of SoVITS's kind: against recordings, or against the unpruned decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tools.distillation.losses import (
    attention_transfer,
    log_mel,
    magnitudes,
    mel_cepstral_distortion,
    mel_l1,
    multi_resolution_stft,
    spectral_convergence,
)
from tools.distillation.segments import Clip, segment
from tools.distillation.trainer import Losses
from tools.gpt_sovits.decoder import Decoder

WAVE_WEIGHT = 5.0
"""Of the waveform L1 against a teacher; recordings have other phases, and get none."""
FEATURE_WEIGHT = 0.5

RATES = (10, 8, 2, 2, 2)
SIZES = (3, 7, 11)
DILATIONS = (1, 3, 5)
"""The official decoder's upsampling rates, kernel sizes of residual blocks, and dilations in each."""


class DecoderTask:
    """The loss of one training step of a decoder.

    Where clips have recordings, those are the goal; elsewhere it is the teacher's sound. A teacher with as many
    upsampling steps also lends its features.
    """

    def __init__(
        self,
        decoder: nn.Module,
        bias: Tensor,
        clips: Sequence[Clip],
        rate: int,
        hop: int,
        teacher: Decoder | None = None,
        teacher_bias: Tensor | None = None,
    ) -> None:
        if teacher is None and any(clip.wave is None for clip in clips):
            raise ValueError("clips without recordings need a teacher")
        self.decoder, self.bias = decoder, bias
        self.teacher, self.teacher_bias = teacher, teacher_bias
        self.clips, self.rate, self.hop = clips, rate, hop

    def __call__(self, step: int) -> Losses:
        z, goal = segment(self.clips, step, self.hop)
        z = z.to(self.bias.device)
        taught: list[Tensor] = []
        result: dict[str, Tensor] = {}
        if self.teacher is not None and self.teacher_bias is not None:
            with torch.no_grad():
                sound, taught = with_features(self.teacher, z, self.teacher_bias)
            goal = sound if goal is None else goal
        assert goal is not None
        wave, features = with_features(self.decoder, z, self.bias)
        made, wanted = wave[None], goal.to(wave.device)[None]
        result["stft"] = multi_resolution_stft(made, wanted)
        result["mel"] = mel_l1(made, wanted, self.rate)
        if self.clips[0].wave is None:
            result["wave"] = WAVE_WEIGHT * (made - wanted).abs().mean()
        if taught and len(features) == len(taught):
            result["features"] = FEATURE_WEIGHT * attention_transfer(features, taught)
        return result


def with_features(decoder: nn.Module, z: Tensor, bias: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The decoder's samples, and what each of its upsampling steps passes on; nothing of other kinds of decoders."""
    features: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        features.append(inputs[0])

    watched = [*decoder.ups[1:], decoder.conv_post] if isinstance(decoder, Decoder) else []
    handles = [layer.register_forward_pre_hook(keep) for layer in watched]
    try:
        return decoder(z, bias), features
    finally:
        for handle in handles:
            handle.remove()


def new_tensors(
    inter: int, channels: int, rates: Sequence[int] = RATES, sizes: Sequence[int] = SIZES
) -> dict[str, Tensor]:
    """Random weights of a decoder under the official names: `channels` halve with each upsampling step.

    Upsampling kernels are twice their rate, which must be even; residual blocks have one pair per dilation.
    """
    random = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}

    def layer(name: str, shape: tuple[int, ...], fan_in: float, outputs: int, gain: float, bias: bool = True) -> None:
        tensors[f"{name}.weight"] = gain * torch.randn(shape, generator=random) / fan_in**0.5
        if bias:
            tensors[f"{name}.bias"] = torch.zeros(outputs)

    layer("dec.conv_pre", (channels, inter, 7), inter * 7, channels, 1.0)
    tensors["dec.cond.weight"], tensors["dec.cond.bias"] = torch.zeros(channels, 1, 1), torch.zeros(channels)
    for step, rate in enumerate(rates):
        above, below = channels >> step, channels >> (step + 1)
        layer(f"dec.ups.{step}", (above, below, 2 * rate), 2 * above, below, 1.4)
        for index, size in enumerate(sizes):
            block = f"dec.resblocks.{step * len(sizes) + index}"
            for pair in range(len(DILATIONS)):
                layer(f"{block}.convs1.{pair}", (below, below, size), below * size, below, 1.4)
                layer(f"{block}.convs2.{pair}", (below, below, size), below * size, below, 0.4)
    last = channels >> len(rates)
    layer("dec.conv_post", (1, last, 7), last * 7, 1, 0.3, bias=False)
    return tensors


def trained_tensors(decoder: Decoder, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with the decoder's weights put back, as half, in weight norm where they were."""
    result = dict(tensors)
    for name, layer in decoder.named_modules():
        if not isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            continue
        weight = layer.weight.detach().cpu()
        if f"dec.{name}.weight_v" in tensors:
            norm = weight.flatten(1).norm(dim=1).reshape(-1, 1, 1)
            # torch cannot normalize a direction of zero
            result[f"dec.{name}.weight_v"] = torch.where(norm > 0, weight, torch.ones_like(weight)).half()
            result[f"dec.{name}.weight_g"] = norm.half()
        else:
            result[f"dec.{name}.weight"] = weight.half()
        if layer.bias is not None:
            result[f"dec.{name}.bias"] = layer.bias.detach().cpu().half()
    return result


def judge(decoder: nn.Module, bias: Tensor, clips: Sequence[Clip], rate: int) -> dict[str, float]:
    """Means over whole clips with recordings: mel L1 (nepers), MCD (dB), STFT spectral convergence (FFT 1024)."""
    sums = {"mel_l1": 0.0, "mcd_db": 0.0, "stft_sc": 0.0}
    for clip in clips:
        assert clip.wave is not None
        with torch.no_grad():
            made, wanted = decoder(clip.z, bias)[None], clip.wave[None]
        sums["mel_l1"] += float((log_mel(made, rate) - log_mel(wanted, rate)).abs().mean())
        sums["mcd_db"] += float(mel_cepstral_distortion(made, wanted, rate))
        sums["stft_sc"] += float(spectral_convergence(magnitudes(made, 1024, 256), magnitudes(wanted, 1024, 256)))
    return {name: value / len(clips) for name, value in sums.items()}
