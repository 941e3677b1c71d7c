"""Whole utterances through the GPT at once, as training needs it: every audio position's logits in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from edge_tts.voices.gpt_sovits.t2s import MASKED
from tools.distillation.utterances import Utterance, Utterances
from tools.gpt_sovits.t2s import TextToSemantic, text_rows
from tools.gpt_sovits.weights import Weights


@dataclass(frozen=True)
class Sequence:
    """Embedded rows [n, d] of a sentence, their mask [n, n], and the targets of the last rows."""

    rows: Tensor
    mask: Tensor
    targets: Tensor
    """[c + 1]: the spoken tokens, then EOS; the last c + 1 rows predict them."""


def sequence(weights: Weights, utterances: Utterances, sentence: Utterance, eos: int = 1024) -> Sequence:
    """Reference and sentence as text rows, prompt and tokens as audio rows. `weights` are the GPT's own."""
    phones = torch.cat([utterances.reference_phones, sentence.phones])
    tokens = torch.cat([utterances.prompt, sentence.tokens])
    text = text_rows(weights, phones)
    audio = weights["ar_audio_embedding.word_embeddings.weight"][tokens]
    text = text + weights["ar_text_position.alpha"] * positions(len(phones), text.shape[1])
    audio = audio + weights["ar_audio_position.alpha"] * positions(len(tokens), text.shape[1])
    count = len(phones) + len(tokens)
    mask = torch.full((count, count), float(MASKED)).triu(1)
    mask[: len(phones), : len(phones)] = 0.0
    targets = torch.cat([sentence.tokens, torch.tensor([eos])])
    return Sequence(torch.cat([text, audio]), mask, targets)


def forward_sequence(model: TextToSemantic, sequence: Sequence) -> Tensor:
    """Logits [c + 1, vocabulary] of the sentence's tokens and its end."""
    rows = sequence.rows
    for layer in model.layers:
        empty = rows.new_zeros(layer.heads, 0, layer.head_width)
        rows, _, _ = layer(rows, sequence.mask, empty, empty, bucket=0)
    logits: Tensor = model.head(rows[-len(sequence.targets) :])
    return logits


def positions(count: int, width: int) -> Tensor:
    """Sinusoidal position embeddings [count, width] (Vaswani et al. 2017): even columns sin, odd ones cos."""
    angles = torch.arange(count)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=2).reshape(count, width)
