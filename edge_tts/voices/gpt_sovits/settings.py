"""What a GPT-SoVITS bundle holds besides its graphs: settings, embedding tables and styles."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_tts.errors import BundleError
from edge_tts.request import explain
from edge_tts.voices.bundle import MANIFEST, Bundle

Array = npt.NDArray[np.float32]

TABLES = "tables.npz"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class T2sSettings(_Part):
    """Shapes of the token model (text to semantic) and the bounds of what it generates."""

    heads: tuple[int, ...]
    """Attention heads of each layer."""
    head_width: int = Field(gt=0)
    width: int = Field(gt=0)
    vocabulary: int = Field(gt=1)
    eos: int
    bucket: int = Field(128, gt=0)
    """The key/value cache grows by this many rows."""
    max_tokens: int = Field(1500, gt=0)
    min_tokens: int = Field(11, ge=0)
    """The end is not drawn before."""


class Knobs(_Part):
    """How tokens are drawn: a bundle's defaults, or what a request makes of them."""

    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    repetition_penalty: float = 1.35


class Blocks(_Part):
    """The grid on which latents are computed, in tokens."""

    tokens: tuple[int, ...] = Field((12, 16, 25), min_length=1)
    """Sizes of the first blocks; the last one repeats."""
    look_ahead: int = Field(4, ge=0)
    """Tokens after a block that its latents see."""
    left: int = Field(250, ge=0)
    """Tokens before a block that its latents see."""


class Settings(_Part):
    """`settings` of voice.json."""

    t2s: T2sSettings
    sampling: Knobs = Knobs()
    noise_scale: float = 0.5
    inter_channels: int = Field(gt=0)
    frames_per_token: int = Field(2, gt=0)
    flow_margin: int = Field(8, ge=0)
    """Frames before a block that the flow sees."""
    decoder_margin: int | None = None
    """Frames the decoder sees on either side of what it emits; None is its whole receptive field."""
    chunks: Blocks = Blocks()


@dataclass(frozen=True)
class Tables:
    """Embeddings of the token model, still without positions; rows may be float16."""

    phone_rows: npt.NDArray[np.floating[Any]]
    """[symbols, width]"""
    phone_bias: Array
    """[width], what every phone's row adds (the projection of an all-zero BERT vector)."""
    audio_rows: npt.NDArray[np.floating[Any]]
    """[vocabulary, width]"""
    text_scale: Array
    audio_scale: Array
    """[1] each: factors of the positions."""


@dataclass(frozen=True)
class Style:
    """One reference recording, reduced to what the graphs need of it."""

    prompt_tokens: npt.NDArray[np.int64]
    ref_rows: Array
    """[phones, width]: the reference text's phones, embedded."""
    mrte_bias: Array
    flow_bias: Array
    decoder_bias: Array


def read_settings(bundle: Bundle) -> Settings:
    """The family's settings. Raises BundleError naming the key."""
    try:
        return Settings.model_validate(bundle.manifest.settings)
    except ValidationError as error:
        raise BundleError(f"{bundle.folder / MANIFEST}: settings: {explain(error)}") from error


def read_tables(bundle: Bundle) -> Tables:
    """The embedding tables. Raises BundleError naming the file."""
    arrays = _arrays(bundle.file(TABLES), tuple(Tables.__annotations__))
    exact = {name: arrays[name].astype(np.float32) for name in ("phone_bias", "text_scale", "audio_scale")}
    return Tables(phone_rows=arrays["phone_rows"], audio_rows=arrays["audio_rows"], **exact)


def read_styles(bundle: Bundle) -> dict[str, Style]:
    """The styles by name, the default first. Raises BundleError naming the file."""
    if not bundle.manifest.styles:
        raise BundleError(f"{bundle.folder / MANIFEST}: styles: a GPT-SoVITS voice needs at least one")
    styles = {}
    for name in bundle.manifest.styles:
        arrays = _arrays(bundle.file(f"style_{name}.npz"), tuple(Style.__annotations__))
        floats = {key: value.astype(np.float32) for key, value in arrays.items() if key != "prompt_tokens"}
        styles[name] = Style(prompt_tokens=arrays["prompt_tokens"].astype(np.int64), **floats)
    return styles


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in names}
    except KeyError as error:
        raise BundleError(f"{path}: {error.args[0]}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: not a readable .npz file: {error}") from error
