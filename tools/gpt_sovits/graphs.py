"""A voice's five models as ONNX files, with dynamic lengths and the names that the contract in export.py fixes."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from tools.gpt_sovits.checkpoint import GptCheckpoint, SovitsCheckpoint
from tools.gpt_sovits.decoder import Decoder
from tools.gpt_sovits.encoder import MRTE_HEAD_WIDTH, LatentEncoder, TextEncoder
from tools.gpt_sovits.flow import Flow
from tools.gpt_sovits.planar import planar
from tools.gpt_sovits.t2s import TextToSemantic
from tools.gpt_sovits.weights import Weights

OPSET = 17

GRAPHS = ("t2s", "text_encoder", "latent_encoder", "flow", "decoder")

Axes = dict[str, dict[int, str]]


def build_t2s(gpt: GptCheckpoint) -> TextToSemantic:
    """The GPT of a checkpoint, in evaluation mode."""
    model = TextToSemantic(Weights(gpt.tensors), gpt.head_width)
    model.eval()
    return model


def build_sovits(sovits: SovitsCheckpoint) -> tuple[TextEncoder, LatentEncoder, Flow, Decoder]:
    """The four parts of SoVITS that speak, in evaluation mode."""
    weights = Weights(sovits.tensors)
    prior = weights.at("enc_p")
    return (
        TextEncoder(prior).eval(),
        LatentEncoder(prior, weights["quantizer.vq.layers.0._codebook.embed"]).eval(),
        Flow(weights.at("flow", "flows")).eval(),
        Decoder(weights.at("dec"), sovits.upsample_rates, sovits.dilations).eval(),
    )


def export_t2s(model: TextToSemantic, path: Path) -> None:
    """Write the GPT."""
    width = model.head.in_features
    inputs = {"rows": torch.randn(3, width), "mask": torch.zeros(3, 7)}
    axes: Axes = {"rows": {0: "rows"}, "mask": {0: "rows", 1: "bucket_and_rows"}}
    for index, layer in enumerate(model.layers):
        for name in (f"k_{index}", f"v_{index}"):
            inputs[name] = torch.randn(layer.heads, 4, layer.head_width)
            axes[name] = {1: "bucket"}
    axes |= {"new_k": {1: "rows"}, "new_v": {1: "rows"}}
    _export(model, inputs, ("logits", "new_k", "new_v"), axes, path)


def export_text_encoder(model: TextEncoder, path: Path) -> None:
    """Write the text encoder."""
    axes: Axes = {"phones": {0: "phones"}, "text_k": {1: "phones"}, "text_v": {1: "phones"}}
    _export(model, {"phones": torch.arange(11)}, ("text_k", "text_v"), axes, path)


def export_latent_encoder(model: LatentEncoder, path: Path) -> None:
    """Write the latent encoder."""
    hidden, width = model.table.embedding_dim, model.query.out_features
    heads = width // MRTE_HEAD_WIDTH
    inputs = {
        "codes": torch.arange(5),
        "text_k": torch.randn(heads, 11, MRTE_HEAD_WIDTH),
        "text_v": torch.randn(heads, 11, MRTE_HEAD_WIDTH),
        "mrte_bias": torch.randn(hidden),
    }
    axes: Axes = {"codes": {0: "codes"}, "text_k": {1: "phones"}, "text_v": {1: "phones"}}
    axes |= {"mean": {1: "frames"}, "log_scale": {1: "frames"}}
    _export(model, inputs, ("mean", "log_scale"), axes, path)


def export_flow(model: Flow, path: Path) -> None:
    """Write the flow."""
    inputs = {"z_p": torch.randn(2 * model.steps[0].pre.in_channels, 10), "flow_bias": torch.randn(sum(model.widths))}
    _export(model, inputs, ("z",), {"z_p": {1: "frames"}, "z": {1: "frames"}}, path)


class PlanarDecoder(nn.Module):
    """A decoder in the form that onnxruntime computes fastest; the same inputs and output."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = planar(decoder)

    def forward(self, z: Tensor, decoder_bias: Tensor) -> Tensor:
        """z [inter, f], bias [channels] -> samples [f * hop]."""
        samples: Tensor = self.decoder.samples(z[None, :, None], decoder_bias[:, None, None])
        return samples[0, 0, 0]


def export_decoder(model: Decoder, path: Path) -> None:
    """Write the decoder."""
    inputs = {
        "z": torch.randn(model.conv_pre.in_channels, 10),
        "decoder_bias": torch.randn(model.conv_pre.out_channels),
    }
    _export(PlanarDecoder(model), inputs, ("wav",), {"z": {1: "frames"}, "wav": {0: "samples"}}, path)


def _export(model: nn.Module, inputs: dict[str, Tensor], outputs: tuple[str, ...], axes: Axes, path: Path) -> None:
    with warnings.catch_warnings():
        # the tracer warns about every length it turns into a constant or not; the parity tests decide that
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
