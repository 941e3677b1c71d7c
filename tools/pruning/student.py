"""Student voices (.pt): the hidden widths of their blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edge_tts.voices.linguistic import FEATURES, tokenize
from edge_tts.voices.student import BUMPS, positions
from tools.pruning import cost
from tools.pruning.groups import Group, Member, Tensors
from tools.pruning.importance import MeanSquares, mean_squares
from tools.pruning.model import Prunable
from tools.pruning.plan import PlanError
from tools.student_model import Shape, Student

WIDTHS = {
    "encoder.blocks": "encoder_hidden",
    "decoder.blocks": "decoder_hidden",
    "decoder.prosody_blocks": "prosody_hidden",
}
"""The shape has one width for all blocks of a kind, so the blocks of a kind are tied."""
FRAMES, PHONES = 100, 14
"""Frames and (about) phones in a second of speech."""


def draws(student: Student) -> bool:
    """Whether a student draws envelopes from noise; before it is taught to, its noise layer is zero."""
    return bool(student.decoder.noise.weight.detach().abs().max() > 0)


class StudentModel(Prunable):
    """A student checkpoint."""

    def __init__(self, path: Path) -> None:
        try:
            checkpoint = torch.load(path, weights_only=True, map_location="cpu")
            self.shape: dict[str, int] = checkpoint["shape"]
            self.tensors: dict[str, Tensor] = checkpoint["state"]
        except (OSError, RuntimeError, KeyError) as error:
            raise PlanError(f"{path}: not a student checkpoint ({error})") from error
        self.checkpoint: dict[str, Any] = checkpoint

    def student(self, tensors: Tensors) -> Student:
        """The networks made of `tensors`."""
        return Student.from_checkpoint({"shape": self._shape(tensors), "state": tensors})

    def groups(self) -> list[Group]:
        groups = []
        for name, tensor in self.tensors.items():
            prefix, _, parameter = name.rpartition(".widen.")
            if parameter != "weight":
                continue
            members = (
                Member(f"{prefix}.widen.weight", 0),
                Member(f"{prefix}.widen.bias", 0),
                Member(f"{prefix}.narrow.weight", 1, consumes=True),
            )
            groups.append(Group(f"{prefix}.widen", tensor.shape[0], members, tie=WIDTHS[prefix.rpartition(".")[0]]))
        return groups

    def macs(self, tensors: Tensors) -> dict[str, int]:
        with torch.device("meta"):
            student = Student(Shape(**self._shape(tensors)), dropout=0.0).eval()
            shape = student.shape
            ids, style = torch.zeros(1, PHONES, len(FEATURES), dtype=torch.long), torch.empty(1, shape.style)
            frames, side = torch.empty(1, FRAMES, shape.channels), torch.empty(1, FRAMES, BUMPS + 2)
            noise = torch.empty(1, FRAMES, shape.noise)
            return {
                "encoder": cost.macs(lambda: student.encoder(ids, style)),
                "decoder": cost.macs(lambda: student.decoder(frames, side, noise)),
            }

    def measure(self, calibration: Path) -> MeanSquares:
        from edge_tts.frontend.phonemize import phonemizer_for

        student = self.student(self.tensors)
        layers = {name: layer for name, layer in student.named_modules() if name.endswith(".narrow")}
        phonemizer = phonemizer_for("en-us")
        reach = student.shape.reach
        random = torch.Generator().manual_seed(0)

        def run() -> None:
            for sentence in phonemizer.phonemize(calibration.read_text(encoding="utf-8")):
                ids = torch.from_numpy(tokenize(sentence).ids)[None]
                encoded, log_durations = student.encoder(ids, torch.zeros(1, student.shape.style))
                owner, places = positions(log_durations[0].exp().round().clamp(min=1).long().numpy())
                # silence around the sentence, as the voice is trained
                frames = functional.pad(encoded[:, torch.from_numpy(owner)], (0, 0, reach, reach))
                noise = torch.randn(1, frames.shape[1], student.shape.noise, generator=random)
                side = functional.pad(torch.from_numpy(places)[None], (0, 0, reach, reach))
                student.decoder(frames, side, noise if draws(student) else None)

        return mean_squares(layers, run)

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write shape and tensors. Of what training adds, only the styles stay: the optimizer no longer fits."""
        extra = {"styles": self.checkpoint["styles"]} if "styles" in self.checkpoint else {}
        torch.save({"shape": self._shape(tensors), "state": dict(tensors), **extra}, path)

    def _shape(self, tensors: Tensors) -> dict[str, int]:
        widths = {
            field: tensors[f"{prefix}.0.widen.weight"].shape[0]
            for prefix, field in WIDTHS.items()
            if f"{prefix}.0.widen.weight" in tensors
        }
        return {**self.shape, **widths}
