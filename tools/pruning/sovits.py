"""SoVITS (.pth): decoder, flow and encoders, and which of their channels, heads and layers belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tools.distillation.corpus import Scale, raw_latents
from tools.distillation.utterances import Utterances, read_utterances
from tools.gpt_sovits.decoder import Decoder, decoder_bias
from tools.gpt_sovits.encoder import MRTE_HEAD_WIDTH, Encoder, LatentEncoder, TextEncoder, mrte_bias
from tools.gpt_sovits.flow import Flow, flow_bias
from tools.gpt_sovits.reference_encoder import mrte_timbre
from tools.gpt_sovits.weights import Weights
from tools.pruning import cost
from tools.pruning.checkpoint_file import read
from tools.pruning.groups import Group, Member, Stack, Tensors, kernel
from tools.pruning.importance import MeanSquares, mean_squares
from tools.pruning.model import Prunable
from tools.pruning.plan import PlanError

ENCODERS = ("encoder_ssl", "encoder_text", "encoder2")
CODES, PHONES = 25, 20
"""Semantic tokens and (about) phones in a second of speech."""
CALIBRATION_FILES = 12


class Sovits(Prunable):
    """A SoVITS checkpoint; files with only a part of it (a decoder) will do."""

    def __init__(self, path: Path) -> None:
        self.file = read(path)
        self.tensors = self.file.tensors
        self.rates = tuple(int(rate) for rate in self.file.model["upsample_rates"])
        self.dilations = tuple(tuple(int(d) for d in steps) for steps in self.file.model["resblock_dilation_sizes"])

    def decoder(self, tensors: Tensors) -> Decoder:
        """The decoder made of `tensors`."""
        decoder: Decoder = Decoder(Weights(tensors, "dec."), self.rates, self.dilations).eval()
        return decoder

    def decoder_bias(self, tensors: Tensors, timbre: Tensor) -> Tensor:
        """The decoder's bias for a timbre [gin]."""
        return decoder_bias(Weights(tensors, "dec."), timbre).detach()

    def flow(self, tensors: Tensors) -> Flow:
        """The flow made of `tensors`."""
        flow: Flow = Flow(Weights(tensors, "flow.flows.")).eval()
        return flow

    def encoders(self, tensors: Tensors) -> tuple[TextEncoder, LatentEncoder]:
        """The prior's two halves made of `tensors`."""
        prior = Weights(tensors, "enc_p.")
        codebook = tensors["quantizer.vq.layers.0._codebook.embed"].float()
        return TextEncoder(prior).eval(), LatentEncoder(prior, codebook).eval()

    def latents(self, tensors: Tensors, utterances: Utterances, noise_scale: float = 0.5) -> Iterator[Tensor]:
        """For every sentence the latents z [inter, f] that the voice's encoders and flow make of it."""
        yield from self._latents(tensors, utterances, noise_scale, *self.encoders(tensors), self.flow(tensors))

    def groups(self) -> list[Group]:
        result: list[Group] = []
        if "dec.conv_pre.weight" in self.tensors:
            result += _decoder_groups(self.tensors)
        if "flow.flows.0.pre.weight" in self.tensors:
            for number in _couplings(self.tensors):
                result += _coupling_groups(self.tensors, f"flow.flows.{number}")
        if "enc_p.proj.weight" in self.tensors:
            for name in ENCODERS:
                result += _encoder_groups(self.tensors, f"enc_p.{name}")
            result.append(_cross_attention(self.tensors))
        return result

    def stacks(self) -> list[Stack]:
        numbers = _couplings(self.tensors)
        # a coupling layer works on one half of the channels and its neighbour on the other: only pairs can go
        pairs = tuple((numbers[i], numbers[i + 1]) for i in range(0, len(numbers) - 1, 2))
        return [Stack("flow.flows", pairs, "post.weight")] if len(pairs) > 1 else []

    def macs(self, tensors: Tensors) -> dict[str, int]:
        light, frames = cost.shapes(tensors), 2 * CODES
        result: dict[str, int] = {}
        with torch.device("meta"):
            if "dec.conv_pre.weight" in tensors:
                decoder = self.decoder(light)
                z = torch.empty(decoder.conv_pre.in_channels, frames)
                bias = torch.empty(decoder.conv_pre.out_channels)
                result["dec"] = cost.macs(lambda: decoder(z, bias))
            if "flow.flows.0.pre.weight" in tensors:
                flow = self.flow(light)
                z_p = torch.empty(2 * flow.steps[0].pre.in_channels, frames)
                biases = torch.empty(sum(flow.widths))
                result["flow"] = cost.macs(lambda: flow(z_p, biases))
            if "enc_p.proj.weight" in tensors:
                text, latent = self.encoders(light)
                phones, codes = torch.zeros(PHONES, dtype=torch.long), torch.zeros(CODES, dtype=torch.long)
                bias = torch.empty(latent.skip.out_features)
                result["enc_p"] = cost.macs(lambda: latent(codes, *text(phones), bias))
        return result

    def measure(self, calibration: Path) -> MeanSquares:
        scale = Scale.of(self.file.content)
        if scale is not None:
            return self._measure_decoder(scale, calibration)
        utterances = read_utterances(calibration)
        text, latent = self.encoders(self.tensors)
        flow, decoder = self.flow(self.tensors), self.decoder(self.tensors)
        layers = {**_decoder_layers(decoder), **_flow_layers(flow), "enc_p.mrte.cross_attention.conv_o": latent.mix}
        for name, encoder in (
            ("encoder_text", text.encoder),
            ("encoder_ssl", latent.encoder_ssl),
            ("encoder2", latent.encoder2),
        ):
            layers |= _encoder_layers(encoder, f"enc_p.{name}")
        bias = self.decoder_bias(self.tensors, utterances.timbre)

        def run() -> None:
            for z in self._latents(self.tensors, utterances, 0.5, text, latent, flow):
                decoder(z, bias)

        return mean_squares(layers, run)

    def _measure_decoder(self, scale: Scale, folder: Path) -> MeanSquares:
        """A decoder of speech parameters is calibrated on a folder of them."""
        files = sorted(folder.glob("*.npz"))[:CALIBRATION_FILES]
        if not files:
            raise PlanError(f"{folder}: this decoder is calibrated on a folder of features; no .npz is here")
        decoder = self.decoder(self.tensors)
        bias = self.decoder_bias(self.tensors, torch.zeros(self.tensors["dec.cond.weight"].shape[1]))

        def run() -> None:
            for file in files:
                decoder(scale(raw_latents(file)), bias)

        return mean_squares(_decoder_layers(decoder), run)

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.file.write(path, tensors)

    def _latents(
        self,
        tensors: Tensors,
        utterances: Utterances,
        noise_scale: float,
        text: TextEncoder,
        latent: LatentEncoder,
        flow: Flow,
    ) -> Iterator[Tensor]:
        weights = Weights(tensors)
        prior_bias = mrte_bias(weights.at("enc_p"), mrte_timbre(weights, utterances.timbre))
        biases = flow_bias(weights.at("flow", "flows"), utterances.timbre)
        random = torch.Generator().manual_seed(0)
        for sentence in utterances.sentences:
            with torch.no_grad():
                mean, log_scale = latent(sentence.tokens, *text(sentence.phones), prior_bias)
                noise = torch.randn(mean.shape, generator=random)
                yield flow(mean + noise * log_scale.exp() * noise_scale, biases)


