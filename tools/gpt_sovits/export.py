"""The bundle of a GPT-SoVITS voice: the contract between this exporter and the runtime, and the code that writes it.

All widths below come from the checkpoint; the figures after `=` are those of an official v2 voice. Arrays are float32
where nothing else is said. No graph has a batch dimension. A second is 25 tokens or 50 frames; a token is two frames, a
frame 640 samples of 32 kHz.

Graphs (voice.json `graphs`; the file is `<graph>.<precision>.onnx`)
    t2s             rows [n, d=512]             embedded rows, see below; n >= 1
                    mask [n, bucket + n]        0 where the row looks, -10000 where it must not
                    k_0, v_0, k_1, v_1, …       [heads_l=16, bucket, width=32] per layer (24), the caller's cache
                    -> logits [1, 1025]         raw, of the last row
                    -> new_k, new_v             [sum of heads_l, n, width], the new rows' keys and values
    text_encoder    phones [t] int64            the sentence's phones (not the reference's)
                    -> text_k, text_v           [4, t, 128], keys and values of MRTE; once per sentence
    latent_encoder  codes [c] int64             semantic tokens 0 … 1023
                    text_k, text_v              from text_encoder
                    mrte_bias [hidden=192]      of the style
                    -> mean, log_scale          [inter=192, 2c], the prior; attention spans all codes given
    flow            z_p [inter, f]              mean + noise * exp(log_scale) * noise_scale, noise ~ N(0, 1)
                    flow_bias [6144]            of the style
                    -> z [inter, f]             reaches `flow_receptive_field` = 32 frames to either side
    decoder         z [inter, f]
                    decoder_bias [512]          of the style
                    -> wav [f * 640]            in -1 … 1; reaches `streaming.receptive_field` = 11 frames

The same t2s graph is prefill and step. The caller keeps two arrays cache_k, cache_v [sum of heads_l, bucket, width] of
zeros and feeds layer l the contiguous views cache[h : h + heads_l], h being the sum of the heads before it. After a
run: cache_k[:, filled : filled + n] = new_k, cache_v likewise, filled += n. Columns of the mask: the bucket, then the n
new rows. A bucket is a multiple of `settings.t2s.bucket` rows; when it is full, copy it into one a multiple larger.
    prefill   n = text rows + prompt rows on an empty cache (one bucket, all masked). A text row sees every text row and
              no audio, an audio row every text row and the audio up to itself. Padding rows come first, if any: no
              other row sees them, and their keys and values are not kept
    step      n = 1; the mask [1, bucket + 1] is 0 in the columns below `filled` and in the last one

Rows (tables.npz, cast to float32; p counts from 0 in the text and in the audio apart)
    text row    ref_rows[r] of the style for the reference's phones, then phone_rows[phone] + phone_bias for the
                sentence's (the bias is the projection of a zero BERT vector); all + text_scale * pe[p]
    audio row   audio_rows[token] + audio_scale * pe[p]; generated token i has p = len(prompt) + i
    pe[p]       [d], even columns sin, odd columns cos of p * exp(-2k ln(10000) / d), k = 0 … d/2 - 1

Sampling of step i: cut the EOS column while i < min_tokens; penalise once each distinct token of prompt and generated
(logit < 0: times r, else divided by r); top_p on the untempered probabilities, divide by the temperature, top_k,
softmax; the token is argmax(probability / Exp(1)). EOS, drawn or the argmax after the penalty, ends it and is not kept.

Files (voice.json `files`)
    tables.npz          phone_rows [732, d], audio_rows [1025, d] (float16 where that is exact), phone_bias [d],
                        text_scale [1], audio_scale [1]
    style_<name>.npz    per voice.json `styles`, the first is the default: prompt_tokens [p] int64, ref_rows [r, d],
                        mrte_bias, flow_bias, decoder_bias

voice.json: family `gpt_sovits`, symbols (732 in the order of their ids: ARPAbet with stress in upper case, punctuation,
`SP`, `UNK`, …; words are not set apart), styles, streaming, and the settings that `_settings` writes.

Streaming. The latent encoder attends over all tokens, so latents made while tokens are still being drawn only
approximate those of the finished sentence (with noise weights 13 to 24 dB, whatever the window; no trained voice was
measured). What a voice says must not depend on when it is played, so latents are defined on a fixed grid: blocks of
`chunks.tokens`, the last size repeated, from the sentence's first token on. Block [s, e) is encoded once, from tokens
[max(0, s - left), e + look_ahead), fewer at the sentence's end; flow runs on frames [2s - flow_margin, 2e + 2 *
look_ahead) of that window (a margin of 8: 125 dB against all its frames); frames [2s, 2e) are then final. The decoder
sees final latents only, so it lags `decoder_margin` frames (8: 120 dB against 11) behind the last final one until the
sentence is complete. Streamed and whole agree by construction, for any size of audio chunk. A single block as long as
the sentence gives the official whole-sentence result, exactly; the first sound then follows the last token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_tts.voices.bundle import MANIFEST, GraphFile, Manifest, Streaming, sha256
from tools.gpt_sovits import graphs
from tools.gpt_sovits.checkpoint import GptCheckpoint, SovitsCheckpoint
from tools.gpt_sovits.reference import Arrays
from tools.gpt_sovits.t2s import TextToSemantic
from tools.gpt_sovits.weights import Weights

SYMBOLS = Path(__file__).with_name("symbols_v2.txt")
TABLES = "tables.npz"
BUCKET = 64
"""Rows of cache by which the caller's arrays grow."""


