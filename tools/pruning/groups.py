"""Which slices of which tensors belong together: the only thing pruning has to know about a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tools.gpt_sovits.weights import Weights

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Member:
    """One axis of one tensor that a group cuts."""

    tensor: str
    """Name in the checkpoint; a weight-normed layer is named by `.weight`, its _g and _v follow."""
    axis: int
    starts: tuple[int, ...] = (0,)
    """Where the group's run of positions begins; several for stacked projections (q|k|v, signal|gate)."""
    consumes: bool = False
    """The axis is the layer's input, so that these weights are what the channel's values are multiplied by."""


@dataclass(frozen=True)
class Group:
    """Channels (or heads) that exist once but live in many tensors, and can only be removed from all of them."""

    name: str
    width: int
    """Channels, or heads."""
    members: tuple[Member, ...]
    unit: int = 1
    """Positions of one channel in a tensor: 1, or the width of a head."""
    minimum: int = 16
    step: int = 8
    """Kept counts are multiples of this: vector kernels, INT8 ones above all, waste the rest."""
    tie: str = ""
    """Groups with the same tie keep equally many, because the model has one number for all of them."""

    def positions(self, member: Member, indices: Sequence[int]) -> list[int]:
        """Where the channels `indices` lie on the member's axis."""
        return [
            start + index * self.unit + offset
            for start in member.starts
            for index in indices
            for offset in range(self.unit)
        ]


@dataclass(frozen=True)
class Stack:
    """Whole layers that can be removed, in units that leave the model well formed (pairs of coupling layers)."""

    name: str
    """The prefix below which the layers are numbered."""
    units: tuple[tuple[int, ...], ...]
    """The numbers of the layers that go together."""
    output: str
    """Below a layer's number, the tensor whose size says how much the layer does."""

    def layers(self, kept: Sequence[int]) -> list[int]:
        """The numbers of the layers in the units `kept`, in order."""
        return sorted(number for unit in kept for number in self.units[unit])


def kernel(tensors: Tensors, name: str) -> Tensor:
    """The tensor `name` as float32, with weight norm folded."""
    layer, _, last = name.rpartition(".")
    return Weights(tensors, f"{layer}.").kernel() if last == "weight" else tensors[name].float()


def square_sums(group: Group, member: Member, values: Tensor) -> Tensor:
    """Sum `values` [size of the member's axis] over each channel's positions: [width]."""
    index = torch.tensor(group.positions(member, range(group.width)))
    return values[index].reshape(len(member.starts), group.width, group.unit).sum(dim=(0, 2))