def _produced(layer: str, axis: int = 0, starts: tuple[int, ...] = (0,)) -> tuple[Member, Member]:
    return Member(f"{layer}.weight", axis, starts), Member(f"{layer}.bias", 0, starts)


def _consumed(layer: str, axis: int = 1) -> Member:
    return Member(f"{layer}.weight", axis, consumes=True)


def _count(tensors: Tensors, prefix: str) -> int:
    return Weights(tensors, f"{prefix}.").count()


def _decoder_groups(tensors: Tensors) -> list[Group]:
    steps, blocks = _count(tensors, "dec.ups"), _count(tensors, "dec.resblocks")
    kernels = blocks // steps
    stream: tuple[Member, ...] = (*_produced("dec.conv_pre"), *_produced("dec.cond"), _consumed("dec.ups.0", 0))
    groups = [Group("dec.conv_pre", len(tensors["dec.conv_pre.bias"]), stream)]
    for step in range(steps):
        up = f"dec.ups.{step}"
        last = step + 1 == steps
        # a transposed convolution's kernel is [in, out, k]
        stream = (*_produced(up, 1), _consumed("dec.conv_post" if last else f"dec.ups.{step + 1}", 1 if last else 0))
        inner = []
        for block in range(step * kernels, (step + 1) * kernels):
            for pair in range(_count(tensors, f"dec.resblocks.{block}.convs1")):
                first, second = f"dec.resblocks.{block}.convs1.{pair}", f"dec.resblocks.{block}.convs2.{pair}"
                stream += (_consumed(first), *_produced(second))
                members = (*_produced(first), _consumed(second))
                inner.append(Group(first, len(tensors[f"{first}.bias"]), members))
        groups += [Group(up, len(tensors[f"{up}.bias"]), stream), *inner]
    return groups