def symbols() -> tuple[str, ...]:
    """The 732 symbols of a v2 voice in the order of their ids."""
    return tuple(SYMBOLS.read_text(encoding="utf-8").split())


def write_bundle(
    folder: Path,
    gpt: GptCheckpoint,
    sovits: SovitsCheckpoint,
    styles: Mapping[str, Arrays],
    *,
    language: str,
    license: str,
    description: str = "",
    progress: Callable[[str], None] = print,
) -> Manifest:
    """Write a whole fp32 bundle into `folder` (made if need be; its name is the voice's), and return its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    t2s = graphs.build_t2s(gpt)
    text_encoder, latent_encoder, flow, decoder = graphs.build_sovits(sovits)
    steps: dict[str, Callable[[Path], None]] = {
        "t2s": lambda path: graphs.export_t2s(t2s, path),
        "text_encoder": lambda path: graphs.export_text_encoder(text_encoder, path),
        "latent_encoder": lambda path: graphs.export_latent_encoder(latent_encoder, path),
        "flow": lambda path: graphs.export_flow(flow, path),
        "decoder": lambda path: graphs.export_decoder(decoder, path),
    }
    files = {}
    for name, write in steps.items():
        path = folder / f"{name}.fp32.onnx"
        write(path)
        progress(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
        files[name] = (GraphFile(file=path.name, precision="fp32", sha256=sha256(path)),)
    others = {TABLES: _save(folder / TABLES, _tables(gpt))}
    for name, arrays in styles.items():
        others[f"style_{name}.npz"] = _save(folder / f"style_{name}.npz", arrays)
    manifest = Manifest(
        name=folder.resolve().name,
        family="gpt_sovits",
        language=language,
        sample_rate=sovits.sample_rate,
        license=license,
        teacher=f"GPT-SoVITS {sovits.version}",
        description=description,
        graphs=files,
        files=others,
        symbols=symbols(),
        styles=tuple(styles),
        streaming=Streaming(hop=sovits.hop, receptive_field=decoder.receptive_field, overlap=0),
        settings=_settings(gpt, sovits, t2s, flow.receptive_field, decoder.conv_pre.in_channels),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
    return manifest


def _settings(
    gpt: GptCheckpoint, sovits: SovitsCheckpoint, t2s: TextToSemantic, flow_reach: int, inter_channels: int
) -> dict[str, Any]:
    return {
        "version": sovits.version,
        "t2s": {
            "layers": len(t2s.layers),
            "heads": t2s.heads,
            "head_width": gpt.head_width,
            "width": t2s.head.in_features,
            "vocabulary": t2s.head.out_features,
            "eos": gpt.eos,
            "bucket": BUCKET,
            "max_tokens": 1500,
            "min_tokens": 11,
        },
        "sampling": {"top_k": 15, "top_p": 1.0, "temperature": 1.0, "repetition_penalty": 1.35},
        "noise_scale": 0.5,
        "inter_channels": inter_channels,
        "frames_per_token": 2,
        "flow_receptive_field": flow_reach,
        "flow_margin": 8,
        "decoder_margin": 8,
        "chunks": {"tokens": [12, 16, 25], "look_ahead": 4, "left": 250},
        "decoder": "hifigan",
    }


def _tables(gpt: GptCheckpoint) -> Arrays:
    weights = Weights(gpt.tensors)
    return {
        "phone_rows": _compact(weights["ar_text_embedding.word_embeddings.weight"].numpy()),
        "phone_bias": weights["bert_proj.bias"].numpy(),
        "audio_rows": _compact(weights["ar_audio_embedding.word_embeddings.weight"].numpy()),
        "text_scale": weights["ar_text_position.alpha"].numpy(),
        "audio_scale": weights["ar_audio_position.alpha"].numpy(),
    }


def _compact(array: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
    """The array as float16 where that loses nothing: checkpoints are saved in half precision."""
    half = array.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), array) else array


def _save(path: Path, arrays: Arrays) -> str:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return sha256(path)
