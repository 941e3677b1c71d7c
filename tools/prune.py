"""Remove the channels, heads and layers of a voice that matter least, so that its tensors really get smaller.

    python -m tools.prune plan CHECKPOINT --out plan.json [--macs 0.5] [--only dec] [--calibration FILE]
    python -m tools.prune apply CHECKPOINT plan.json --out SMALLER

CHECKPOINT is a GPT-SoVITS model (.pth or .ckpt, in and out in the official format) or a student voice (.pt). The plan
can be edited in between: change `keep` of a layer, or of a stack to remove whole coupling layers. Tune what comes out
with tools.distill.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from edge_tts.errors import EdgeTtsError
from tools.pruning import cost
from tools.pruning.apply import apply, parameters
from tools.pruning.groups import Group
from tools.pruning.importance import scores, stack_scores
from tools.pruning.model import Prunable, open_model
from tools.pruning.plan import LayerPlan, Plan, allocate, make_layers, read_plan, report

SEARCH_STEPS = 12


def make_plan(
    model: Prunable, checkpoint: str, macs: float, only: Sequence[str] = (), calibration: Path | None = None
) -> Plan:
    """A plan that leaves about the share `macs` (0 … 1) of the multiply-accumulates, or as few as the limits allow.

    `only` names the parts (prefixes of layer names) to prune; the share counts in these parts.
    """
    measured = model.measure(calibration) if calibration else None
    groups, stacks = model.groups(), model.stacks()
    ranked = {group.name: scores(group, model.tensors, measured) for group in groups}
    chosen = [group for group in groups if _in(group, only)]
    if not chosen:
        parts = ", ".join(sorted({group.name.split(".")[0] for group in groups}))
        raise EdgeTtsError(f"no layer is in {', '.join(only)}; the checkpoint's parts are {parts}")
    layers = [
        LayerPlan(
            name=stack.name,
            before=len(stack.units),
            keep=len(stack.units),
            order=torch.tensor(stack_scores(stack, model.tensors)).argsort(descending=True).tolist(),
        )
        for stack in stacks
    ]

    def plan(keep: dict[str, int]) -> Plan:
        keep = {group.name: group.width for group in groups} | keep
        kind = "activation" if calibration else "weight"
        return Plan(checkpoint=checkpoint, importance=kind, layers=make_layers(groups, ranked, keep), stacks=layers)

    light = cost.shapes(model.tensors)
    target = macs * _part(model.macs(light), only)
    low, high, best = 0.0, 1.0, allocate(chosen, ranked, 0.0)
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        keep = allocate(chosen, ranked, middle)
        if keep == best or _part(model.macs(apply(plan(keep), groups, stacks, light)), only) <= target:
            low, best = middle, keep
        else:
            high = middle
    return plan(best)


def summary(model: Prunable, after: dict[str, Tensor]) -> str:
    """A table of parameters and multiply-accumulates before and after."""
    macs_before, macs_after = model.macs(cost.shapes(model.tensors)), model.macs(cost.shapes(after))
    rows = [("parameters", parameters(model.tensors), parameters(after))]
    rows += [(f"{part} MACs", macs_before[part], macs_after[part]) for part in macs_before]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{'':<{width}}  {'before':>10}  {'after':>10}   left"]
    lines += [f"{name:<{width}}  {a / 1e6:8.1f} M  {b / 1e6:8.1f} M  {100 * b / a:3.0f} %" for name, a, b in rows]
    return "\n".join([*lines, "(MACs: multiply-accumulates for one second of audio)"])


def _in(group: Group, only: Sequence[str]) -> bool:
    return not only or any(group.name == part or group.name.startswith(f"{part}.") for part in only)


def _part(macs: dict[str, int], only: Sequence[str]) -> int:
    parts = {name.split(".")[0] for name in only}
    return sum(count for part, count in macs.items() if not parts or part in parts)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = arguments.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="write a plan file")
    plan.add_argument("checkpoint", type=Path)
    plan.add_argument("--out", type=Path, required=True)
    plan.add_argument("--macs", type=float, default=0.5, help="share of multiply-accumulates to leave (0.5)")
    plan.add_argument("--only", nargs="+", default=[], metavar="PART", help="parts to prune, e.g. dec flow")
    plan.add_argument("--calibration", type=Path, help="utterances (.npz), or sentences (.txt) for a student")
    cut = commands.add_parser("apply", help="apply a plan to a checkpoint")
    cut.add_argument("checkpoint", type=Path)
    cut.add_argument("plan", type=Path)
    cut.add_argument("--out", type=Path, required=True)
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 after an error that the user can mend."""
    options = parser().parse_args(argv)
    try:
        model = open_model(options.checkpoint)
        if options.command == "plan":
            plan = make_plan(model, options.checkpoint.name, options.macs, options.only, options.calibration)
            plan.write(options.out)
        else:
            plan = read_plan(options.plan)
        smaller = apply(plan, model.groups(), model.stacks(), model.tensors)
        if options.command == "apply":
            model.write(options.out, smaller)
    except EdgeTtsError as error:
        print(f"prune: {error}", file=sys.stderr)
        return 1
    print(report(plan))
    print(summary(model, smaller))
    if options.command == "plan":
        before, after = (_part(model.macs(cost.shapes(t)), options.only) for t in (model.tensors, smaller))
        if after > (options.macs + 0.005) * before:
            wanted = f"more than the {100 * options.macs:.0f} % wanted"
            print(f"the limits per layer leave {100 * after / before:.0f} %, {wanted}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
