"""The pruning plan: a JSON file that says how much of every layer stays, made by the tool and edited by people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from edge_tts.errors import EdgeTtsError
from edge_tts.request import explain
from tools.pruning.groups import Group, Stack

MAX_LAYER_SHARE = 0.40
"""Of a layer's channels that may go; more is not brought back by tuning."""
MAX_TOTAL_SHARE = 0.60
"""Of all parameters that may go."""


class PlanError(EdgeTtsError, ValueError):
    """A plan does not fit its checkpoint or breaks a limit; the message names the entry."""

    code = "bad_plan"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LayerPlan(_Part):
    """What stays of one group of channels or heads. To change it, edit `keep`."""

    name: str
    before: int
    keep: int
    order: list[int]
    """Channels from the most to the least important; the first `keep` stay."""

    @property
    def kept(self) -> list[int]:
        """The channels that stay, in their own order."""
        return sorted(self.order[: self.keep])


class Plan(_Part):
    """Everything that goes from one checkpoint."""

    checkpoint: str
    """The file's name, for people."""
    importance: Literal["activation", "weight"]
    layers: list[LayerPlan]
    stacks: list[LayerPlan] = Field(default_factory=list)
    """Whole layers, counted in units that can go together; by default all stay."""

    def write(self, path: Path) -> None:
        """Write the plan, one layer on a line."""
        content = self.model_dump()
        lines = {key: ",\n  ".join(json.dumps(entry) for entry in content.pop(key)) for key in ("layers", "stacks")}
        head = json.dumps(content, indent=1).rstrip("}\n ")
        path.write_text(f'{head},\n "layers": [\n  {lines["layers"]}],\n "stacks": [\n  {lines["stacks"]}]\n}}\n')


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises PlanError naming the file and the key."""
    try:
        return Plan.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise PlanError(f"{path}: {explain(error)}") from error
    except ValueError as error:
        raise PlanError(f"{path}: not valid JSON: {error}") from error


def fewest(group: Group) -> int:
    """The smallest count that the limits leave to a group, rounded up to its step."""
    floor = max(group.minimum, -(-group.width * (100 - round(100 * MAX_LAYER_SHARE)) // 100))
    return min(group.width, -(-floor // group.step) * group.step)


def allocate(groups: Sequence[Group], scores: Mapping[str, Tensor], energy: float) -> dict[str, int]:
    """Per group the fewest channels holding at least `energy` (0 … 1) of its squared scores, within the limits."""
    keep: dict[str, int] = {}
    ties: dict[str, int] = {}
    for group in groups:
        power = scores[group.name].double().square().sort(descending=True).values
        total = power.cumsum(0)
        needed = int((total < energy * total[-1]).sum()) + 1 if energy < 1 else group.width
        rounded = min(group.width, -(-needed // group.step) * group.step)
        keep[group.name] = max(rounded, fewest(group))
        if group.tie:
            ties[group.tie] = max(ties.get(group.tie, 0), keep[group.name])
    return {group.name: ties.get(group.tie, keep[group.name]) for group in groups}


def make_layers(groups: Sequence[Group], scores: Mapping[str, Tensor], keep: Mapping[str, int]) -> list[LayerPlan]:
    """Plan entries that keep the best channels of every group."""
    return [
        LayerPlan(
            name=group.name,
            before=group.width,
            keep=keep[group.name],
            order=torch.argsort(scores[group.name], descending=True, stable=True).tolist(),
        )
        for group in groups
    ]


def check(plan: Plan, groups: Sequence[Group], stacks: Sequence[Stack]) -> None:
    """Raises PlanError where the plan does not fit the model or breaks the limits of a layer."""
    known = {group.name: group for group in groups}
    ties: dict[str, LayerPlan] = {}
    for layer in plan.layers:
        group = known.get(layer.name)
        if group is None:
            raise PlanError(f"{layer.name}: the checkpoint has no such layer")
        _check_order(layer, group.width)
        if layer.keep == layer.before:
            pass
        elif layer.keep < group.minimum:
            raise PlanError(f"{layer.name}: keep is {layer.keep}, but at least {group.minimum} must stay")
        elif layer.before - layer.keep > MAX_LAYER_SHARE * layer.before + 1e-9:
            share = 100 * (layer.before - layer.keep) / layer.before
            raise PlanError(f"{layer.name}: {share:.0f} % would go, at most {100 * MAX_LAYER_SHARE:.0f} % may")
        if group.tie:
            other = ties.setdefault(group.tie, layer)
            if other.keep != layer.keep:
                raise PlanError(f"{layer.name}: keep is {layer.keep}, but must equal {other.name}'s ({other.keep})")
    _same_names([layer.name for layer in plan.layers], list(known))
    units = {stack.name: len(stack.units) for stack in stacks}
    for layer in plan.stacks:
        if layer.name not in units:
            raise PlanError(f"{layer.name}: the checkpoint has no such stack of layers")
        _check_order(layer, units[layer.name])
    _same_names([layer.name for layer in plan.stacks], list(units))


def check_total(before: int, after: int) -> None:
    """Raises PlanError when more parameters are gone than the limit allows."""
    if before - after > MAX_TOTAL_SHARE * before:
        share = 100 * (before - after) / before
        raise PlanError(f"{share:.0f} % of all parameters would go, at most {100 * MAX_TOTAL_SHARE:.0f} % may")


def report(plan: Plan) -> str:
    """A table: layer, before, after, share removed; layers that stay whole are counted in the last line."""
    rows = [(x.name, x.before, x.keep) for x in [*plan.layers, *plan.stacks] if x.keep < x.before]
    width = max([len(name) for name, _, _ in rows] + [5])
    lines = [f"{'layer':<{width}}  before  after  removed"]
    lines += [f"{name:<{width}}  {a:6d}  {b:5d}  {100 * (a - b) / a:5.1f} %" for name, a, b in rows]
    whole = len(plan.layers) + len(plan.stacks) - len(rows)
    return "\n".join([*lines, f"{whole} layers stay whole"])


def _check_order(layer: LayerPlan, width: int) -> None:
    if layer.before != width:
        raise PlanError(f"{layer.name}: before is {layer.before}, but the checkpoint has {width}")
    if not 1 <= layer.keep <= width:
        raise PlanError(f"{layer.name}: keep is {layer.keep}; it must lie in 1 … {width}")
    if sorted(layer.order) != list(range(width)):
        raise PlanError(f"{layer.name}: order must name each of 0 … {width - 1} once")


def _same_names(planned: list[str], known: list[str]) -> None:
    twice = {name for name in planned if planned.count(name) > 1}
    if twice:
        raise PlanError(f"{min(twice)}: planned twice")
    missing = set(known) - set(planned)
    if missing:
        raise PlanError(f"{min(missing)}: missing from the plan (to leave it whole, set keep to before)")
