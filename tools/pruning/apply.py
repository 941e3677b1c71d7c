"""Cut a plan's channels, heads and layers out of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tools.pruning.groups import Group, Stack, Tensors
from tools.pruning.plan import Plan, check, check_total


def apply(plan: Plan, groups: Sequence[Group], stacks: Sequence[Stack], tensors: Tensors) -> dict[str, Tensor]:
    """The smaller tensors, in the same order and types. Raises PlanError when the plan does not fit or goes too far."""
    check(plan, groups, stacks)
    planned = {layer.name: layer for layer in plan.layers}
    removed: dict[tuple[str, int], set[int]] = {}
    for group in groups:
        gone = sorted(set(range(group.width)) - set(planned[group.name].kept))
        for member in group.members:
            removed.setdefault((member.tensor, member.axis), set()).update(group.positions(member, gone))
    result = dict(tensors)
    # axis 0 first: weight norm's gains lie along it and are only rescaled by cuts along other axes
    for (name, axis), positions in sorted(removed.items(), key=lambda item: item[0][1]):
        if positions:
            _cut(result, name, axis, positions)
    for stack in stacks:
        kept = next(layer.kept for layer in plan.stacks if layer.name == stack.name)
        result = _renumber(result, stack, stack.layers(kept))
    check_total(parameters(tensors), parameters(result))
    return result


def parameters(tensors: Tensors) -> int:
    """The number of values in all tensors."""
    return sum(tensor.numel() for tensor in tensors.values())


def _cut(tensors: dict[str, Tensor], name: str, axis: int, positions: set[int]) -> None:
    direction = f"{name}_v"
    if direction not in tensors:
        tensors[name] = _without(tensors[name], axis, positions)
        return
    gain = f"{name}_g"
    if axis == 0:
        tensors[gain] = _without(tensors[gain], 0, positions)
        tensors[direction] = _without(tensors[direction], 0, positions)
        return
    old = tensors[direction].double()
    new = _without(tensors[direction], axis, positions)
    norm, shape = old.flatten(1).norm(dim=1), tensors[gain].shape
    rest = new.double().flatten(1).norm(dim=1)
    # a gain of 0 over a direction of 0 would read as 0 / 0
    new = torch.where((rest == 0).reshape(shape), torch.ones_like(new), new)
    # float32 whatever the file's type: rounding a gain would change the channels that stay
    tensors[gain] = (tensors[gain].double() * (rest / norm).reshape(shape)).float()
    tensors[direction] = new


def _without(tensor: Tensor, axis: int, positions: set[int]) -> Tensor:
    kept = [index for index in range(tensor.shape[axis]) if index not in positions]
    return tensor.index_select(axis, torch.tensor(kept, device=tensor.device)).contiguous()


def _renumber(tensors: dict[str, Tensor], stack: Stack, kept: Sequence[int]) -> dict[str, Tensor]:
    numbers = dict(zip(kept, sorted(number for unit in stack.units for number in unit), strict=False))
    prefix = f"{stack.name}."
    result = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            number, _, rest = name.removeprefix(prefix).partition(".")
            if int(number) not in numbers:
                continue
            name = f"{prefix}{numbers[int(number)]}.{rest}"
        result[name] = tensor
    return result
