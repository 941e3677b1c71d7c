"""Utterances from plain texts: the unpruned GPT speaks them after the reference clip, as the daemon would."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from edge_tts.voices.gpt_sovits.sampling import TokenSampler, exponential_race
from edge_tts.voices.gpt_sovits.settings import Knobs
from tools.distillation.sequences import positions, sequence
from tools.distillation.utterances import Utterance, Utterances
from tools.gpt_sovits.checkpoint import GptCheckpoint, SovitsCheckpoint
from tools.gpt_sovits.graphs import build_t2s
from tools.gpt_sovits.reference import StyleSource, load_clip, prompt_tokens
from tools.gpt_sovits.reference_encoder import spectrogram, timbre
from tools.gpt_sovits.t2s import TextToSemantic
from tools.gpt_sovits.weights import Weights

MIN_TOKENS = 11
TOKENS_PER_PHONE = 5
"""Generation that goes on beyond this has run away; such a sentence is left out."""


def make_utterances(
    gpt: GptCheckpoint,
    sovits: SovitsCheckpoint,
    source: StyleSource,
    reference_phones: Iterable[int],
    sentences: Iterable[Tensor],
    hubert: Path | None,
    speaker: Tensor | None = None,
) -> Utterances:
    """The sentences (phone ids [t]) as the voice speaks them after its reference clip; runaway ones are left out."""
    weights = Weights(sovits.tensors)
    clip = load_clip(source.clips[0], sovits.sample_rate)
    prompt = torch.from_numpy(prompt_tokens(weights, source, hubert))
    base = Utterances(
        timbre(weights, spectrogram(clip, sovits.hop), speaker), torch.tensor(list(reference_phones)), prompt, ()
    )
    model, rows = build_t2s(gpt), Weights(gpt.tensors)
    spoken = []
    for index, phones in enumerate(sentences):
        tokens = speak(model, rows, base, phones, gpt.eos, seed=index)
        made = "left out" if tokens is None else f"{len(tokens)} tokens"
        print(f"sentence {index}: {len(phones)} phones, {made}", flush=True)
        if tokens is not None:
            spoken.append(Utterance(phones, tokens))
    return Utterances(base.timbre, base.reference_phones, base.prompt, tuple(spoken))


def speak(
    model: TextToSemantic, weights: Weights, base: Utterances, phones: Tensor, eos: int, seed: int
) -> Tensor | None:
    """The tokens [c] drawn for the phones [t], None where they do not end or there are none."""
    vocabulary = model.head.out_features
    sampler = TokenSampler(Knobs(), base.prompt.tolist(), vocabulary, eos, MIN_TOKENS, exponential_race(seed))
    start = sequence(weights, base, Utterance(phones, torch.zeros(0, dtype=torch.long)), eos)
    empty = [torch.zeros(layer.heads, 0, layer.head_width) for layer in model.layers for _ in ("keys", "values")]
    tokens: list[int] = []
    with torch.no_grad():
        logits, *cache = _read(model, start.rows, start.mask, empty)
        while len(tokens) <= TOKENS_PER_PHONE * len(phones) + MIN_TOKENS:
            token = sampler.draw(logits.numpy())
            if token is None:
                return torch.tensor(tokens) if tokens else None
            row = weights["ar_audio_embedding.word_embeddings.weight"][token][None]
            place = positions(len(base.prompt) + len(tokens) + 1, row.shape[1])[-1:]
            row = row + weights["ar_audio_position.alpha"] * place
            tokens.append(token)
            mask = torch.zeros(1, cache[0].shape[1] + 1)
            logits, *cache = _read(model, row, mask, cache)
    return None


def _read(model: TextToSemantic, rows: Tensor, mask: Tensor, cache: list[Tensor]) -> list[Tensor]:
    """The next token's logits [vocabulary], and the cache with the rows' keys and values."""
    logits, keys, values = model(rows, mask, *cache)
    heads = [layer.heads for layer in model.layers]
    new = [part for pair in zip(keys.split(heads), values.split(heads), strict=True) for part in pair]
    return [logits[0], *(torch.cat([old, part], dim=1) for old, part in zip(cache, new, strict=True))]
