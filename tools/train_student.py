"""Train a student voice on prepared features.

    python -m tools.train_student CORPUS FEATURES OUT [--minutes 30] [--resume]
    python -m tools.train_student CORPUS FEATURES OUT2 --generative --start OUT/last.pt

OUT/last.pt is written every few minutes and --resume goes on from it. The second form fine-tunes the envelope decoder
with noise and the energy score (Gritsenko et al. 2020), so that it draws envelopes instead of averaging them.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_tts.voices.envelope import POINTS
from edge_tts.voices.linguistic import FEATURES
from edge_tts.voices.student import BUMPS, positions
from tools.student_data import Example, load_examples
from tools.student_model import Shape, Student

BATCH = 12
EDGE = (2, 8)
"""Frames of silence left at a sentence's edges while training."""
STYLE_ENVELOPE = 6
EMA = 0.998


@dataclass
class Batch:
    """Padded tensors of several utterances; padding is zero everywhere."""

    ids: Tensor
    durations: Tensor
    phone_mask: Tensor
    owner: Tensor
    side: Tensor
    mask: Tensor
    target: Tensor
    style: Tensor


def raw_style(example: Example) -> np.ndarray:
    """How a take differs from others as a whole: mean voiced envelope [80], F0 mean and spread, speaking rate."""
    voiced = example.frames[:, POINTS + 1] > 0.5
    log_f0 = example.frames[voiced, POINTS]
    rate = np.log(example.durations[1:-1]).mean()
    return np.concatenate([example.frames[voiced, :POINTS].mean(0), [log_f0.mean(), log_f0.std(), rate]])


class Styles:
    """Reduces raw styles to `Shape.style` standardized numbers: principal components of the envelope, F0, rate."""

    def __init__(self, examples: list[Example]) -> None:
        raw = np.stack([raw_style(example) for example in examples])
        self.mean = raw.mean(0)
        _, _, axes = np.linalg.svd(raw[:, :POINTS] - self.mean[:POINTS], full_matrices=False)
        self.axes = axes[:STYLE_ENVELOPE]
        self.scale = np.ones(STYLE_ENVELOPE + 3)
        self.scale = np.stack([self(example) for example in examples]).std(0)

    def __call__(self, example: Example) -> np.ndarray:
        raw = raw_style(example) - self.mean
        return np.concatenate([self.axes @ raw[:POINTS], raw[POINTS:]]) / self.scale


def collate(examples: list[Example], styles: list[np.ndarray], edge: int, reach: int) -> Batch:
    """Pad examples; every sentence lies between at least `reach` zero frames."""
    rows = []
    for example in examples:
        durations = example.durations.copy()
        lead, trail = min(durations[0], edge), min(durations[-1], edge)
        frames = example.frames[durations[0] - lead : len(example.frames) - (durations[-1] - trail)]
        durations[0], durations[-1] = lead, trail
        rows.append((durations, torch.from_numpy(frames)))
    phones = max(len(example.ids) for example in examples) + reach
    length = max(len(frames) for _, frames in rows) + 2 * reach
    count = len(examples)
    batch = Batch(
        ids=torch.zeros(count, phones, len(FEATURES), dtype=torch.long),
        durations=torch.zeros(count, phones),
        phone_mask=torch.zeros(count, phones),
        owner=torch.full((count, length), phones - 1),
        side=torch.zeros(count, length, BUMPS + 2),
        mask=torch.zeros(count, length),
        target=torch.zeros(count, length, rows[0][1].shape[1]),
        style=torch.from_numpy(np.stack(styles)).float(),
    )
    for i, (example, (durations, frames)) in enumerate(zip(examples, rows, strict=True)):
        owner, side = positions(durations)
        n, t = len(durations), len(frames)
        batch.ids[i, :n] = torch.from_numpy(example.ids)
        batch.durations[i, :n] = torch.from_numpy(durations)
        batch.phone_mask[i, 1 : n - 1] = 1.0
        inside = slice(reach, reach + t)
        batch.owner[i, inside] = torch.from_numpy(owner)
        batch.side[i, inside] = torch.from_numpy(side)
        batch.mask[i, inside] = 1.0
        batch.target[i, inside] = frames
    return batch


def batches(examples: list[Example], seed: int) -> list[list[int]]:
    """Random batches of examples of similar length."""
    draw = random.Random(seed)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].frames) * draw.uniform(0.8, 1.25))
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    draw.shuffle(groups)
    return groups


def normalized(student: Student, target: Tensor) -> Tensor:
    return (target[..., : POINTS + 1] - student.mean) / student.std


def expand(encoded: Tensor, batch: Batch) -> Tensor:
    index = batch.owner[..., None].expand(-1, -1, encoded.shape[-1])
    return torch.gather(encoded, 1, index) * batch.mask[..., None]


