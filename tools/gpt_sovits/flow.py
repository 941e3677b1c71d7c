"""SoVITS's normalizing flow, run backwards: from the prior's latents to the decoder's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tools.gpt_sovits.weights import Weights, conv, linear


class WaveNet(nn.Module):
    """Gated convolutions over 5 frames with residual and skip paths (WN); its biases are an input."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        layers = range(weights.at("in_layers").count())
        self.in_layers = nn.ModuleList(_without_bias(conv(weights.at("in_layers", i))) for i in layers)
        self.res_skip_layers = nn.ModuleList(conv(weights.at("res_skip_layers", i)) for i in layers)
        self.hidden = self.in_layers[0].in_channels
        self.widths = [layer.out_channels for layer in self.in_layers]

    def forward(self, frames: Tensor, biases: list[Tensor]) -> Tensor:
        """Frames [1, hidden, f], one bias [2 * gate] per layer -> [1, hidden, f]."""
        skipped: Tensor | None = None
        for in_layer, res_skip, bias in zip(self.in_layers, self.res_skip_layers, biases, strict=True):
            signal, gate = (in_layer(frames) + bias[:, None]).chunk(2, dim=1)
            both = res_skip(torch.tanh(signal) * torch.sigmoid(gate))
            if both.shape[1] > self.hidden:
                frames = frames + both[:, : self.hidden]
                both = both[:, self.hidden :]
            skipped = both if skipped is None else skipped + both
        assert skipped is not None
        return skipped


class Coupling(nn.Module):
    """One step: what the network makes of one half of the channels is taken from the other half."""

    def __init__(self, weights: Weights, flipped: bool) -> None:
        super().__init__()
        self.pre = conv(weights.at("pre"))
        self.enc = WaveNet(weights.at("enc"))
        self.post = conv(weights.at("post"))
        if flipped:
            with torch.no_grad():
                self.pre.weight.copy_(self.pre.weight.flip(1).clone())
                self.post.weight.copy_(self.post.weight.flip(0).clone())
                self.post.bias.copy_(self.post.bias.flip(0).clone())

    def forward(self, seen: Tensor, biases: list[Tensor]) -> Tensor:
        """[1, inter / 2, f] -> what to subtract from the other half."""
        return self.post(self.enc(self.pre(seen), biases))


class Flow(nn.Module):
    """All steps, backwards. The flips of the channels between them are folded into the steps' first and last layers:
    after an odd number of flips the first half is the second one, upside down.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            Coupling(weights.at(index), flipped=turn % 2 == 0) for turn, index in enumerate(_backwards(weights))
        )
        if len(self.steps) % 2:
            raise ValueError("an odd number of coupling steps leaves the channels flipped")
        self.widths = [width for step in self.steps for width in step.enc.widths]

    def forward(self, z_p: Tensor, flow_bias: Tensor) -> Tensor:
        """z_p [inter, f], flow_bias [sum of widths] -> z [inter, f]."""
        biases = list(flow_bias.split(self.widths))
        upper, lower = z_p.unsqueeze(0).chunk(2, dim=1)
        for turn, step in enumerate(self.steps):
            own, biases = biases[: len(step.enc.widths)], biases[len(step.enc.widths) :]
            if turn % 2 == 0:
                upper = upper - step(lower, own)
            else:
                lower = lower - step(upper, own)
        return torch.cat([upper, lower], dim=1)[0]

    @property
    def receptive_field(self) -> int:
        """Frames to either side that a frame depends on."""
        return sum(layer.kernel_size[0] // 2 for step in self.steps for layer in step.enc.in_layers)


def flow_bias(weights: Weights, timbre: Tensor) -> Tensor:
    """The biases of all gated layers for a timbre [gin], as Flow takes them. `weights` are those of flow.flows."""
    biases = []
    for index in _backwards(weights):
        enc = weights.at(index, "enc")
        condition = linear(enc.at("cond_layer").kernel(), enc.at("cond_layer").bias())(timbre)
        own = torch.cat([enc.at("in_layers", i)["bias"] for i in range(enc.at("in_layers").count())])
        biases.append(own + condition)
    return torch.cat(biases)


def _backwards(weights: Weights) -> list[int]:
    return [2 * step for step in reversed(range(weights.count()))]


def _without_bias(layer: nn.Conv1d) -> nn.Conv1d:
    layer.bias = None
    return layer
