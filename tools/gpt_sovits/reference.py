"""What a bundle keeps of a reference clip: prompt tokens, its text as rows, its timbre as biases of the graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from edge_tts.errors import EdgeTtsError
from tools.gpt_sovits.checkpoint import GptCheckpoint, SovitsCheckpoint, read_tensors
from tools.gpt_sovits.decoder import decoder_bias
from tools.gpt_sovits.encoder import mrte_bias
from tools.gpt_sovits.flow import flow_bias
from tools.gpt_sovits.reference_encoder import mrte_timbre, semantic_tokens, spectrogram, timbre
from tools.gpt_sovits.speaker import RATE as SPEAKER_RATE
from tools.gpt_sovits.speaker import speaker_embedding
from tools.gpt_sovits.t2s import text_rows
from tools.gpt_sovits.weights import Weights

SHORTEST, LONGEST = 3.0, 10.0
"""Seconds a reference clip may last: what the models were trained to be prompted with."""
HUBERT_RATE = 16000
HUBERT_SILENCE = 9600
"""Zeros after the clip when HuBERT hears it, as in the official inference: the prompt then ends in silence."""
CODES = 1024

Arrays = dict[str, npt.NDArray[np.generic]]


class BadReference(EdgeTtsError, ValueError):
    """A reference clip or what belongs to it cannot be used; the message names the file and says what to do."""

    code = "bad_reference"


class StyleSource(BaseModel):
    """One style of a voice as the user gives it; paths are relative to the working directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clips: tuple[Path, ...] = Field(min_length=1)
    """The first one is the prompt; the timbre is the mean over all of them."""
    text: str | None = None
    """What is said in the first clip."""
    phones: str | None = None
    """The same as symbols of the model, apart by spaces, instead of the text: `HH AH0 L OW1 .`"""
    tokens: Path | None = None
    """Prompt tokens (.npy, integers), instead of features."""
    features: Path | None = None
    """HuBERT features of the first clip (.npy, [768, frames] at 50 Hz), instead of the HuBERT folder."""
    bert: Path | None = None
    """BERT features of Chinese reference text (.npy, [1024, phones])."""
    speakers: tuple[Path, ...] = ()
    """Speaker embeddings (.npy, [20480]), one per clip, instead of the speaker model; only v2Pro voices have them."""


def style_arrays(
    gpt: GptCheckpoint,
    sovits: SovitsCheckpoint,
    source: StyleSource,
    phones: Sequence[int],
    hubert: Path | None = None,
    speaker_model: Path | None = None,
) -> Arrays:
    """The arrays of style_<name>.npz, as the contract in export.py fixes them; `phones` spell the first clip.

    `hubert` is a chinese-hubert-base folder, `speaker_model` the ERes2NetV2 file of v2Pro voices. Raises BadReference.
    """
    weights = Weights(sovits.tensors)
    clips = [load_clip(path, sovits.sample_rate) for path in source.clips]
    speakers = _speakers(sovits, source, speaker_model)
    pairs = zip(clips, speakers, strict=True)
    ge = torch.stack([timbre(weights, spectrogram(clip, sovits.hop), speaker) for clip, speaker in pairs]).mean(0)
    bert = None if source.bert is None else _load_array(source.bert, (1024, len(phones)))
    ids = torch.tensor(phones)
    with torch.no_grad():
        biases = {
            "mrte_bias": mrte_bias(weights.at("enc_p"), mrte_timbre(weights, ge)),
            "flow_bias": flow_bias(weights.at("flow", "flows"), ge),
            "decoder_bias": decoder_bias(weights.at("dec"), ge),
            "ref_rows": text_rows(Weights(gpt.tensors), ids, bert),
        }
    tokens = prompt_tokens(weights, source, hubert)
    return {"prompt_tokens": tokens, **{name: value.numpy() for name, value in biases.items()}}


def load_clip(path: Path, rate: int) -> Tensor:
    """A clip's samples [n], mono at `rate` Hz. Raises BadReference when it is unreadable or not 3–10 s long."""
    import soxr

    try:
        samples, original = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise BadReference(f"{path}: cannot be read as audio: {error}") from error
    seconds = len(samples) / original
    if not SHORTEST <= seconds <= LONGEST:
        raise BadReference(
            f"{path}: {seconds:.1f} s long; a reference clip must last {SHORTEST:g} to {LONGEST:g} s: cut it, "
            "and its text with it"
        )
    mono = samples.mean(axis=1)
    if original != rate:
        mono = soxr.resample(mono, original, rate)
    peak = float(np.abs(mono).max())
    if peak == 0:
        raise BadReference(f"{path}: silent")
    if peak > 1:
        mono = mono / min(2.0, peak)
    return torch.from_numpy(np.ascontiguousarray(mono, dtype=np.float32))


