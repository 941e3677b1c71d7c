"""Voices in INT8: which layers, what they lose, and what goes back to float."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

onnx = pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edge_tts.errors import BundleError, ConfigError  # noqa: E402
from edge_tts.frontend.phonemize import parse_phonemes  # noqa: E402
from edge_tts.sentence import Sentence  # noqa: E402
from edge_tts.voices.bundle import Bundle, sha256  # noqa: E402
from edge_tts.voices.registry import load_voice  # noqa: E402
from tests.gpt_sovits_toy import HOP, INTER, write_bundle  # noqa: E402
from tools.quantization.calibration import Parts, Utterance, open_parts, sample_sentences, synthesize  # noqa: E402
from tools.quantization.fp16 import store_half  # noqa: E402
from tools.quantization.gpt_sovits import GRAPHS, Targets, quantize_bundle  # noqa: E402
from tools.quantization.int8 import calibrate, write_dynamic, write_static  # noqa: E402
from tools.quantization.recipes import DECODERS, RECIPES, candidates, recipe_for  # noqa: E402
from tools.quantization.sensitivity import retreat, snr_db  # noqa: E402

CHANNELS = 32
BLOCKS = 4
REACH = 4
"""Frames that the decoder below reaches to either side, generously."""

Array = npt.NDArray[Any]


def decoder(outlier: float = 1.0) -> Any:
    """A decoder of the real one's kinds of layers. Channels of residual block 2 are apart by `outlier`."""
    rng = np.random.default_rng(3)
    nodes: list[Any] = [helper.make_node("Unsqueeze", ["z", "zero"], ["batch"])]
    weights: dict[str, Array] = {"zero": np.array([0]), "flat": np.array([-1])}

    def layer(kind: str, name: str, source: str, shape: tuple[int, ...], gain: float = 1.0, **options: Any) -> str:
        fan = shape[1] * shape[2] if kind == "Conv" else shape[0] * shape[2] / options["strides"][0]
        weights[f"{name}.weight"] = (gain * rng.standard_normal(shape) / fan**0.5).astype(np.float32)
        inputs = [source, f"{name}.weight", *(["decoder_bias"] if name == "conv_pre" else [])]
        nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], f"/{name}/{kind}", **options))
        return f"{name}.out"

    def relu(source: str) -> str:
        nodes.append(helper.make_node("LeakyRelu", [source], [f"{source}.relu"], alpha=0.1))
        return f"{source}.relu"

    x = layer("Conv", "conv_pre", "batch", (CHANNELS, INTER, 3), pads=[1, 1])
    x = layer("ConvTranspose", "ups.0", relu(x), (CHANNELS, CHANNELS, 16), strides=[8], pads=[4, 4])
    for number in range(BLOCKS):
        y = layer("Conv", f"resblocks.{number}", relu(x), (CHANNELS, CHANNELS, 3), pads=[1, 1])
        if number == 2:
            weights[f"resblocks.{number}.weight"][0] *= outlier
        nodes.append(helper.make_node("Add", [x, y], [f"sum.{number}"]))
        x = f"sum.{number}"
    x = layer("ConvTranspose", "ups.1", relu(x), (CHANNELS, 16, 160), strides=[80], pads=[40, 40])
    x = layer("Conv", "conv_post", relu(x), (1, 16, 7), gain=0.1, pads=[3, 3])
    nodes += [helper.make_node("Tanh", [x], ["sound"]), helper.make_node("Reshape", ["sound", "flat"], ["wav"])]
    graph = helper.make_graph(
        nodes,
        "decoder",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, [INTER, "f"]),
            helper.make_tensor_value_info("decoder_bias", TensorProto.FLOAT, [CHANNELS]),
        ],
        [helper.make_tensor_value_info("wav", TensorProto.FLOAT, ["samples"])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def voice(folder: Path, **options: float) -> Bundle:
    """A toy bundle with the decoder above."""
    write_bundle(folder, decoder_margin=REACH)
    onnx.save(decoder(**options), folder / "decoder.fp32.onnx")
    content = json.loads((folder / "voice.json").read_text())
    content["graphs"]["decoder"][0]["sha256"] = sha256(folder / "decoder.fp32.onnx")
    content["settings"]["decoder"] = "hifigan"
    for style in content["styles"]:
        path = folder / f"style_{style}.npz"
        with np.load(path) as file:
            arrays = {**file, "decoder_bias": np.linspace(-0.5, 0.5, CHANNELS, dtype=np.float32)}
        np.savez(path, **arrays)
        content["files"][path.name] = sha256(path)
    (folder / "voice.json").write_text(json.dumps(content))
    return Bundle(folder)


def short_sentences() -> list[Sentence]:
    return parse_phonemes("G OW1 . L EH1 F T . N AW1 .")


def silent(line: str) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return voice(tmp_path_factory.mktemp("float") / "toy")


@pytest.fixture(scope="module")
def quantized(source: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("int8") / "small"
    sentences = short_sentences()
    quantize_bundle(source, folder, sentences, Targets(wave=15, logits=10), ["fp16"], progress=silent)
    return Bundle(folder)


def interface(path: Path) -> list[tuple[str, str, list[Any]]]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [(item.name, item.type, item.shape) for item in (*session.get_inputs(), *session.get_outputs())]


def parts_of(bundle: Bundle, precision: Any) -> Parts:
    return open_parts(bundle, {name: bundle.graph(name, precision) for name in GRAPHS})


def test_every_graph_keeps_its_interface_and_the_large_ones_shrink(source: Bundle, quantized: Bundle) -> None:
    for name in GRAPHS:
        before, after = source.graph(name, "fp32"), quantized.graph(name, "int8")
        assert interface(after) == interface(before)
    sizes = {name: quantized.graph(name, "int8").stat().st_size for name in ("t2s", "decoder")}
    # the tiny model is a third head, which stays float
    assert sizes["t2s"] < 0.5 * source.graph("t2s", "fp32").stat().st_size
    assert sizes["decoder"] < 0.6 * source.graph("decoder", "fp32").stat().st_size
    assert quantized.graph("t2s", "fp16").stat().st_size < 0.6 * source.graph("t2s", "fp32").stat().st_size


def test_the_manifest_names_precisions_checksums_and_losses(source: Bundle, quantized: Bundle) -> None:
    manifest = quantized.manifest
    assert manifest.name == "small"
    assert [item.precision for item in manifest.graphs["t2s"]] == ["int8", "fp16"]
    assert [item.precision for item in manifest.graphs["flow"]] == ["fp16"]
    assert quantized.precisions() == ("int8", "fp16")
    for file in quantized.checksums():
        assert quantized.file(file).exists()
    assert manifest.files == source.manifest.files
    assert manifest.golden is not None
    assert manifest.golden.duration_ms == 1000
    quality = manifest.quality["int8"]
    assert {name: quality[name]["snr_db"] > 15 for name in GRAPHS if name != "t2s"} == dict.fromkeys(GRAPHS[1:], True)
    assert quality["t2s"]["snr_db"] > 10
    assert quality["t2s"]["int8_layers"] == 12
    assert 0 <= quality["likeliest_token_agrees"] <= 1


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_the_runtime_loads_each_precision_and_it_says_the_same(
    source: Bundle, quantized: Bundle, precision: Any
) -> None:
    # with its golden utterance, which is that of the fp32 voice
    assert load_voice(quantized, [precision]).precision == precision
    wanted, got = parts_of(source, "fp32"), parts_of(quantized, precision)
    spoken = Utterance(np.array([5, 6, 7, 3]), wanted.styles[1], tuple(range(0, 400, 10)))
    wave = synthesize(wanted.vocoder, spoken)
    assert len(wave) == 40 * 2 * HOP
    assert snr_db(wave, synthesize(got.vocoder, spoken)) > (15 if precision == "int8" else 50)


def quantized_inputs(path: Path) -> dict[str, list[Any]]:
    """For each convolution, the DequantizeLinear nodes that it reads."""
    model = onnx.load(path)
    made = {output: node for node in model.graph.node for output in node.output}
    return {
        node.name: [made[name] for name in node.input if name in made and made[name].op_type == "DequantizeLinear"]
        for node in model.graph.node
        if "Conv" in node.op_type
    }


def test_convolutions_are_quantized_per_channel_and_only_where_the_recipe_says(quantized: Bundle) -> None:
    path = quantized.graph("decoder", "int8")
    tensors = {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}
    reads = quantized_inputs(path)
    for name in ("/conv_pre/Conv", "/conv_post/Conv", "/ups.0/ConvTranspose", "/ups.1/ConvTranspose"):
        assert reads[name] == []
    for number in range(BLOCKS):
        activation, weight = reads[f"/resblocks.{number}/Conv"]
        assert tensors[activation.input[2]].dtype == np.uint8
        assert tensors[activation.input[1]].shape == ()
        assert tensors[weight.input[0]].dtype == np.int8
        assert tensors[weight.input[1]].shape == (CHANNELS,)


def test_matrix_products_are_dynamic_and_the_head_stays_float(quantized: Bundle) -> None:
    model = onnx.load(quantized.graph("t2s", "int8"))
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulInteger") == 12
    assert "Gemm" not in kinds
    assert "QuantizeLinear" not in kinds
    assert any(node.name == "/head/MatMul" for node in model.graph.node)
    scales = [item for item in model.graph.initializer if item.name.endswith("weight_scale")]
    assert len(scales) == 12
    assert all(numpy_helper.to_array(item).size > 1 for item in scales)


def test_an_int8_chunk_is_exactly_that_part_of_the_whole(quantized: Bundle) -> None:
    session = ort.InferenceSession(str(quantized.graph("decoder", "int8")), providers=["CPUExecutionProvider"])
    z = np.random.default_rng(1).standard_normal((INTER, 60)).astype(np.float32)
    bias = np.linspace(-0.5, 0.5, CHANNELS, dtype=np.float32)
    whole = session.run(None, {"z": z, "decoder_bias": bias})[0]
    for begin, end in ((10, 22), (22, 23), (23, 50)):
        chunk = session.run(None, {"z": z[:, begin - REACH : end + REACH], "decoder_bias": bias})[0]
        assert np.array_equal(chunk[REACH * HOP : -REACH * HOP], whole[begin * HOP : end * HOP])


def test_the_worst_layer_goes_back_to_float_and_the_target_holds(tmp_path: Path) -> None:
    bundle = voice(tmp_path / "toy", outlier=40.0)
    sentences = short_sentences()[:1]
    kept_all = quantize_bundle(bundle, tmp_path / "low", sentences, Targets(-50, -50), report=True, progress=silent)
    layers = kept_all.quality["int8"]["decoder"]["layers"]
    worst = min(layers, key=layers.__getitem__)
    target = kept_all.quality["int8"]["decoder"]["snr_db"] + 1
    fewer = quantize_bundle(bundle, tmp_path / "high", sentences, Targets(target, -50), progress=silent)
    figures = fewer.quality["int8"]["decoder"]
    assert figures["float_layers"][0] == worst
    assert figures["int8_layers"] + len(figures["float_layers"]) == BLOCKS
    assert figures["snr_db"] >= target
    for name, read in quantized_inputs(Bundle(tmp_path / "high").graph("decoder", "int8")).items():
        assert bool(read) == (name in layers and name not in figures["float_layers"])


def test_where_no_layer_can_be_int8_the_graph_is_float(source: Bundle, tmp_path: Path) -> None:
    sentences = short_sentences()[:1]
    manifest = quantize_bundle(source, tmp_path / "all", sentences, Targets(199, 199), progress=silent)
    assert manifest.quality["int8"]["decoder"]["int8_layers"] == 0
    assert Bundle(tmp_path / "all").precisions() == ("int8",)
    kinds = {node.op_type for node in onnx.load(Bundle(tmp_path / "all").graph("decoder", "int8")).graph.node}
    assert "QuantizeLinear" not in kinds


NOISE = {"a": 1e-3, "b": 1e-5, "c": 1e-4, "d": 1e-6}


def added(nodes: Collection[str]) -> float:
    return -10 * np.log10(sum(NOISE[node] for node in nodes) + 1e-20)


def test_retreat_takes_no_more_layers_back_than_it_must() -> None:
    outcome = retreat("abcd", added, 39.0, silent)
    assert outcome.kept == ("a",)
    assert outcome.int8 == ("b", "c", "d")
    assert outcome.snr_db == pytest.approx(added("bcd"))
    assert list(outcome.layers) == ["a", "c", "b", "d"]


def test_retreat_leaves_all_in_int8_and_measures_no_layer_where_the_target_holds() -> None:
    asked: list[int] = []

    def loss(nodes: Collection[str]) -> float:
        asked.append(len(nodes))
        return added(nodes)

    assert retreat("abcd", loss, 20.0, silent).int8 == tuple("abcd")
    assert asked == [4]


def test_retreat_goes_on_when_the_layers_lose_more_together_than_predicted() -> None:
    outcome = retreat("abcd", lambda nodes: added(nodes) - 12 * (len(nodes) > 1), 39.0, silent)
    assert outcome.snr_db >= 39.0
    assert outcome.int8 == ("d",)


@pytest.mark.parametrize("broken", [-np.inf, -100.0])
def test_retreat_ends_with_a_float_graph_when_a_layer_alone_breaks_it(broken: float) -> None:
    outcome = retreat("abcd", lambda nodes: broken if nodes else 200.0, 30.0, silent)
    assert outcome.int8 == ()
    assert outcome.snr_db == 200.0


def test_snr() -> None:
    wanted = np.array([3.0, 4.0], np.float32)
    assert snr_db(wanted, wanted) > 150
    assert snr_db(wanted, wanted + np.float32([0.3, 0.4])) == pytest.approx(20, abs=0.01)
    assert snr_db(wanted, np.array([np.nan, 4.0], np.float32)) == -np.inf


def test_candidates_leave_out_heads_small_tables_and_products_of_activations() -> None:
    def node(name: str, kind: str, weight: str) -> Any:
        return helper.make_node(kind, ["x", weight], [name], name)

    shapes = {"wide": (32, 64), "near": (64, 9)}
    nodes = [
        node("/layers.0/in_proj/Gemm", "Gemm", "wide"),
        node("/layers.0/MatMul", "MatMul", "y"),
        node("/layers.0/MatMul_1", "MatMul", "near"),
        node("/head/MatMul", "MatMul", "wide"),
        node("/layers.0/Add", "Add", "wide"),
    ]
    tensors = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in shapes.items()]
    model = helper.make_model(helper.make_graph(nodes, "g", [], [], tensors))
    assert candidates(model, RECIPES["t2s"]) == ["/layers.0/in_proj/Gemm"]


def test_each_kind_of_decoder_has_a_recipe_and_an_unknown_one_stays_float() -> None:
    assert recipe_for("decoder", "hifigan") is DECODERS["hifigan"]
    assert recipe_for("decoder", "istft") is DECODERS["istft"]
    assert recipe_for("decoder", "something else").form == "float"
    assert recipe_for("flow", "hifigan").form == "float"


def linear(weight: Array) -> Any:
    """x @ weight + bias."""
    nodes = [helper.make_node("MatMul", ["x", "weight"], ["y"], "m"), helper.make_node("Add", ["y", "bias"], ["out"])]
    rows, columns = weight.shape
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", rows])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", columns])],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.full(columns, 1e-9, np.float32), "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(path: Path, x: Array) -> Array:
    result: Array = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    return result


