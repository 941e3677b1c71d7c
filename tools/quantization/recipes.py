"""Which node of which graph of a GPT-SoVITS voice is computed in what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import onnx

SMALLEST_SIDE = 16
"""Weights with fewer rows or columns (relative positions, depthwise kernels, one output channel) gain nothing."""


@dataclass(frozen=True)
class Recipe:
    """What is done to a graph. Weights that stay float are stored as fp16 in every case."""

    form: Literal["dynamic", "static", "float"]
    ops: tuple[str, ...] = ()
    """Operators that become INT8."""
    keep: tuple[str, ...] = ()
    """Regular expressions of names of nodes that stay float: their error reaches the output undamped."""


# ConvTranspose is in no recipe: it has no integer kernel, and quantizing it costs 7 dB.
DECODERS = {
    "hifigan": Recipe("static", ("Conv",), (r"^/conv_pre/", r"^/conv_post/")),
    "istft": Recipe("static", ("MatMul",), (r"^/head/",)),
}
"""By voice.json `settings.decoder`."""

RECIPES = {
    "t2s": Recipe("dynamic", ("Gemm", "MatMul"), (r"^/head/",)),
    "text_encoder": Recipe("dynamic", ("Gemm", "MatMul"), (r"^/key/", r"^/value/")),
    "latent_encoder": Recipe("dynamic", ("Gemm", "MatMul"), (r"^/proj/",)),
    "flow": Recipe("float"),
}


def recipe_for(graph: str, decoder: str) -> Recipe:
    """The recipe of a graph in a voice with this kind of decoder; an unknown kind stays float."""
    if graph == "decoder":
        return DECODERS.get(decoder, Recipe("float"))
    return RECIPES[graph]


def candidates(model: onnx.ModelProto, recipe: Recipe) -> list[str]:
    """Names of the nodes that the recipe makes INT8, in the graph's order."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type not in recipe.ops or any(re.search(pattern, node.name) for pattern in recipe.keep):
            continue
        if min(shapes.get(node.input[1], (0,))[:2]) >= SMALLEST_SIDE:
            found.append(node.name)
    return found
