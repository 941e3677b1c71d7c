"""A GPT-SoVITS checkpoint as plain tensors, read without executing anything the file asks for.

A checkpoint is a torch zip: `<root>/data.pkl` and one raw little-endian array per tensor in `<root>/data/`. Some
SoVITS files (.pth) carry two bytes of their own in place of the zip's `PK`.
"""

from __future__ import annotations

import collections
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from edge_tts.errors import EdgeTtsError

Version = Literal["v2", "v2Pro", "v2ProPlus"]

PHONEMES = 732
"""Rows of a v2 phoneme table; v1 has 512 in the GPT and 322 in SoVITS."""

_HEADS = {
    b"PK": "",
    b"00": "v1",
    b"01": "v2",
    b"02": "v3",
    b"03": "v3 LoRA",
    b"04": "v4 LoRA",
    b"05": "v2Pro",
    b"06": "v2ProPlus",
}
_SUPPORTED = "GPT-SoVITS v2, v2Pro and v2ProPlus are supported"
_DAMAGE = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
    zlib.error,
)
"""What reading damaged bytes as a zip, a pickle or a tensor may raise."""
_DTYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
}


class CheckpointError(EdgeTtsError, ValueError):
    """A checkpoint cannot be used; the message names the file and says why."""

    code = "bad_checkpoint"


@dataclass(frozen=True)
class GptCheckpoint:
    """The s1 model (.ckpt): text to semantic tokens."""

    tensors: dict[str, Tensor]
    """By name, without the leading `model.`."""
    head_width: int
    """Channels of one attention head."""
    eos: int


@dataclass(frozen=True)
class SovitsCheckpoint:
    """The s2 model (.pth): semantic tokens to sound."""

    tensors: dict[str, Tensor]
    version: Version
    upsample_rates: tuple[int, ...]
    dilations: tuple[tuple[int, ...], ...]
    """Of the decoder's residual blocks, one tuple per kernel size."""
    sample_rate: int
    hop: int


