"""The INT8 forms of an ONNX graph, made by onnxruntime's own quantizers: weights int8 per channel, activations uint8.

Static (QDQ) for convolutions: the activations' scales come from calibration, so that a chunk of a sentence is computed
as the whole sentence is. Dynamic for matrix products of models that see whole sequences anyway: the scale of each
input is taken when it is there, which needs no calibration. Dynamic convolutions have no fast kernel.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnxruntime import quantization
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

Feed = dict[str, npt.NDArray[Any]]
"""An array for every input of a graph."""

METHODS = {
    "minmax": quantization.CalibrationMethod.MinMax,
    "percentile": quantization.CalibrationMethod.Percentile,
    "entropy": quantization.CalibrationMethod.Entropy,
}

GEMM_SUFFIX = "_MatMul"
"""What the dynamic quantizer adds to the name of a Gemm that it has turned into a MatMul."""


class _Feeds(quantization.CalibrationDataReader):
    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def calibrate(source: Path, feeds: Sequence[Feed], ops: Collection[str], method: str = "minmax") -> TensorsData:
    """The ranges of all tensors that nodes of kind `ops` read and write. Raises ValueError without feeds."""
    if not feeds:
        raise ValueError("no calibration feeds: activations cannot be scaled")
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            source, list(ops), str(Path(folder) / "augmented.onnx"), calibrate_method=METHODS[method]
        )
        calibrator.collect_data(_Feeds(feeds))
        return calibrator.compute_data()


def write_static(source: Path, target: Path, nodes: Collection[str], ranges: TensorsData) -> None:
    """Write `source` with the named nodes between QuantizeLinear and DequantizeLinear, scaled for `ranges`."""
    if not nodes:
        # to the quantizer an empty list means all of them
        shutil.copy(source, target)
        return
    model = onnx.load(source)
    kinds = {node.op_type for node in model.graph.node if node.name in nodes}
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=quantization.QuantType.QInt8,
        activation_qType=quantization.QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=sorted(nodes),
        nodes_to_exclude=[],
        op_types_to_quantize=sorted(kinds),
        # A product leaves as float: the sum that follows it needs float, and the output's rounding is saved.
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"]},
    )
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(str(target))


def write_dynamic(source: Path, target: Path, nodes: Collection[str]) -> None:
    """Write `source` with the named MatMul and Gemm nodes in INT8, their inputs scaled as they come."""
    if not nodes:
        shutil.copy(source, target)
        return
    model = onnx.load(source)
    kinds = {node.op_type for node in model.graph.node if node.name in nodes}
    # Without this mark the quantizer advises optimizations that the exporter has made already.
    add_pre_process_metadata(model)
    quantization.quantize_dynamic(
        model,
        target,
        op_types_to_quantize=sorted(kinds | {"MatMul"}),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_quantize=[name for node in nodes for name in (node, node + GEMM_SUFFIX)],
    )
