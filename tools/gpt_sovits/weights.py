"""Torch layers whose every width comes from the tensors of a checkpoint, with weight norm already folded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tools.gpt_sovits.checkpoint import CheckpointError


class Weights:
    """The tensors of a checkpoint below one prefix, as fp32; one that is missing raises CheckpointError."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        self._tensors = tensors
        self._prefix = prefix

    def at(self, *names: str | int) -> Weights:
        """The tensors one or more levels deeper: `weights.at("layers", 0)`."""
        return Weights(self._tensors, self._prefix + "".join(f"{name}." for name in names))

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[self._prefix + name].float()
        except KeyError:
            raise CheckpointError(f"the checkpoint has no tensor {self._prefix}{name}") from None

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._tensors

    def count(self) -> int:
        """How many numbered children (`0.`, `1.`, …) there are, gaps not counted."""
        children = {key[len(self._prefix) :].split(".")[0] for key in self._tensors if key.startswith(self._prefix)}
        return sum(child.isdigit() for child in children)

    def kernel(self) -> Tensor:
        """A layer's weight; weight norm (over dimension 0) is folded: g * v / |v|."""
        if "weight_v" not in self:
            return self["weight"]
        direction = self["weight_v"].double()
        norm = direction.flatten(1).norm(dim=1).reshape(-1, *[1] * (direction.dim() - 1))
        return (self["weight_g"].double() * direction / norm).float()

    def bias(self) -> Tensor | None:
        """A layer's bias, None where it has none."""
        return self["bias"] if self._prefix + "bias" in self._tensors else None


def linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A Linear layer holding exactly these values; a 1-wide convolution kernel [out, in, 1] will do."""
    weight = weight.flatten(1)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    return _fill(layer, weight, bias)


def conv(weights: Weights, dilation: int = 1) -> nn.Conv1d:
    """A Conv1d that keeps the length of its input ("same" padding, odd kernels)."""
    kernel, bias = weights.kernel(), weights.bias()
    outputs, inputs, size = kernel.shape
    padding = (size - 1) * dilation // 2
    layer = nn.Conv1d(inputs, outputs, size, dilation=dilation, padding=padding, bias=bias is not None)
    return _fill(layer, kernel, bias)


def upsample(weights: Weights, rate: int) -> nn.ConvTranspose1d:
    """A ConvTranspose1d that makes its input exactly `rate` times longer."""
    kernel, bias = weights.kernel(), weights.bias()
    inputs, outputs, size = kernel.shape
    layer = nn.ConvTranspose1d(inputs, outputs, size, rate, padding=(size - rate) // 2, bias=bias is not None)
    return _fill(layer, kernel, bias)


def layer_norm(gain: Tensor, shift: Tensor) -> nn.LayerNorm:
    """A LayerNorm over the last dimension, eps 1e-5."""
    return _fill(nn.LayerNorm(gain.shape[0], eps=1e-5), gain, shift)


def _fill(layer: Any, weight: Tensor, bias: Tensor | None) -> Any:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
