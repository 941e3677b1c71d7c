"""How much each channel of a group matters: what it sends on, measured on real input or judged by its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tools.pruning.groups import Group, Stack, Tensors, kernel, square_sums

MeanSquares = Mapping[str, Tensor]
"""By layer name: the mean square of each of its inputs."""


def mean_squares(layers: Mapping[str, nn.Module], run: Callable[[], None]) -> dict[str, Tensor]:
    """Run a model on calibration input: the mean square of every input channel of `layers`."""
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            x = inputs[0].detach()
            channels_last = x if isinstance(module, nn.Linear) else x.transpose(1, 2)
            squares = channels_last.reshape(-1, channels_last.shape[-1]).double().square()
            sums[name] = sums.get(name, torch.zeros(1)) + squares.sum(0)
            counts[name] = counts.get(name, 0) + squares.shape[0]

        return hook

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return {name: value / counts[name] for name, value in sums.items()}


def scores(group: Group, tensors: Tensors, measured: MeanSquares | None) -> Tensor:
    """[width]: RMS activation times outgoing norm, or without measurements incoming times outgoing norm."""
    outgoing = torch.zeros(group.width, dtype=torch.float64)
    incoming = torch.zeros(group.width, dtype=torch.float64)
    for member in group.members:
        if not member.tensor.endswith("weight"):
            continue
        weight = kernel(tensors, member.tensor).double()
        power = weight.transpose(0, member.axis).flatten(1).square().sum(1)
        if not member.consumes:
            incoming += square_sums(group, member, power)
            continue
        if measured is not None:
            # a layer that sees neighbouring rows side by side has its channels several times over
            levels = measured[member.tensor.removesuffix(".weight")].reshape(-1, len(power)).mean(0)
            power = power * levels
        outgoing += square_sums(group, member, power)
    return outgoing.sqrt() if measured is not None else (outgoing * incoming).sqrt()


def stack_scores(stack: Stack, tensors: Tensors) -> list[float]:
    """For each unit of the stack the root mean square of its layers' output weights."""
    result = []
    for unit in stack.units:
        weights = [kernel(tensors, f"{stack.name}.{number}.{stack.output}").double() for number in unit]
        result.append(float(torch.cat([weight.flatten() for weight in weights]).square().mean().sqrt()))
    return result