def prompt_tokens(weights: Weights, source: StyleSource, hubert: Path | None) -> npt.NDArray[np.int64]:
    """The first clip's semantic tokens [p]: as given, from given features, or through HuBERT. Raises BadReference."""
    if source.tokens is not None:
        tokens = _read_array(source.tokens).reshape(-1)
        if not np.issubdtype(tokens.dtype, np.integer) or not len(tokens) or tokens.min() < 0 or tokens.max() >= CODES:
            raise BadReference(f"{source.tokens}: prompt tokens must be integers from 0 to {CODES - 1}")
        return tokens.astype(np.int64)
    if source.features is not None:
        features = _load_array(source.features, (768, None))
    elif hubert is not None:
        features = hubert_features(hubert, load_clip(source.clips[0], HUBERT_RATE))
    else:
        raise BadReference(f"{source.clips[0]}: give --hubert (a chinese-hubert-base folder), or features, or tokens")
    found: npt.NDArray[np.int64] = semantic_tokens(weights, features).numpy()
    return found


def hubert_features(folder: Path, audio: Tensor) -> Tensor:
    """Features [768, frames] at 50 Hz of 16 kHz samples [n], from a local chinese-hubert-base. Raises BadReference."""
    if not (folder / "config.json").is_file():
        raise BadReference(
            f"{folder}: no HuBERT model here (config.json is missing); give the folder of chinese-hubert-base, "
            "as it comes with GPT-SoVITS (pretrained_models/chinese-hubert-base)"
        )
    try:
        from transformers import HubertModel
    except ImportError as error:
        raise BadReference("HuBERT needs transformers: pip install 'edge-tts-daemon[convert]'") from error
    try:
        model = HubertModel.from_pretrained(str(folder), local_files_only=True).eval()
    except (OSError, ValueError) as error:
        raise BadReference(f"{folder}: transformers cannot load it: {error}") from error
    with torch.no_grad():
        heard = torch.nn.functional.pad(audio, (0, HUBERT_SILENCE))
        features: Tensor = model(heard[None]).last_hidden_state[0].T
    return features


def phone_ids(symbols: Sequence[str], names: str, where: str) -> list[int]:
    """Ids of space-separated symbols. Raises BadReference naming the first that the model does not know."""
    index: Mapping[str, int] = {symbol: number for number, symbol in enumerate(symbols)}
    ids = []
    for name in names.split():
        if name not in index:
            raise BadReference(f"{where}: {name!r} is not one of the model's symbols")
        ids.append(index[name])
    if not ids:
        raise BadReference(f"{where}: no phones")
    return ids


def _speakers(sovits: SovitsCheckpoint, source: StyleSource, model: Path | None) -> Sequence[Tensor | None]:
    """The speaker embedding of each clip; None for voices that have none."""
    if sovits.version == "v2":
        return [None] * len(source.clips)
    width = Weights(sovits.tensors)["sv_emb.weight"].shape[1]
    if source.speakers:
        if len(source.speakers) != len(source.clips):
            raise BadReference(
                f"{len(source.speakers)} speaker embeddings for {len(source.clips)} clips; give one each"
            )
        return [_load_array(path, (width,)) for path in source.speakers]
    if model is None:
        raise BadReference(
            f"{source.clips[0]}: a {sovits.version} voice needs --speaker-model (pretrained_models/sv/"
            "pretrained_eres2netv2w24s4ep4.ckpt of GPT-SoVITS), or a speaker embedding (.npy) per clip"
        )
    weights = Weights(read_tensors(model))
    found = [speaker_embedding(weights, load_clip(path, SPEAKER_RATE)) for path in source.clips]
    if len(found[0]) != width:
        raise BadReference(f"{model}: its embedding has {len(found[0])} values, the voice takes {width}")
    return found


def _load_array(path: Path, shape: tuple[int | None, ...]) -> Tensor:
    """A float array of this shape, leading dimensions of 1 dropped; None fits any length."""
    array = _read_array(path)
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=False)):
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise BadReference(f"{path}: its shape is {array.shape}, not ({wanted})")
    return torch.from_numpy(array.astype(np.float32))


def _read_array(path: Path) -> npt.NDArray[np.generic]:
    try:
        array: npt.NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadReference(f"{path}: cannot be read as a .npy array: {error}") from error
    return array
