"""The text-to-semantic model (s1, the "GPT"): rows of embeddings in, logits of the next semantic token out.

24 post-norm transformer layers in official voices. A row is one phone or one audio token. Text rows see all text and no
audio, audio rows see all text and the audio up to themselves; the mask that says so is an input, and so is the
key/value cache, which the caller owns: the model returns the new rows' keys and values and never copies the cache.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.gpt_sovits.weights import Weights, layer_norm, linear


class Layer(nn.Module):
    """One transformer layer over `n` new rows and a cache: post-norm, ReLU feed-forward."""

    def __init__(self, weights: Weights, head_width: int) -> None:
        super().__init__()
        attention = weights.at("self_attn")
        projection, bias = attention["in_proj_weight"].clone(), attention["in_proj_bias"].clone()
        self.heads = projection.shape[0] // (3 * head_width)
        self.head_width = head_width
        queries = self.heads * head_width
        scale = 1 / math.sqrt(head_width)
        projection[:queries] *= scale
        bias[:queries] *= scale
        self.in_proj = linear(projection, bias)
        self.out_proj = linear(attention["out_proj.weight"], attention["out_proj.bias"])
        self.linear1 = linear(weights["linear1.weight"], weights["linear1.bias"])
        self.linear2 = linear(weights["linear2.weight"], weights["linear2.bias"])
        self.norm1 = layer_norm(weights["norm1.weight"], weights["norm1.bias"])
        self.norm2 = layer_norm(weights["norm2.weight"], weights["norm2.bias"])

    def forward(
        self, rows: Tensor, mask: Tensor, keys: Tensor, values: Tensor, bucket: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [n, d], mask [n, bucket + n], cache [heads, bucket, width] -> rows, new keys, new values."""
        packed = self.in_proj(rows).reshape(-1, 3 * self.heads, self.head_width).transpose(0, 1)
        query, new_keys, new_values = packed.split(self.heads)
        scores = torch.cat([query @ keys.transpose(1, 2), query @ new_keys.transpose(1, 2)], dim=2) + mask
        attention = torch.softmax(scores, dim=2)
        mixed = attention[:, :, :bucket] @ values + attention[:, :, bucket:] @ new_values
        rows = self.norm1(rows + self.out_proj(mixed.transpose(0, 1).reshape(-1, self.heads * self.head_width)))
        rows = self.norm2(rows + self.linear2(functional.relu(self.linear1(rows))))
        return rows, new_keys, new_values


class TextToSemantic(nn.Module):
    """All layers and the head, on rows that are already embedded."""

    def __init__(self, weights: Weights, head_width: int) -> None:
        super().__init__()
        layers = weights.at("h", "layers")
        self.layers = nn.ModuleList(Layer(layers.at(i), head_width) for i in range(layers.count()))
        self.head = linear(weights["ar_predict_layer.weight"])

    def forward(self, rows: Tensor, mask: Tensor, *cache: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [n, d], mask [n, bucket + n], then every layer's keys and values [heads, bucket, width].

        -> the last row's logits [1, vocabulary], new keys and new values [sum of heads, n, width].
        """
        new_keys, new_values = [], []
        # asked for once: in the exported graph every use of a shape costs nodes, and a step is made of small nodes
        bucket = cache[0].shape[1]
        for layer, keys, values in zip(self.layers, cache[::2], cache[1::2], strict=True):
            rows, key, value = layer(rows, mask, keys, values, bucket)
            new_keys.append(key)
            new_values.append(value)
        return self.head(rows[-1:]), torch.cat(new_keys), torch.cat(new_values)

    @property
    def heads(self) -> list[int]:
        """Attention heads of each layer."""
        return [layer.heads for layer in self.layers]


def text_rows(weights: Weights, phones: Tensor, bert: Tensor | None = None) -> Tensor:
    """Rows [n, d] of phones [n], before positions; `bert` [1024, n] is for Chinese, zero for other languages."""
    rows = weights["ar_text_embedding.word_embeddings.weight"][phones] + weights["bert_proj.bias"]
    return rows if bert is None else rows + bert.T @ weights["bert_proj.weight"].T