def _couplings(tensors: Tensors) -> list[int]:
    return [2 * step for step in range(_count(tensors, "flow.flows"))]


def _coupling_groups(tensors: Tensors, name: str) -> list[Group]:
    """The residual stream, whose channels the skip sum shares, and the gated channels of each layer."""
    hidden = len(tensors[f"{name}.pre.bias"])
    layers = _count(tensors, f"{name}.enc.in_layers")
    stream: tuple[Member, ...] = (*_produced(f"{name}.pre"), _consumed(f"{name}.post"))
    gates, offset = [], 0
    for layer in range(layers):
        inner, outer = f"{name}.enc.in_layers.{layer}", f"{name}.enc.res_skip_layers.{layer}"
        stream += (
            _consumed(inner),
            *_produced(outer, starts=(0, hidden) if layer + 1 < layers else (0,)),
        )
        width = len(tensors[f"{inner}.bias"]) // 2
        members = (
            *_produced(inner, starts=(0, width)),
            *_produced(f"{name}.enc.cond_layer", starts=(offset, offset + width)),
            _consumed(outer),
        )
        gates.append(Group(inner, width, members))
        offset += 2 * width
    return [Group(f"{name}.pre", hidden, stream), *gates]


def _encoder_groups(tensors: Tensors, name: str) -> list[Group]:
    groups = []
    for layer in range(_count(tensors, f"{name}.attn_layers")):
        attention, feed = f"{name}.attn_layers.{layer}", f"{name}.ffn_layers.{layer}"
        groups.append(_heads(tensors, attention, tensors[f"{attention}.emb_rel_k"].shape[2]))
        members = (*_produced(f"{feed}.conv_1"), _consumed(f"{feed}.conv_2"))
        groups.append(Group(feed, len(tensors[f"{feed}.conv_1.bias"]), members))
    return groups


def _cross_attention(tensors: Tensors) -> Group:
    return _heads(tensors, "enc_p.mrte.cross_attention", MRTE_HEAD_WIDTH)


def _heads(tensors: Tensors, name: str, width: int) -> Group:
    members = [_consumed(f"{name}.conv_o")]
    for projection in ("conv_q", "conv_k", "conv_v"):
        members += _produced(f"{name}.{projection}")
    count = kernel(tensors, f"{name}.conv_q.weight").shape[0] // width
    return Group(f"{name}.heads", count, tuple(members), unit=width, minimum=1, step=1)


def _decoder_layers(decoder: Decoder) -> dict[str, nn.Module]:
    return {f"dec.{name}": layer for name, layer in decoder.named_modules() if _is_convolution(layer)}


def _flow_layers(flow: Flow) -> dict[str, nn.Module]:
    last = 2 * (len(flow.steps) - 1)
    return {
        f"flow.flows.{last - 2 * turn}.{name}": layer
        for turn, step in enumerate(flow.steps)
        for name, layer in step.named_modules()
        if _is_convolution(layer)
    }


def _is_convolution(layer: nn.Module) -> bool:
    return isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d))


def _encoder_layers(encoder: Encoder, name: str) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for index, (attention, feed) in enumerate(zip(encoder.attention, encoder.feed_forward, strict=True)):
        layers[f"{name}.attn_layers.{index}.conv_o"] = attention.out
        layers[f"{name}.ffn_layers.{index}.conv_2"] = feed.outer
    return layers
