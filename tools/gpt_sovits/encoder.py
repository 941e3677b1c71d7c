"""SoVITS's prior encoder (enc_p): phones and semantic tokens in, mean and log scale of every latent frame out.

It is cut where what happens once per sentence ends: TextEncoder turns the phones into keys and values, LatentEncoder
turns tokens into frames that look at them (MRTE, a cross attention). Rows are time, columns channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.gpt_sovits.weights import Weights, layer_norm, linear

MRTE_HEAD_WIDTH = 128
"""Channels of one head of the cross attention; official voices have 4 heads."""


class RelativeAttention(nn.Module):
    """Self-attention over all rows, with learned keys and values for each distance of up to `window` rows."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        relative_keys, relative_values = weights["emb_rel_k"][0], weights["emb_rel_v"][0]
        self.span, self.width = relative_keys.shape
        scale = 1 / math.sqrt(self.width)
        queries = weights.at("conv_q")
        self.query = linear(queries["weight"] * scale, queries["bias"] * scale)
        self.key = linear(weights["conv_k.weight"], weights["conv_k.bias"])
        self.value = linear(weights["conv_v.weight"], weights["conv_v.bias"])
        self.out = linear(weights["conv_o.weight"], weights["conv_o.bias"])
        self.relative_keys = nn.Parameter(relative_keys)
        self.relative_values = nn.Parameter(relative_values)

    def forward(self, rows: Tensor) -> Tensor:
        """[n, hidden] -> [n, hidden]."""
        count = rows.shape[0]
        query, key, value = (
            layer(rows).reshape(count, -1, self.width).transpose(0, 1) for layer in (self.query, self.key, self.value)
        )
        near = self._band_to_square(query @ self.relative_keys.T)
        attention = torch.softmax(query @ key.transpose(1, 2) + near, dim=2)
        mixed = attention @ value + self._square_to_band(attention) @ self.relative_values
        return self.out(mixed.transpose(0, 1).reshape(count, -1))

    # Padding every row by n and reading the result n - 1 wider shifts row i by i places: distances become columns.

    def _band_to_square(self, band: Tensor) -> Tensor:
        """[heads, n, 2 * window + 1] by distance -> [heads, n, n] by column, 0 beyond the window."""
        heads, count, span = band.shape
        flat = functional.pad(band, (0, count)).reshape(heads, -1)[:, : count * (count + span - 1)]
        return flat.reshape(heads, count, -1)[:, :, span // 2 : span // 2 + count]

    def _square_to_band(self, square: Tensor) -> Tensor:
        """[heads, n, n] by column -> [heads, n, 2 * window + 1] by distance."""
        heads, count, _ = square.shape
        flat = functional.pad(square, (self.span // 2, self.span // 2)).reshape(heads, -1)
        return functional.pad(flat, (0, count)).reshape(heads, count, -1)[:, :, : self.span]


class FeedForward(nn.Module):
    """Two convolutions over 3 rows with ReLU between, written as matrix products of neighbouring rows."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.reach = weights["conv_1.weight"].shape[2] // 2
        self.inner = linear(weights["conv_1.weight"].transpose(1, 2), weights["conv_1.bias"])
        self.outer = linear(weights["conv_2.weight"].transpose(1, 2), weights["conv_2.bias"])

    def forward(self, rows: Tensor) -> Tensor:
        """[n, hidden] -> [n, hidden]."""
        return self.outer(self._neighbours(functional.relu(self.inner(self._neighbours(rows)))))

    def _neighbours(self, rows: Tensor) -> Tensor:
        count = rows.shape[0]
        padded = functional.pad(rows, (0, 0, self.reach, self.reach))
        return torch.cat([padded[shift : shift + count] for shift in range(2 * self.reach + 1)], dim=1)


class Encoder(nn.Module):
    """Post-norm transformer layers with relative attention."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        layers = range(weights.at("attn_layers").count())
        self.attention = nn.ModuleList(RelativeAttention(weights.at("attn_layers", i)) for i in layers)
        self.feed_forward = nn.ModuleList(FeedForward(weights.at("ffn_layers", i)) for i in layers)
        self.norm_1 = nn.ModuleList(_norm(weights.at("norm_layers_1", i)) for i in layers)
        self.norm_2 = nn.ModuleList(_norm(weights.at("norm_layers_2", i)) for i in layers)

    def forward(self, rows: Tensor) -> Tensor:
        """[n, hidden] -> [n, hidden]."""
        for attention, feed, norm_1, norm_2 in zip(
            self.attention, self.feed_forward, self.norm_1, self.norm_2, strict=True
        ):
            rows = norm_1(rows + attention(rows))
            rows = norm_2(rows + feed(rows))
        return rows


def _norm(weights: Weights) -> nn.LayerNorm:
    return layer_norm(weights["gamma"], weights["beta"])


class TextEncoder(nn.Module):
    """The sentence's phones as keys and values for the latent encoder's cross attention.

    text_pre is folded into both: conv_k(text_pre(x)) is one matrix.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(weights["text_embedding.weight"], freeze=False)
        self.encoder = Encoder(weights.at("encoder_text"))
        attention, before = weights.at("mrte", "cross_attention"), weights.at("mrte", "text_pre")
        self.key = _chain(attention.at("conv_k"), before)
        self.value = _chain(attention.at("conv_v"), before)

    def forward(self, phones: Tensor) -> tuple[Tensor, Tensor]:
        """Phones [t] -> keys and values [heads, t, 128]."""
        rows = self.encoder(self.embedding(phones))
        return _heads(self.key(rows)), _heads(self.value(rows))


class LatentEncoder(nn.Module):
    """Semantic tokens, seen against the sentence's phones, as the prior of the latent frames (two per token).

    Folded: the code book times ssl_proj is one table; c_pre, conv_o and c_post go into the matrices around them, and
    what they and the timbre add is `mrte_bias`.
    """

    def __init__(self, weights: Weights, codebook: Tensor) -> None:
        super().__init__()
        projection = weights.at("ssl_proj")
        table = codebook.double() @ projection["weight"][:, :, 0].double().T + projection["bias"].double()
        self.table = nn.Embedding.from_pretrained(table.float(), freeze=False)
        self.encoder_ssl = Encoder(weights.at("encoder_ssl"))
        mrte = weights.at("mrte")
        query = _chain(mrte.at("cross_attention", "conv_q"), mrte.at("c_pre"))
        scale = 1 / math.sqrt(MRTE_HEAD_WIDTH)
        self.query = linear(query.weight.detach() * scale, query.bias.detach() * scale)
        self.mix = linear(_product(mrte["c_post.weight"], mrte["cross_attention.conv_o.weight"]))
        self.skip = linear(_product(mrte["c_post.weight"], mrte["c_pre.weight"]))
        self.encoder2 = Encoder(weights.at("encoder2"))
        self.proj = linear(weights["proj.weight"], weights["proj.bias"])

    def forward(self, codes: Tensor, text_k: Tensor, text_v: Tensor, mrte_bias: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [c], keys and values [heads, t, 128], bias [hidden] -> mean and log scale [inter, 2c]."""
        table = self.table(codes)
        rows = self.encoder_ssl(table.unsqueeze(1).expand(-1, 2, -1).reshape(-1, table.shape[1]))
        attention = torch.softmax(_heads(self.query(rows)) @ text_k.transpose(1, 2), dim=2) @ text_v
        seen = attention.transpose(0, 1).reshape(rows.shape[0], -1)
        prior = self.proj(self.encoder2(self.mix(seen) + self.skip(rows) + mrte_bias)).T
        mean, log_scale = prior.chunk(2)
        return mean, log_scale


def mrte_bias(weights: Weights, timbre: Tensor) -> Tensor:
    """What the timbre [512] (ge, or ge512 for Pro) and the folded layers' biases add to each frame: [hidden].

    `weights` are those of enc_p.
    """
    mrte = weights.at("mrte")
    added = timbre + mrte["cross_attention.conv_o.bias"] + mrte["c_pre.bias"]
    return mrte["c_post.weight"].flatten(1) @ added + mrte["c_post.bias"]


def _heads(rows: Tensor) -> Tensor:
    return rows.reshape(rows.shape[0], -1, MRTE_HEAD_WIDTH).transpose(0, 1)


def _product(last: Tensor, first: Tensor) -> Tensor:
    return (last.flatten(1).double() @ first.flatten(1).double()).float()


def _chain(last: Weights, first: Weights) -> nn.Linear:
    """One Linear that does what `first` and then `last` do."""
    bias = last["weight"].flatten(1).double() @ first["bias"].double() + last["bias"].double()
    return linear(_product(last["weight"], first["weight"]), bias.float())
