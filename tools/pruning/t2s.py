"""The GPT of a GPT-SoVITS voice (.ckpt): attention heads and feed-forward widths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tools.distillation.sequences import forward_sequence, sequence
from tools.distillation.utterances import read_utterances
from tools.gpt_sovits.t2s import TextToSemantic
from tools.gpt_sovits.weights import Weights
from tools.pruning import cost
from tools.pruning.checkpoint_file import read
from tools.pruning.groups import Group, Member, Tensors
from tools.pruning.importance import MeanSquares, mean_squares
from tools.pruning.model import Prunable

STEPS, CACHED = 25, 250
"""Tokens in a second of speech, and a typical number of rows they look back on."""


class Gpt(Prunable):
    """A GPT checkpoint."""

    def __init__(self, path: Path) -> None:
        self.file = read(path)
        self.tensors = self.file.tensors
        self.head_width = int(self.file.model["hidden_dim"]) // int(self.file.model["head"])

    def model(self, tensors: Tensors) -> TextToSemantic:
        """The GPT made of `tensors`."""
        model: TextToSemantic = TextToSemantic(Weights(tensors, "model."), self.head_width).eval()
        return model

    def groups(self) -> list[Group]:
        groups = []
        for layer in range(Weights(self.tensors, "model.h.layers.").count()):
            name = f"model.h.layers.{layer}"
            width = self.tensors[f"{name}.self_attn.out_proj.weight"].shape[1]
            stacked = (0, width, 2 * width)
            attention = (
                Member(f"{name}.self_attn.in_proj_weight", 0, stacked),
                Member(f"{name}.self_attn.in_proj_bias", 0, stacked),
                Member(f"{name}.self_attn.out_proj.weight", 1, consumes=True),
            )
            heads = width // self.head_width
            groups.append(Group(f"{name}.heads", heads, attention, unit=self.head_width, minimum=1, step=1))
            feed = (
                Member(f"{name}.linear1.weight", 0),
                Member(f"{name}.linear1.bias", 0),
                Member(f"{name}.linear2.weight", 1, consumes=True),
            )
            groups.append(Group(f"{name}.linear1", len(self.tensors[f"{name}.linear1.bias"]), feed))
        return groups

    def macs(self, tensors: Tensors) -> dict[str, int]:
        with torch.device("meta"):
            model = self.model(cost.shapes(tensors))
            cache = [
                torch.empty(layer.heads, CACHED, layer.head_width) for layer in model.layers for _ in ("keys", "values")
            ]
            row, mask = torch.empty(1, model.head.in_features), torch.empty(1, CACHED + 1)
            return {"model": STEPS * cost.macs(lambda: model(row, mask, *cache))}

    def measure(self, calibration: Path) -> MeanSquares:
        utterances = read_utterances(calibration)
        model = self.model(self.tensors)
        layers: dict[str, nn.Module] = {}
        for index, layer in enumerate(model.layers):
            layers[f"model.h.layers.{index}.self_attn.out_proj"] = layer.out_proj
            layers[f"model.h.layers.{index}.linear2"] = layer.linear2

        def run() -> None:
            for sentence in utterances.sentences:
                forward_sequence(model, sequence(Weights(self.tensors, "model."), utterances, sentence))

        return mean_squares(layers, run)

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.file.write(path, tensors)
