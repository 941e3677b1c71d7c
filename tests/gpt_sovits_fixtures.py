"""Tiny GPT-SoVITS voices of seeded noise in the official file format, and a plain driver of the T2S model.

The reference values in tests/data/gpt_sovits were computed from exactly these checkpoints by the official PyTorch code.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import sys
import types
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

DATA = Path(__file__).parent / "data" / "gpt_sovits"
HEAD = {"v2": b"PK", "v2Pro": b"05"}

Array = npt.NDArray[Any]


class HParams:
    """What SoVITS files keep their configuration in; pickled as `utils.HParams`."""

    def __init__(self, values: dict[str, Any]) -> None:
        for key, value in values.items():
            self.__dict__[key] = HParams(value) if isinstance(value, dict) else value


HParams.__module__ = "utils"


def reference(name: str) -> dict[str, Array]:
    """The arrays of `<name>_ref.npz`."""
    with np.load(DATA / f"{name}_ref.npz") as file:
        return dict(file)


def make_checkpoint(
    name: str, path: Path, *, head: bytes | None = None, change: Callable[[dict[str, Any]], None] | None = None
) -> Path:
    """Write the checkpoint of `<name>.json`; `change` may edit its content, `head` replaces the first two bytes."""
    spec = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    tensors = {item["key"]: _tensor(spec["seed"], item) for item in spec["tensors"]}
    digest = hashlib.sha256()
    for key, value in tensors.items():
        digest.update(f"{key}{list(value.shape)}".encode())
        digest.update(value.astype("<f2").tobytes())
    assert digest.hexdigest() == spec["sha256"], "this numpy draws other numbers; the reference values do not apply"
    weight = OrderedDict((key, torch.from_numpy(value)) for key, value in tensors.items())
    config = HParams(spec["config"]) if spec["kind"] == "sovits" else spec["config"]
    content: dict[str, Any] = OrderedDict(weight=weight, config=config, info=spec["info"])
    if change is not None:
        change(content)
    data = torch_bytes(content)
    if head is None and spec["kind"] == "sovits":
        head = HEAD[spec["version"]]
    path.write_bytes((head or data[:2]) + data[2:])
    return path


def torch_bytes(content: object) -> bytes:
    """What torch.save makes of `content`, in which HParams pass for `utils.HParams`."""
    module = types.ModuleType("utils")
    module.HParams = HParams  # type: ignore[attr-defined]
    previous = sys.modules.get("utils")
    sys.modules["utils"] = module
    try:
        buffer = io.BytesIO()
        torch.save(content, buffer)
    finally:
        del sys.modules["utils"]
        if previous is not None:
            sys.modules["utils"] = previous
    return buffer.getvalue()


def _tensor(seed: int, item: dict[str, Any]) -> Array:
    shape = tuple(item["shape"])
    if "const" in item:
        return np.full(shape, item["const"], dtype=np.float16)
    rng = np.random.default_rng([seed, zlib.crc32(item["key"].encode())])
    return rng.normal(item["mean"], item["std"], size=shape).astype(np.float16)


Run = Callable[[dict[str, Array]], list[Array]]
"""The T2S model as the contract has it: inputs by name -> logits, new_k, new_v."""


def forced_logits(run: Run, heads: list[int], width: int, rows: Array, text: int, steps: Array, bucket: int) -> Array:
    """Logits [1 + steps, vocabulary] after the prefill and after each given row.

    `rows` [n, d] are embedded and positioned, the first `text` of them phones; `steps` [m, d] are generated tokens'.
    """
    cache = np.zeros((2, sum(heads), bucket, width), np.float32)
    offsets = np.cumsum([0, *heads])
    filled, logits = 0, []
    sees = np.tril(np.ones((len(rows), len(rows)), bool))
    sees[:, :text] = True
    sees[:text, text:] = False
    for new in (rows, *(row[None] for row in steps)):
        count = len(new)
        mask = np.full((count, bucket + count), -1.0e4, np.float32)
        mask[:, bucket:][sees if filled == 0 else [[True]]] = 0
        mask[:, :filled] = 0
        feed = {"rows": new.astype(np.float32), "mask": mask}
        for layer, (first, last) in enumerate(itertools.pairwise(offsets)):
            feed[f"k_{layer}"], feed[f"v_{layer}"] = cache[0, first:last], cache[1, first:last]
        row, *added = run(feed)
        cache[:, :, filled : filled + count] = added
        filled += count
        logits.append(row[0])
    return np.stack(logits)


def positions(first: int, count: int, width: int) -> Array:
    """Sinusoidal rows [count, width]: even columns sine, odd columns cosine."""
    angles = np.arange(first, first + count)[:, None] * np.exp(np.arange(0, width, 2) * (-np.log(10000.0) / width))
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(count, width).astype(np.float32)


def snr(wanted: Array, got: Array) -> float:
    """Signal-to-noise ratio in dB."""
    wanted, got = np.ravel(wanted).astype(np.float64), np.ravel(got).astype(np.float64)
    assert wanted.shape == got.shape
    noise = float(np.square(wanted - got).sum())
    return 10 * np.log10(float(np.square(wanted).sum()) / max(noise, 1e-30))
