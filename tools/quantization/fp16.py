"""Weights stored in half the space: fp16 on disk, cast to fp32 once, when the graph is loaded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 256
"""Tensors with fewer elements stay: a Cast node would take as much space. So do all with one dimension: biases, norms
and the scales of quantized weights."""


def store_half(model: onnx.ModelProto) -> int:
    """Store the float weights of `model` as fp16, in place; returns how many bytes that saves.

    GPT-SoVITS checkpoints are saved in half precision, so most weights lose nothing. A tensor with values beyond fp16
    stays as it is. Computation stays fp32: onnxruntime folds the casts when it loads the graph.
    """
    graph = model.graph
    kept, casts, saved = [], [], 0
    for tensor in graph.initializer:
        array = numpy_helper.to_array(tensor) if tensor.data_type == TensorProto.FLOAT else None
        if array is None or array.ndim < 2 or array.size < SMALLEST or not _fits(array):
            kept.append(tensor)
            continue
        half = numpy_helper.from_array(array.astype(np.float16), tensor.name + "_fp16")
        kept.append(half)
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], tensor.name + "_cast", to=TensorProto.FLOAT))
        saved += array.nbytes // 2
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return saved


def _fits(array: npt.NDArray[np.float32]) -> bool:
    return bool(np.abs(array).max() < np.finfo(np.float16).max)
