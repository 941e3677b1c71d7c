"""Quantize an ONNX graph to INT8: static QDQ, uint8 activations, int8 weights per channel.

    python -m tools.quantize_int8 FLOAT.onnx INT8.onnx --calibration DIR [--ops MatMul,Conv] [--exclude NODE]...

DIR holds .npz files, each one feed: an array for every input of the graph. Static scales keep chunked synthesis exact;
dynamic ones depend on the chunk.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization.shape_inference import quant_pre_process

from tools.quantization.int8 import METHODS, Feed, calibrate, write_static


def output_projections(model: onnx.ModelProto, ops: Sequence[str]) -> list[str]:
    """Names of the nodes of kind `ops` nearest to each output of the graph: these stay float.

    Their error reaches the output undamped, and they are a small part of the work. An output that is normalized comes
    from a residual stream and has no projection of its own.
    """
    producer = {name: node for node in model.graph.node for name in node.output}
    found: list[str] = []
    waiting = [output.name for output in model.graph.output]
    seen: set[str] = set()
    while waiting:
        node = producer.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type in ops:
            found.append(node.name)
        elif node.op_type not in ("LayerNormalization", "Softmax"):
            waiting.extend(node.input)
    return found


def quantize(
    source: Path,
    target: Path,
    feeds: Sequence[Feed],
    ops: Sequence[str] = ("MatMul", "Gemm"),
    exclude: Sequence[str] = (),
    keep_outputs: bool = True,
    method: str = "minmax",
) -> list[str]:
    """Write the INT8 form of `source` to `target`; returns the names of the nodes that stayed float.

    `ops` are the operators to quantize; `exclude` are regular expressions of node names that stay float, as do the last
    projections before the outputs when `keep_outputs`. Raises ValueError when there is nothing to calibrate with.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        nodes = [node.name for node in model.graph.node if node.op_type in ops]
        kept = [name for name in nodes if any(re.search(pattern, name) for pattern in exclude)]
        if keep_outputs:
            kept += [name for name in output_projections(model, ops) if name not in kept]
        ranges = calibrate(prepared, feeds, ops, method)
        write_static(prepared, target, [name for name in nodes if name not in kept], ranges)
    return kept


def read_feeds(folder: Path, limit: int | None = None) -> list[Feed]:
    """The feeds stored as .npz files in `folder`, by name."""
    feeds: list[Feed] = []
    for path in sorted(folder.glob("*.npz"))[:limit]:
        with np.load(path) as arrays:
            feeds.append({name: arrays[name] for name in arrays.files})
    return feeds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--calibration", type=Path, required=True, help="folder of .npz feeds")
    parser.add_argument("--ops", default="MatMul,Gemm", help="operators to quantize, apart by commas")
    parser.add_argument("--exclude", action="append", default=[], help="regular expression of nodes that stay float")
    parser.add_argument("--quantize-outputs", action="store_true", help="also the last projection before each output")
    parser.add_argument("--method", choices=sorted(METHODS), default="minmax")
    options = parser.parse_args()
    feeds = read_feeds(options.calibration)
    kept = quantize(
        options.source,
        options.target,
        feeds,
        options.ops.split(","),
        options.exclude,
        not options.quantize_outputs,
        options.method,
    )
    print(f"calibrated with {len(feeds)} feeds; float: {', '.join(kept) or 'none'}")
    for path in (options.source, options.target):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")


if __name__ == "__main__":
    main()
