"""Training that shows its progress, saves itself and goes on where it was stopped."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WARM_UP_STEPS = 50
PROGRESS_EVERY = 10.0
"""Seconds between progress lines."""
SAVE_EVERY = 60.0
"""Seconds between checkpoints."""

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Settings:
    """How long and how fast to train."""

    minutes: float
    rate: float = 1e-3
    resume: bool = False
    max_steps: int = 1 << 30
    keep_average: float = 0.0
    """Decay of an exponential moving average that replaces the weights in the end; 0 keeps the last ones."""


def train(model: nn.Module, losses: Callable[[int], Losses], state_file: Path, settings: Settings) -> int:
    """Minimize the sum of `losses(step)` over the model's parameters that require gradients: the steps done in all.

    `losses` must depend on nothing but the model and the step, so that a resumed run does what an unbroken one would.
    The state file holds everything a resumed run needs; minutes count over all runs.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings.rate, betas=(0.8, 0.99), weight_decay=0.0)
    average = [parameter.detach().clone() for parameter in parameters]
    step, spent = 0, 0.0
    if settings.resume and state_file.exists():
        state = torch.load(state_file, weights_only=True, map_location=parameters[0].device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, spent = state["average"], state["step"], state["spent"]
        print(f"resumed at step {step}, {spent / 60:.1f} min", flush=True)

    def save() -> None:
        content: dict[str, Any] = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**content, "average": average, "step": step, "spent": spent}, state_file.with_suffix(".part"))
        os.replace(state_file.with_suffix(".part"), state_file)

    model.train()
    budget, clock = 60.0 * settings.minutes, time.monotonic()
    shown = saved = spent
    smooth: dict[str, float] = {}
    while spent < budget and step < settings.max_steps:
        progress = max(spent / budget, step / settings.max_steps)
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        parts = losses(step)
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        with torch.no_grad():
            # early averages forget fast, or the untrained weights would stay in them for long
            decay = min(settings.keep_average, step / (step + 10))
            for old, new in zip(average, parameters, strict=True):
                old.lerp_(new, 1 - decay)
        step += 1
        for name, value in parts.items():
            smooth[name] = 0.95 * smooth.get(name, value.item()) + 0.05 * value.item()
        now = time.monotonic()
        spent, clock = spent + now - clock, now
        if spent - shown >= PROGRESS_EVERY:
            shown = spent
            text = " ".join(f"{name} {value:.4f}" for name, value in smooth.items())
            print(f"step {step}  {spent / 60:.1f} of {settings.minutes:g} min  {text}", flush=True)
        if spent - saved >= SAVE_EVERY:
            saved = spent
            save()
    save()
    with torch.no_grad():
        for old, new in zip(average, parameters, strict=True):
            new.copy_(old)
    model.eval()
    return step