def test_half_weights_compute_what_they_did_and_take_half_the_space(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = linear(rng.standard_normal((64, 300)).astype(np.float16).astype(np.float32))
    onnx.save(model, tmp_path / "float.onnx")
    assert store_half(model) == 64 * 300 * 2
    onnx.save(model, tmp_path / "half.onnx")
    kinds = {item.name: item.data_type for item in model.graph.initializer}
    assert kinds == {"weight_fp16": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}
    x = rng.standard_normal((5, 64)).astype(np.float32)
    assert np.array_equal(run(tmp_path / "half.onnx", x), run(tmp_path / "float.onnx", x))
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * (tmp_path / "float.onnx").stat().st_size


def test_weights_beyond_fp16_are_left_alone() -> None:
    model = linear(np.full((64, 300), 1e5, np.float32))
    assert store_half(model) == 0
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Add"]


def test_a_static_graph_needs_feeds(tmp_path: Path) -> None:
    onnx.save(linear(np.ones((32, 32), np.float32)), tmp_path / "g.onnx")
    with pytest.raises(ValueError, match="no calibration feeds"):
        calibrate(tmp_path / "g.onnx", [], ("MatMul",))


def test_no_nodes_means_no_change(tmp_path: Path) -> None:
    onnx.save(linear(np.ones((32, 32), np.float32)), tmp_path / "g.onnx")
    feeds = [{"x": np.ones((1, 32), np.float32)}]
    write_dynamic(tmp_path / "g.onnx", tmp_path / "a.onnx", [])
    write_static(tmp_path / "g.onnx", tmp_path / "b.onnx", [], calibrate(tmp_path / "g.onnx", feeds, ("MatMul",)))
    for name in ("a", "b"):
        assert (tmp_path / f"{name}.onnx").read_bytes() == (tmp_path / "g.onnx").read_bytes()


def test_sentences_come_from_a_file_one_per_line(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("Hello there.\n\nGo left. Go right.\n")
    assert len(sample_sentences("en-US", tmp_path / "texts")) == 3
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(ConfigError, match="empty: holds no sentence"):
        sample_sentences("en-US", tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"missing: cannot be read"):
        sample_sentences("en-US", tmp_path / "missing")


def test_another_family_and_the_same_folder_are_refused(source: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="write to another folder"):
        quantize_bundle(source, source.folder, [], Targets(), progress=silent)
    other = tmp_path / "other"
    shutil.copytree(source.folder, other)
    content = json.loads((other / "voice.json").read_text())
    (other / "voice.json").write_text(json.dumps({**content, "family": "student"}))
    with pytest.raises(BundleError, match="family student, not gpt_sovits"):
        quantize_bundle(Bundle(other), tmp_path / "out", [], Targets(), progress=silent)
