from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from tools.quantize_int8 import output_projections, quantize, read_feeds  # noqa: E402


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """x [1, T, 16] through three projections with ReLU between them."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((16, 32), (32, 32), (32, 8))]
    weights[0][:, 0] *= 50
    nodes, x = [], "x"
    for i in range(3):
        nodes.append(helper.make_node("MatMul", [x, f"w{i}"], [f"m{i}"], name=f"project{i}"))
        x = f"m{i}"
        if i < 2:
            nodes.append(helper.make_node("Relu", [x], [f"r{i}"], name=f"relu{i}"))
            x = f"r{i}"
    value = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "three",
            [value("x", TensorProto.FLOAT, [1, "T", 16])],
            [value("m2", TensorProto.FLOAT, [1, "T", 8])],
            [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    path = tmp_path / "float.onnx"
    onnx.save(model, path)
    return path


def feeds(count: int = 8) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(0, 1, (1, 20, 16)).astype(np.float32)} for _ in range(count)]


def run(path: Path, feed: dict[str, np.ndarray]) -> np.ndarray:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feed)[0]


def int8_weights(path: Path) -> set[str]:
    return {tensor.name for tensor in onnx.load(path).graph.initializer if tensor.data_type == TensorProto.INT8}


def test_quantized_graph_is_close_and_the_last_projection_is_float(graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "int8.onnx"
    assert quantize(graph, target, feeds()) == ["project2"]
    assert {name[:2] for name in int8_weights(target)} >= {"w0", "w1"}
    assert not any(name.startswith("w2") for name in int8_weights(target))
    feed = feeds(9)[-1]
    wanted, got = run(graph, feed), run(target, feed)
    assert not np.array_equal(wanted, got)
    assert 20 * np.log10(wanted.std() / (wanted - got).std()) > 30


def test_a_chunk_computes_what_the_whole_does(graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "int8.onnx"
    quantize(graph, target, feeds())
    x = feeds(1)[0]["x"]
    np.testing.assert_array_equal(run(target, {"x": x})[:, 5:9], run(target, {"x": x[:, 5:9]}))


def test_excluded_nodes_stay_float(graph: Path, tmp_path: Path) -> None:
    target = tmp_path / "int8.onnx"
    assert quantize(graph, target, feeds(), exclude=["project0"], keep_outputs=False) == ["project0"]
    assert not any(name.startswith("w0") for name in int8_weights(target))
    assert any(name.startswith("w2") for name in int8_weights(target))


def test_projections_before_the_outputs_are_found(graph: Path) -> None:
    assert output_projections(onnx.load(graph), ["MatMul"]) == ["project2"]


def test_nothing_to_calibrate_with_is_refused(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no calibration feeds"):
        quantize(graph, tmp_path / "int8.onnx", [])


def test_feeds_are_read_in_order(tmp_path: Path) -> None:
    for i in (2, 0, 1):
        np.savez(tmp_path / f"{i}.npz", x=np.full(3, i))
    assert [int(feed["x"][0]) for feed in read_feeds(tmp_path, limit=2)] == [0, 1]
