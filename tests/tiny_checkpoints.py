"""GPT-SoVITS checkpoints small enough to run in a test: seeded noise under the official names."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tools.distillation.utterances import Utterance, Utterances
from tools.pruning.checkpoint_file import CheckpointFile

INTER, HIDDEN, HEAD, GIN, CODES, SSL = 8, 40, 10, 384, 16, 12
STAGES = (40, 32, 24)
RATES = (4, 2)
KERNELS = (3, 5)
DILATIONS = ((1, 3), (1, 3))


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, Tensor] = {}

    def tensor(self, name: str, *shape: int, scale: float = 1.0) -> None:
        self.tensors[name] = (scale * torch.randn(shape, generator=self.random)).half()

    def layer(self, name: str, outputs: int, inputs: int, *kernel: int, bias: bool = True, scale: float = 1.0) -> None:
        self.tensor(f"{name}.weight", outputs, inputs, *kernel, scale=scale / inputs**0.5)
        if bias:
            self.tensor(f"{name}.bias", outputs, scale=0.1)

    def normed(self, name: str, rows: int, columns: int, size: int, bias: int) -> None:
        self.tensor(f"{name}.bias", bias, scale=0.1)
        self.tensor(f"{name}.weight_g", rows, 1, 1)
        self.tensors[f"{name}.weight_g"] = self.tensors[f"{name}.weight_g"].abs() + 0.5
        self.tensor(f"{name}.weight_v", rows, columns, size)


def _encoder(maker: _Maker, name: str, layers: int) -> None:
    for index in range(layers):
        attention, feed = f"{name}.attn_layers.{index}", f"{name}.ffn_layers.{index}"
        maker.tensor(f"{attention}.emb_rel_k", 1, 5, HEAD)
        maker.tensor(f"{attention}.emb_rel_v", 1, 5, HEAD)
        for projection in ("conv_q", "conv_k", "conv_v", "conv_o"):
            maker.layer(f"{attention}.{projection}", HIDDEN, HIDDEN, 1)
        maker.layer(f"{feed}.conv_1", 48, HIDDEN, 3)
        maker.layer(f"{feed}.conv_2", HIDDEN, 48, 3)
        for norm in ("norm_layers_1", "norm_layers_2"):
            maker.tensors[f"{name}.{norm}.{index}.gamma"] = torch.ones(HIDDEN).half()
            maker.tensor(f"{name}.{norm}.{index}.beta", HIDDEN, scale=0.1)


def sovits(path: Path, seed: int = 0) -> Path:
    """Write a .pth with 4 coupling layers, 3 cross-attention heads and a decoder of two steps (hop 8)."""
    maker = _Maker(seed)
    prior = "enc_p"
    maker.layer(f"{prior}.ssl_proj", HIDDEN, SSL, 1)
    maker.tensor(f"{prior}.text_embedding.weight", 732, HIDDEN)
    for name, layers in (("encoder_ssl", 1), ("encoder_text", 2), ("encoder2", 1)):
        _encoder(maker, f"{prior}.{name}", layers)
    for projection in ("conv_q", "conv_k", "conv_v", "conv_o"):
        maker.layer(f"{prior}.mrte.cross_attention.{projection}", GIN, GIN, 1)
    maker.layer(f"{prior}.mrte.c_pre", GIN, HIDDEN, 1)
    maker.layer(f"{prior}.mrte.text_pre", GIN, HIDDEN, 1)
    maker.layer(f"{prior}.mrte.c_post", HIDDEN, GIN, 1)
    maker.layer(f"{prior}.proj", 2 * INTER, HIDDEN, 1, scale=0.3)
    maker.layer("dec.conv_pre", STAGES[0], INTER, 7)
    maker.layer("dec.cond", STAGES[0], GIN, 1)
    for step, rate in enumerate(RATES):
        maker.normed(f"dec.ups.{step}", STAGES[step], STAGES[step + 1], 2 * rate, STAGES[step + 1])
        for index, size in enumerate(KERNELS):
            for name in ("convs1", "convs2"):
                for pair in range(2):
                    block = f"dec.resblocks.{step * len(KERNELS) + index}.{name}.{pair}"
                    maker.normed(block, STAGES[step + 1], STAGES[step + 1], size, STAGES[step + 1])
    maker.layer("dec.conv_post", 1, STAGES[-1], 7, bias=False, scale=0.01)
    for number in (0, 2, 4, 6):
        name = f"flow.flows.{number}"
        maker.layer(f"{name}.pre", HIDDEN, INTER // 2, 1)
        for index in range(3):
            maker.normed(f"{name}.enc.in_layers.{index}", 2 * HIDDEN, HIDDEN, 3, 2 * HIDDEN)
            outputs = 2 * HIDDEN if index < 2 else HIDDEN
            maker.normed(f"{name}.enc.res_skip_layers.{index}", outputs, HIDDEN, 1, outputs)
        maker.normed(f"{name}.enc.cond_layer", 6 * HIDDEN, GIN, 1, 6 * HIDDEN)
        maker.layer(f"{name}.post", INTER // 2, HIDDEN, 1)
    maker.tensor("quantizer.vq.layers.0._codebook.embed", CODES, SSL)
    model = {
        "upsample_rates": list(RATES),
        "resblock_dilation_sizes": [list(steps) for steps in DILATIONS],
        "version": "v2",
    }
    config = {"model": model, "data": {"sampling_rate": 32000, "hop_length": 8}, "version": "v2"}
    CheckpointFile(path, {"config": config, "info": "noise"}, b"PK").write(path, maker.tensors)
    return path


def gpt(path: Path, seed: int = 0) -> Path:
    """Write a .ckpt of two layers, 32 wide, 4 heads."""
    maker = _Maker(seed)
    for name, rows in (("text", 732), ("audio", 1025)):
        maker.tensor(f"model.ar_{name}_embedding.word_embeddings.weight", rows, 32)
        maker.tensors[f"model.ar_{name}_position.alpha"] = torch.ones(1).half()
    maker.layer("model.bert_proj", 32, 1024)
    for index in range(2):
        name = f"model.h.layers.{index}"
        maker.tensor(f"{name}.self_attn.in_proj_weight", 96, 32, scale=0.3)
        maker.tensor(f"{name}.self_attn.in_proj_bias", 96, scale=0.1)
        maker.layer(f"{name}.self_attn.out_proj", 32, 32)
        maker.layer(f"{name}.linear1", 48, 32)
        maker.layer(f"{name}.linear2", 32, 48)
        for norm in ("norm1", "norm2"):
            maker.tensors[f"{name}.{norm}.weight"] = torch.ones(32).half()
            maker.tensor(f"{name}.{norm}.bias", 32, scale=0.1)
    maker.layer("model.ar_predict_layer", 1025, 32, bias=False)
    config = {"model": {"head": 4, "hidden_dim": 32, "EOS": 1024}}
    CheckpointFile(path, {"config": config, "info": "noise"}, b"PK").write(path, maker.tensors)
    return path


def utterances(count: int = 2) -> Utterances:
    """Random phones and tokens that both checkpoints understand."""
    random = torch.Generator().manual_seed(1)

    def ids(most: int, length: int) -> Tensor:
        return torch.randint(0, most, (length,), generator=random)

    sentences = tuple(Utterance(ids(732, 7 + i), ids(CODES, 9 + i)) for i in range(count))
    return Utterances(torch.randn(GIN, generator=random), ids(732, 5), ids(CODES, 6), sentences)
