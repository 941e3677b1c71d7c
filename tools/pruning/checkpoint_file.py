"""GPT-SoVITS checkpoints in the official file format, read whole and written back."""

from __future__ import annotations

import io
import sys
import types
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.gpt_sovits import checkpoint


@dataclass(frozen=True)
class CheckpointFile:
    """A .ckpt or .pth with everything in it, so that it can be written again with other tensors."""

    path: Path
    content: dict[str, Any]
    """`weight`, `config` and what else the file holds; configurations as dicts."""
    head: bytes
    """The first two bytes, which name the version of a .pth."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors under their names in the file."""
        return {str(name): value for name, value in self.content["weight"].items() if isinstance(value, Tensor)}

    @property
    def model(self) -> dict[str, Any]:
        """config.model"""
        model: dict[str, Any] = self.content["config"]["model"]
        return model

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write the file with these tensors in place of its own."""
        content = {**self.content, "weight": OrderedDict(tensors)}
        path.write_bytes(self._hparams(content) if path.suffix == ".pth" else _saved(content))

    def _hparams(self, content: dict[str, Any]) -> bytes:
        """The bytes of a .pth, whose configuration must consist of objects of a class `utils.HParams`."""
        module = types.ModuleType("utils")
        module.HParams = _HParams  # type: ignore[attr-defined]
        previous = sys.modules.get("utils")
        # pickle looks the class up under the name it writes
        sys.modules["utils"] = module
        try:
            data = _saved({**content, "config": _HParams(content["config"])})
        finally:
            del sys.modules["utils"]
            if previous is not None:
                sys.modules["utils"] = previous
        return self.head + data[2:]


def read(path: Path) -> CheckpointFile:
    """Read a checkpoint. Raises CheckpointError where it is not one of GPT-SoVITS."""
    content, head = checkpoint.read_content(path)
    if not isinstance(content.get("weight"), dict) or not isinstance(content.get("config"), dict):
        raise checkpoint.CheckpointError(f"{path}: not a GPT-SoVITS voice (it holds no weight and config)")
    return CheckpointFile(path, content, head)


class _HParams:
    def __init__(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.__dict__[name] = _HParams(value) if isinstance(value, dict) else value


_HParams.__module__, _HParams.__qualname__, _HParams.__name__ = "utils", "HParams", "HParams"


def _saved(content: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(OrderedDict(content), buffer)
    return buffer.getvalue()
