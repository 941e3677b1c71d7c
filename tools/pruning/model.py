"""What pruning needs to know of a family of models, and which family a file belongs to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from tools.pruning.groups import Group, Stack, Tensors
from tools.pruning.importance import MeanSquares
from tools.pruning.plan import PlanError


class Prunable(ABC):
    """A checkpoint file and how its tensors depend on one another."""

    tensors: dict[str, Tensor]

    @abstractmethod
    def groups(self) -> list[Group]:
        """Channels and heads that can be removed."""

    def stacks(self) -> Sequence[Stack]:
        """Whole layers that can be removed."""
        return ()

    @abstractmethod
    def macs(self, tensors: Tensors) -> dict[str, int]:
        """Multiply-accumulates per part of the model, for one audio second; parts are the prefixes of layer names."""

    @abstractmethod
    def measure(self, calibration: Path) -> MeanSquares:
        """Mean squares of the inputs of all layers that consume a group's channels, on real sentences.

        `calibration` is an .npz of utterances for GPT-SoVITS, a folder of features for a decoder of speech parameters,
        a text file of sentences for a student.
        """

    @abstractmethod
    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write the checkpoint in its own format with other tensors."""


def open_model(path: Path) -> Prunable:
    """The checkpoint by its suffix: .pth SoVITS, .ckpt GPT, .pt student. Raises PlanError for another one."""
    if path.suffix == ".pth":
        from tools.pruning.sovits import Sovits

        return Sovits(path)
    if path.suffix == ".ckpt":
        from tools.pruning.t2s import Gpt

        return Gpt(path)
    if path.suffix == ".pt":
        from tools.pruning.student import StudentModel

        return StudentModel(path)
    raise PlanError(f"{path}: give a SoVITS model (.pth), a GPT (.ckpt) or a student (.pt)")