def read_gpt(path: Path) -> GptCheckpoint:
    """Read a .ckpt. Raises CheckpointError for another kind of file or version."""
    content, _ = read_content(path)
    weight, model = _parts(path, content)
    if not any(key.startswith("model.") for key in weight):
        kind = "a SoVITS model (.pth)" if "enc_p.text_embedding.weight" in weight else "another kind of checkpoint"
        raise CheckpointError(f"{path}: this is {kind}, not a GPT model (.ckpt)")
    tensors = {key.removeprefix("model."): value for key, value in weight.items()}
    _refuse_lora(path, tensors, content)
    rows = _tensor(path, tensors, "ar_text_embedding.word_embeddings.weight").shape[0]
    if rows != PHONEMES:
        version = "a v1 voice" if rows == 512 else "an unknown version"
        raise CheckpointError(f"{path}: {version} ({rows} phonemes instead of {PHONEMES}); {_SUPPORTED}")
    heads, width = int(model.get("head", 0)), int(model.get("hidden_dim", 0))
    if heads < 1 or width < heads or width % heads:
        raise CheckpointError(
            f"{path}: config.model has head {heads} and hidden_dim {width}, which do not fit together"
        )
    return GptCheckpoint(tensors, width // heads, int(model.get("EOS", 1024)))


def read_sovits(path: Path) -> SovitsCheckpoint:
    """Read a .pth. Raises CheckpointError for another kind of file or version."""
    content, head = read_content(path)
    weight, model = _parts(path, content)
    if any(key.startswith("model.") for key in weight):
        raise CheckpointError(f"{path}: this is a GPT model (.ckpt), not a SoVITS model (.pth)")
    _refuse_lora(path, weight, content)
    claimed = _HEADS[head] or str(model.get("version", ""))
    if any(key.startswith("cfm.") for key in weight) or claimed in ("v3", "v4"):
        version = claimed if claimed in ("v3", "v4") else "v3 or v4"
        raise CheckpointError(f"{path}: a {version} voice, whose vocoder is a diffusion model; {_SUPPORTED}")
    rows = _tensor(path, weight, "enc_p.text_embedding.weight").shape[0]
    if rows != PHONEMES:
        version = "a v1 voice" if rows == 322 else "an unknown version"
        raise CheckpointError(f"{path}: {version} ({rows} phonemes instead of {PHONEMES}); {_SUPPORTED}")
    data = content["config"].get("data", {})
    try:
        return SovitsCheckpoint(
            tensors=weight,
            version=_sovits_version(weight, claimed),
            upsample_rates=tuple(int(rate) for rate in model["upsample_rates"]),
            dilations=tuple(tuple(int(step) for step in steps) for steps in model["resblock_dilation_sizes"]),
            sample_rate=int(data["sampling_rate"]),
            hop=int(data["hop_length"]),
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: its config lacks {error.args[0]!r}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of any other state dict that torch saved, by name. Raises CheckpointError."""
    content, _ = read_content(path)
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _sovits_version(weight: dict[str, Tensor], claimed: str) -> Version:
    if "sv_emb.weight" not in weight:
        return "v2"
    return "v2ProPlus" if claimed == "v2ProPlus" else "v2Pro"


def _refuse_lora(path: Path, tensors: dict[str, Tensor], content: dict[str, Any]) -> None:
    if "lora_rank" in content or any(".lora_" in key or "lora_A" in key for key in tensors):
        raise CheckpointError(f"{path}: a LoRA file holds only the difference to a v3 or v4 voice; {_SUPPORTED}")


def _tensor(path: Path, tensors: dict[str, Tensor], name: str) -> Tensor:
    try:
        return tensors[name]
    except KeyError:
        raise CheckpointError(f"{path}: not a GPT-SoVITS voice ({name} is missing)") from None


def _parts(path: Path, content: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    weight, config = content.get("weight"), content.get("config")
    if not isinstance(weight, dict) or not isinstance(config, dict):
        raise CheckpointError(f"{path}: not a GPT-SoVITS voice (no weight and config; give the exported weights file)")
    model = config.get("model")
    if not isinstance(model, dict):
        raise CheckpointError(f"{path}: not a GPT-SoVITS voice (config.model is missing)")
    return {str(key): value for key, value in weight.items() if isinstance(value, Tensor)}, model


def read_content(path: Path) -> tuple[dict[str, Any], bytes]:
    """The file's dict, with HParams as dicts, and its first two bytes."""
    try:
        data = bytearray(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    head = bytes(data[:2])
    if head not in _HEADS:
        raise CheckpointError(f"{path}: not a checkpoint of GPT-SoVITS or torch (it begins with {head!r})")
    if "LoRA" in _HEADS[head]:
        raise CheckpointError(f"{path}: a {_HEADS[head]} file; {_SUPPORTED}")
    data[:2] = b"PK"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            content = _unpickle(archive)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise CheckpointError(f"{path}: damaged, or not saved by torch ({error})") from error
    content = _plain(content)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a model (it holds no dict)")
    return content, head


def _unpickle(archive: zipfile.ZipFile) -> Any:
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("not a torch archive (data.pkl is missing)")
    root = pickles[0].removesuffix("data.pkl")

    def storage(kind: torch.dtype, key: str) -> Tensor:
        # torch never compresses; a compressed entry could be a few bytes that swell to gigabytes
        if archive.getinfo(f"{root}data/{key}").compress_type != zipfile.ZIP_STORED:
            raise CheckpointError("the archive is compressed; torch does not write such files")
        raw = bytearray(archive.read(f"{root}data/{key}"))
        return torch.frombuffer(raw, dtype=kind) if raw else torch.empty(0, dtype=kind)

    return _Unpickler(io.BytesIO(archive.read(pickles[0])), storage).load()


class _HParams:
    """Stands in for the class `utils.HParams` that SoVITS configurations are made of."""


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


class _Unpickler(pickle.Unpickler):
    """Knows the five kinds of objects a checkpoint is made of, and refuses every other by name."""

    def __init__(self, stream: io.BytesIO, storage: Callable[[torch.dtype, str], Tensor]) -> None:
        super().__init__(stream)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("utils", "HParams"):
            return _HParams
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise CheckpointError(f"it asks for {module}.{name}, which no GPT-SoVITS voice needs; do not trust this file")

    def persistent_load(self, pid: Any) -> Tensor:
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage" or not isinstance(pid[1], torch.dtype):
            raise CheckpointError("it refers to something that is not a tensor; do not trust this file")
        return self._storage(pid[1], str(pid[2]))


def _plain(value: Any) -> Any:
    """HParams as dicts, all the way down."""
    if isinstance(value, _HParams):
        value = vars(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
