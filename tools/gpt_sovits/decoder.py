"""SoVITS's decoder, a HiFi-GAN generator: latent frames in, samples out."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.gpt_sovits.weights import Weights, conv, linear, upsample

SLOPE = 0.1
LAST_SLOPE = 0.01
"""Before conv_post the official model uses LeakyReLU with torch's default slope."""


class ResidualBlock(nn.Module):
    """Pairs of convolutions, the first of each dilated, each pair around a residual path (HiFi-GAN type 1)."""

    def __init__(self, weights: Weights, dilations: tuple[int, ...]) -> None:
        super().__init__()
        pairs = range(len(dilations))
        self.convs1 = nn.ModuleList(conv(weights.at("convs1", i), dilations[i]) for i in pairs)
        self.convs2 = nn.ModuleList(conv(weights.at("convs2", i)) for i in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """[1, channels, n] -> the same shape."""
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(functional.leaky_relu(dilated(functional.leaky_relu(x, SLOPE)), SLOPE))
        return x


class Decoder(nn.Module):
    """Upsampling steps, each followed by the mean of its residual blocks. The bias of conv_pre is an input."""

    def __init__(self, weights: Weights, rates: tuple[int, ...], dilations: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        self.conv_pre = conv(weights.at("conv_pre"))
        self.conv_pre.bias = None
        self.ups = nn.ModuleList(upsample(weights.at("ups", i), rate) for i, rate in enumerate(rates))
        self.kernels = len(dilations)
        blocks = range(weights.at("resblocks").count())
        self.resblocks = nn.ModuleList(
            ResidualBlock(weights.at("resblocks", i), dilations[i % self.kernels]) for i in blocks
        )
        self.conv_post = conv(weights.at("conv_post"))

    def forward(self, z: Tensor, decoder_bias: Tensor) -> Tensor:
        """z [inter, f], bias [channels] -> samples [f * hop] in -1 … 1."""
        return self.samples(z.unsqueeze(0), decoder_bias[:, None])[0, 0]

    def samples(self, z: Tensor, bias: Tensor) -> Tensor:
        """z [1, inter, …, f], bias [channels, …, 1] -> [1, 1, …, f * hop]; `…` is a height of 1 in the planar form."""
        x = self.conv_pre(z) + bias
        for step, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            blocks = self.resblocks[step * self.kernels : (step + 1) * self.kernels]
            x = functools.reduce(torch.add, [block(x) for block in blocks]) / self.kernels
        return torch.tanh(self.conv_post(functional.leaky_relu(x, LAST_SLOPE)))

    @property
    def receptive_field(self) -> int:
        """Frames to either side that the samples of one frame depend on, exactly: walked back from the output."""
        hop = math.prod(up.stride[0] for up in self.ups)
        margin = self.conv_post.kernel_size[0] // 2
        first, last = -margin, hop - 1 + margin
        for step in reversed(range(len(self.ups))):
            reach = max(_reach(block) for block in self.resblocks[step * self.kernels : (step + 1) * self.kernels])
            up = self.ups[step]
            size, rate, padding = up.kernel_size[0], up.stride[0], up.padding[0]
            first = -((size - 1 - padding - (first - reach)) // rate)
            last = (last + reach + padding) // rate
        margin = self.conv_pre.kernel_size[0] // 2
        return int(max(margin - first, last + margin))


def decoder_bias(weights: Weights, timbre: Tensor) -> Tensor:
    """The bias of conv_pre for a timbre [gin]: [channels]. `weights` are those of dec."""
    condition = linear(weights["cond.weight"], weights["cond.bias"])(timbre)
    return weights["conv_pre.bias"] + condition


def _reach(block: nn.Module) -> int:
    reach: int = sum(
        layer.dilation[0] * (layer.kernel_size[0] // 2) for layer in block.modules() if isinstance(layer, nn.Conv1d)
    )
    return reach
