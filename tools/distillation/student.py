"""Tuning a pruned student: its own training loss, and the unpruned student's outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edge_tts.voices.envelope import POINTS
from tools.distillation.trainer import Losses
from tools.pruning.student import draws
from tools.student_data import Example
from tools.student_model import Student
from tools.train_student import EDGE, Batch, batches, collate, expand, frame_weight, losses, validate

TEACHER_WEIGHT = 0.5
"""Of the teacher's share in the loss; the rest is the recordings'."""


class StudentTask:
    """The loss of one training step of a student on a batch of takes."""

    def __init__(
        self,
        student: Student,
        teacher: Student,
        examples: Sequence[Example],
        styles: Sequence[npt.NDArray[np.float64]],
    ) -> None:
        """Where the teacher draws envelopes from noise, both networks are given the same."""
        self.student, self.teacher, self.generative = student, teacher, draws(teacher)
        self.examples, self.styles = list(examples), list(styles)
        self.groups = len(batches(self.examples, 0))

    def __call__(self, step: int) -> Losses:
        torch.manual_seed(step)
        random = np.random.default_rng(step)
        group = batches(self.examples, step // self.groups)[step % self.groups]
        styles = [self.styles[i] + random.normal(0, 0.25, len(self.styles[i])) for i in group]
        edge = int(random.integers(EDGE[0], EDGE[1] + 1))
        batch = collate([self.examples[i] for i in group], styles, edge, self.student.shape.reach)
        with torch.autocast("cpu", torch.bfloat16):
            task = torch.stack(list(losses(self.student, batch, self.generative).values())).sum()
            noise = None
            if self.generative:
                noise = torch.randn(*batch.mask.shape, self.student.shape.noise) * batch.mask[..., None]
            with torch.no_grad():
                frames, durations = self._speak(self.teacher, batch, noise)
            made_frames, made_durations = self._speak(self.student, batch, noise)
        weight = frame_weight(batch)
        error = (made_frames - frames).float().abs()
        even = batch.mask / batch.mask.sum()
        taught = (error[..., :POINTS].mean(-1) * weight).sum() / weight.sum() + (
            error[..., POINTS:].mean(-1) * even
        ).sum()
        gap = (made_durations - durations).float().abs() * batch.phone_mask
        taught = taught + 0.5 * gap.sum() / batch.phone_mask.sum()
        return {"task": (1 - TEACHER_WEIGHT) * task, "teacher": TEACHER_WEIGHT * taught}

    @staticmethod
    def _speak(student: Student, batch: Batch, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        encoded, durations = student.encoder(batch.ids, batch.style)
        return student.decoder(expand(encoded, batch), batch.side, noise), durations


def figures(student: Student, held_out: Sequence[Example]) -> str:
    """Errors on held-out takes in the mean style, as one line: envelope dB, F0 semitones, V/UV %, durations, spread."""
    groups = [held_out[first : first + 30] for first in range(0, len(held_out), 30)]
    mean = np.zeros(student.shape.style)
    made = [collate(list(group), [mean] * len(group), EDGE[0], student.shape.reach) for group in groups]
    return "  ".join(f"{name} {value:.3f}" for name, value in validate(student, made).items())