def frame_weight(batch: Batch) -> Tensor:
    """[B, T]: 1 in speech, less in quiet frames, whose spectrum is noise that nobody hears."""
    level = batch.target[..., :POINTS].mean(-1)
    peak = torch.where(batch.mask > 0, level, -100.0).amax(1, keepdim=True)
    return (0.2 + 0.8 * torch.sigmoid(level - peak + 4.5)) * batch.mask


def energy_score(first: Tensor, second: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Proper score of two independent draws against the target: mean |x - y| minus half of |x - x'|, over patches.

    Patches of several shapes make the draws right jointly over time and frequency (Gritsenko et al. 2020).
    """
    total = first.new_zeros(())
    for frames, points in ((1, 4), (1, 16), (1, 80), (4, 8), (4, 80), (12, 20)):

        def norms(x: Tensor, frames: int = frames, points: int = points) -> Tensor:
            power = functional.avg_pool2d(
                (x * x)[:, None], (frames, points), (max(1, frames // 2), max(1, points // 2))
            )
            return (power[:, 0] + 1e-5).sqrt()

        w = functional.avg_pool1d(weight[:, None], frames, max(1, frames // 2))[:, 0, :, None]
        score = 0.5 * (norms(first - target) + norms(second - target)) - 0.5 * norms(first - second)
        total = total + (score * w).sum() / (w.sum() * score.shape[-1])
    return total


def losses(student: Student, batch: Batch, generative: bool) -> dict[str, Tensor]:
    encoded, log_duration = student.encoder(batch.ids, batch.style)
    frames = expand(encoded, batch)
    goal = normalized(student, batch.target)
    weight = frame_weight(batch)
    heavy = weight / weight.sum()
    result: dict[str, Tensor] = {}
    if generative:
        draws = []
        for _ in range(2):
            noise = torch.randn(*batch.mask.shape, student.shape.noise) * batch.mask[..., None]
            draws.append(student.decoder(frames, batch.side, noise).float())
        envelope = [draw[..., :POINTS] for draw in draws]
        result["env"] = energy_score(envelope[0], envelope[1], goal[..., :POINTS], weight)
        delta = [e.diff(dim=1) for e in (*envelope, goal[..., :POINTS])]
        result["delta"] = energy_score(delta[0], delta[1], delta[2], weight[:, 1:])
        output = draws[0]
    else:
        output = student.decoder(frames, batch.side).float()
        error = output[..., :POINTS] - goal[..., :POINTS]
        result["env"] = (error.abs().mean(-1) * heavy).sum()
        result["delta"] = (error.diff(dim=-1).abs().mean(-1) * heavy).sum()
    even = batch.mask / batch.mask.sum()
    voiced = batch.target[..., POINTS + 1] * batch.mask
    some = 0.1 * batch.mask + 0.9 * voiced
    error = output[..., POINTS] - goal[..., POINTS]
    result["f0"] = 0.3 * (error.abs() * some).sum() / some.sum()
    step = error.diff(dim=1).abs() * (voiced[:, 1:] * voiced[:, :-1])
    result["df0"] = 0.6 * step.sum() / voiced.sum()
    logits = output[..., POINTS + 1]
    voicing = functional.binary_cross_entropy_with_logits(logits, batch.target[..., POINTS + 1], reduction="none")
    result["vuv"] = 0.3 * (voicing * even).sum()
    error = torch.sigmoid(output[..., POINTS + 2 :]) - batch.target[..., POINTS + 2 :]
    result["per"] = 0.5 * (error.abs().mean(-1) * voiced).sum() / voiced.sum()
    error = log_duration.float() - torch.log(batch.durations.clamp(min=1.0))
    result["dur"] = 0.5 * (error.abs() * batch.phone_mask).sum() / batch.phone_mask.sum()
    return result


@torch.no_grad()
def validate(student: Student, groups: list[Batch]) -> dict[str, float]:
    """Errors with the recordings' durations: envelope dB, F0 semitones, V/UV %, duration factor %, spread ratio."""
    sums: dict[str, float] = {}
    for batch in groups:
        encoded, log_duration = student.encoder(batch.ids, batch.style)
        output = student.decoder(expand(encoded, batch), batch.side)
        goal = normalized(student, batch.target)
        weight = frame_weight(batch)
        db = 20 / math.log(10) * (output[..., :POINTS] - goal[..., :POINTS]) * student.std[:POINTS]
        voiced = batch.target[..., POINTS + 1] * batch.mask
        f0 = (12 / math.log(2) * (output[..., POINTS] - goal[..., POINTS]) * student.std[POINTS]) ** 2
        wrong = ((output[..., POINTS + 1] > 0).float() != batch.target[..., POINTS + 1]).float() * batch.mask
        duration = (log_duration - torch.log(batch.durations.clamp(min=1.0))).abs() * batch.phone_mask
        speech = weight > 0.6
        values = {
            "env_db": (db.abs().mean(-1) * weight).sum() / weight.sum(),
            "f0_st": ((f0 * voiced).sum() / voiced.sum()).sqrt(),
            "vuv_%": 100 * wrong.sum() / batch.mask.sum(),
            "dur": (duration.sum() / batch.phone_mask.sum()),
            "spread": (output[..., :POINTS][speech].std(0) / goal[..., :POINTS][speech].std(0)).mean(),
        }
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + float(value) / len(groups)
    return sums


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    last = options.out / "last.pt"
    examples, held_out = load_examples(options.corpus, options.features)
    styles = Styles(examples)
    vectors = [styles(example) for example in examples]
    print(f"{len(examples)} takes to learn from, {len(held_out)} held out", flush=True)

    student = Student(Shape(), dropout=options.dropout)
    stacked = np.concatenate([example.frames for example in examples])
    voiced = stacked[:, POINTS + 1] > 0.5
    student.mean[:POINTS] = torch.from_numpy(stacked[:, :POINTS].mean(0))
    student.std[:POINTS] = float(stacked[:, :POINTS].std(0).mean())
    student.mean[POINTS] = float(stacked[voiced, POINTS].mean())
    student.std[POINTS] = float(stacked[voiced, POINTS].std())
    spent, step, state = 0.0, 0, None
    if options.start:
        student.load_state_dict(torch.load(options.start, weights_only=True)["state"])
        torch.nn.init.normal_(student.decoder.noise.weight, std=0.1)
    if options.resume and last.exists():
        state = torch.load(last, weights_only=True)
        student.load_state_dict(state["raw"])
        spent, step = state["spent"], state["step"]
    average = copy.deepcopy(student).eval()
    parameters = list(student.parameters())
    if options.generative:
        for parameter in student.encoder.parameters():
            parameter.requires_grad_(False)
        for name, parameter in student.decoder.named_parameters():
            parameter.requires_grad_(not name.startswith("prosody"))
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01)
    if state:
        average.load_state_dict(state["state"])
        optimizer.load_state_dict(state["optimizer"])
    reach = student.shape.reach
    tests = [
        collate(held_out[i : i + 30], [np.zeros(student.shape.style)] * len(held_out[i : i + 30]), 5, reach)
        for i in range(0, len(held_out), 30)
    ]

    def save() -> None:
        extra = {"raw": student.state_dict(), "optimizer": optimizer.state_dict(), "spent": spent, "step": step}
        extra["styles"] = {"mean": torch.from_numpy(styles.mean), "axes": torch.from_numpy(styles.axes.copy())}
        torch.save({**average.checkpoint(), **extra}, last.with_suffix(".part"))
        os.replace(last.with_suffix(".part"), last)

    budget = options.minutes * 60.0
    clock = time.monotonic()
    sums: dict[str, float] = {}
    epoch = step
    draw = random.Random(step)
    student.train()
    while spent < budget:
        epoch += 1
        for group in batches(examples, options.seed + epoch):
            noise = [vectors[i] + np.random.default_rng(step).normal(0, 0.25, len(vectors[i])) for i in group]
            batch = collate([examples[i] for i in group], noise, draw.randint(*EDGE), reach)
            progress = min(1.0, spent / budget)
            rate = options.rate * min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
            for entry in optimizer.param_groups:
                entry["lr"] = rate
            with torch.autocast("cpu", torch.bfloat16):
                parts = losses(student, batch, options.generative)
            optimizer.zero_grad(set_to_none=True)
            torch.stack(list(parts.values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            decay = min(EMA, (step + 1) / (step + 10))
            with torch.no_grad():
                for old, new in zip(average.parameters(), student.parameters(), strict=True):
                    old.lerp_(new, 1 - decay)
            for name, value in parts.items():
                sums[name] = 0.98 * sums.get(name, float(value)) + 0.02 * float(value)
            step += 1
            now = time.monotonic()
            spent, clock = spent + now - clock, now
            if step % 50 == 0:
                text = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
                print(f"step {step} {spent / 60:.1f} min {step / spent:.2f}/s  {text}", flush=True)
            if step % options.validate_every == 0:
                figures = validate(average, tests)
                print(f"== {step} " + " ".join(f"{k} {v:.3f}" for k, v in figures.items()), flush=True)
                save()
            if spent >= budget:
                break
    save()
    print("== end " + " ".join(f"{k} {v:.3f}" for k, v in validate(average, tests).items()), flush=True)


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("features", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--minutes", type=float, default=30.0)
    arguments.add_argument("--rate", type=float, default=1.5e-3)
    arguments.add_argument("--dropout", type=float, default=0.1)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--validate-every", type=int, default=500)
    arguments.add_argument("--generative", action="store_true", help="fine-tune the envelope decoder to draw envelopes")
    arguments.add_argument("--start", type=Path, help="checkpoint to begin from")
    arguments.add_argument("--resume", action="store_true")
    return arguments


def main() -> None:
    options: Any = parser().parse_args()
    train(options)


if __name__ == "__main__":
    main()
