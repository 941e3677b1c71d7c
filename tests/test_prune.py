"""Pruning: plans keep their limits, and what carries nothing can go without changing what the model computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import tiny_checkpoints as tiny
from tools import prune
from tools.distillation.decoder import new_tensors
from tools.gpt_sovits.checkpoint import read_gpt, read_sovits
from tools.gpt_sovits.encoder import mrte_bias
from tools.gpt_sovits.flow import flow_bias
from tools.gpt_sovits.graphs import build_sovits, build_t2s
from tools.gpt_sovits.reference_encoder import mrte_timbre
from tools.gpt_sovits.weights import Weights
from tools.pruning.apply import apply, parameters
from tools.pruning.checkpoint_file import CheckpointFile
from tools.pruning.groups import Group, Member, Tensors, kernel
from tools.pruning.importance import mean_squares, scores
from tools.pruning.model import Prunable, open_model
from tools.pruning.plan import LayerPlan, Plan, PlanError, allocate, check_total, make_layers, read_plan
from tools.pruning.sovits import Sovits
from tools.pruning.student import StudentModel
from tools.pruning.t2s import Gpt
from tools.student_model import Shape, Student

SMALL = Shape(channels=24, encoder_hidden=48, decoder_hidden=40, prosody_channels=16, prosody_hidden=32)


@pytest.fixture
def sovits(tmp_path: Path) -> Sovits:
    return Sovits(tiny.sovits(tmp_path / "voice.pth"))


@pytest.fixture
def gpt(tmp_path: Path) -> Gpt:
    return Gpt(tiny.gpt(tmp_path / "voice.ckpt"))


@pytest.fixture
def student(tmp_path: Path) -> StudentModel:
    torch.manual_seed(0)
    path = tmp_path / "voice.pt"
    torch.save(Student(SMALL).checkpoint(), path)
    return StudentModel(path)


def speak(model: Prunable, tensors: Tensors) -> Tensor:
    """Everything the model computes for two utterances, in one vector."""
    if isinstance(model, Sovits):
        utterances = tiny.utterances()
        bias = model.decoder_bias(tensors, utterances.timbre)
        decoder = model.decoder(tensors)
        with torch.no_grad():
            return torch.cat([decoder(z, bias) for z in model.latents(tensors, utterances)])
    if isinstance(model, Gpt):
        from tools.distillation.sequences import forward_sequence, sequence

        utterances, weights = tiny.utterances(), Weights(tensors, "model.")
        with torch.no_grad():
            gpt = model.model(tensors)
            logits = [forward_sequence(gpt, sequence(weights, utterances, s)) for s in utterances.sentences]
        return torch.cat(logits).flatten()
    assert isinstance(model, StudentModel)
    voice = model.student(tensors)
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        encoded, durations = voice.encoder(torch.ones(1, 6, 7, dtype=torch.long), torch.zeros(1, 9))
        frames = torch.randn(1, 20, SMALL.channels, generator=random)
        decoded = voice.decoder(frames, torch.randn(1, 20, 10, generator=random))
    return torch.cat([encoded.flatten(), durations.flatten(), decoded.flatten()])


def folded(tensors: Tensors) -> dict[str, Tensor]:
    """The same model as float32 and without weight norm, so that single weights can be set."""
    return {
        name.replace("weight_v", "weight"): kernel(tensors, name.replace("weight_v", "weight"))
        for name in tensors
        if not name.endswith("weight_g")
    }


def silence(tensors: dict[str, Tensor], group: Group, indices: list[int]) -> None:
    """Make the channels carry nothing: zero whatever produces them."""
    # a head of relative attention speaks by the shared relative values even where its own are zero
    heads = group.name.endswith("heads")
    for member in group.members:
        if heads or not member.consumes:
            tensors[member.tensor].index_fill_(member.axis, torch.tensor(group.positions(member, indices)), 0.0)


def whole(model: Prunable) -> Plan:
    """A plan that removes nothing."""
    groups = model.groups()
    keep = {group.name: group.width for group in groups}
    ranked = {group.name: torch.arange(group.width, 0, -1) for group in groups}
    stacks = [
        LayerPlan(name=s.name, before=len(s.units), keep=len(s.units), order=list(range(len(s.units))))
        for s in model.stacks()
    ]
    return Plan(checkpoint="x", importance="weight", layers=make_layers(groups, ranked, keep), stacks=stacks)


def edit(plan: Plan, name: str, keep: int, last: list[int] | None = None) -> None:
    """Let `keep` channels of a layer stay, and the channels `last` be the first to go."""
    layer = next(layer for layer in [*plan.layers, *plan.stacks] if layer.name == name)
    layer.keep = keep
    layer.order = [i for i in layer.order if i not in (last or [])] + (last or [])


@pytest.mark.parametrize("family", ["sovits", "gpt", "student"])
@pytest.mark.parametrize("weight_norm", [True, False])
def test_channels_that_carry_nothing_can_go(
    family: str, weight_norm: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: Prunable = request.getfixturevalue(family)
    tensors, plan, groups = folded(model.tensors), whole(model), model.groups()
    pruned = 0
    for group in groups:
        count = min(8, group.width - max(group.minimum, -(-group.width * 6 // 10))) if group.unit == 1 else 1
        if count < 1 or count > 0.4 * group.width:
            continue
        gone = list(range(1, 1 + 2 * count, 2)) if group.unit == 1 else [group.width // 2]
        silence(tensors, group, gone)
        edit(plan, group.name, group.width - len(gone), gone)
        pruned += 1
    # the SoVITS encoders' heads of the official shape, and layers already at the minimum, are all that may be left
    assert pruned > 0.6 * len(groups)
    if weight_norm and family == "sovits":
        for name in [name for name in tensors if f"{name}_v" in model.tensors]:
            weight = tensors.pop(name)
            norm = weight.flatten(1).norm(dim=1).reshape(-1, 1, 1)
            tensors[f"{name}_v"] = torch.where(norm > 0, 3 * weight, torch.ones_like(weight))
            tensors[f"{name}_g"] = norm
    before = speak(model, tensors)
    smaller = apply(plan, groups, model.stacks(), tensors)
    after = speak(model, smaller)
    assert parameters(smaller) < 0.9 * parameters(tensors) or family != "sovits"
    assert parameters(smaller) < parameters(tensors)
    assert before.abs().max() > 0.05
    assert (after - before).abs().max() < 1e-5


def test_a_channel_that_matters_is_missed(sovits: Sovits) -> None:
    plan = whole(sovits)
    edit(plan, "dec.ups.0", 24, list(range(8)))
    smaller = apply(plan, sovits.groups(), sovits.stacks(), sovits.tensors)
    assert (speak(sovits, smaller) - speak(sovits, sovits.tensors)).abs().max() > 1e-3


def test_each_pair_of_coupling_layers_that_adds_nothing_can_go(sovits: Sovits) -> None:
    (stack,) = sovits.stacks()
    assert stack.units == ((0, 2), (4, 6))
    for unit, numbers in enumerate(stack.units):
        tensors = dict(sovits.tensors)
        for number in numbers:
            for name in ("weight", "bias"):
                key = f"flow.flows.{number}.post.{name}"
                tensors[key] = torch.zeros_like(tensors[key])
        plan = whole(sovits)
        edit(plan, "flow.flows", 1, [unit])
        smaller = apply(plan, sovits.groups(), sovits.stacks(), tensors)
        assert {name.split(".")[2] for name in smaller if name.startswith("flow.")} == {"0", "2"}
        assert (speak(sovits, smaller) - speak(sovits, tensors)).abs().max() < 1e-5


def test_a_pruned_voice_is_read_by_the_exporter(sovits: Sovits, gpt: Gpt, tmp_path: Path) -> None:
    for model, suffix in ((sovits, "pth"), (gpt, "ckpt")):
        assert isinstance(model, Prunable)
        plan = prune.make_plan(model, "voice", macs=0.6)
        model.write(tmp_path / f"small.{suffix}", apply(plan, model.groups(), model.stacks(), model.tensors))
    checkpoint = read_sovits(tmp_path / "small.pth")
    text, latent, flow, decoder = build_sovits(checkpoint)
    utterances, weights = tiny.utterances(1), Weights(checkpoint.tensors)
    sentence = utterances.sentences[0]
    with torch.no_grad():
        bias = mrte_bias(weights.at("enc_p"), mrte_timbre(weights, utterances.timbre))
        mean, _ = latent(sentence.tokens, *text(sentence.phones), bias)
        z = flow(mean, flow_bias(weights.at("flow", "flows"), utterances.timbre))
        wav = decoder(z, sovits.decoder_bias(checkpoint.tensors, utterances.timbre))
    assert wav.shape == (len(sentence.tokens) * 2 * 8,)
    assert decoder.conv_pre.out_channels < tiny.STAGES[0]
    small = build_t2s(read_gpt(tmp_path / "small.ckpt"))
    assert small.layers[0].linear1.out_features < 48


def test_an_untouched_checkpoint_survives_reading_and_writing(sovits: Sovits, tmp_path: Path) -> None:
    sovits.write(tmp_path / "same.pth", sovits.tensors)
    again = Sovits(tmp_path / "same.pth")
    assert list(again.tensors) == list(sovits.tensors)
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in sovits.tensors.items())
    assert again.file.content["config"] == sovits.file.content["config"]


def test_macs_are_those_of_the_layers(sovits: Sovits) -> None:
    decoder = 50 * (
        40 * 8 * 7
        + 40 * 32 * 8  # a transposed convolution multiplies every input with its whole kernel
        + 4 * 4 * 32 * 32 * (3 + 5)
        + 4 * 32 * 24 * 4
        + 8 * (4 * 24 * 24 * (3 + 5) + 24 * 7)
    )
    assert sovits.macs(sovits.tensors)["dec"] == decoder


@pytest.mark.parametrize("family", ["sovits", "gpt", "student"])
def test_a_plan_meets_its_target_within_the_limits(family: str, request: pytest.FixtureRequest) -> None:
    model: Prunable = request.getfixturevalue(family)
    plan = prune.make_plan(model, "voice", macs=0.75)
    for layer in plan.layers:
        assert layer.keep >= 0.6 * layer.before
        assert layer.keep == layer.before or "heads" in layer.name or (layer.keep % 8 == 0 and layer.keep >= 16)
    after = apply(plan, model.groups(), model.stacks(), model.tensors)
    assert sum(model.macs(after).values()) < 0.9 * sum(model.macs(model.tensors).values())


def test_only_the_chosen_part_is_pruned(sovits: Sovits) -> None:
    plan = prune.make_plan(sovits, "voice", macs=0.6, only=["dec"])
    cut = {layer.name.split(".")[0] for layer in plan.layers if layer.keep < layer.before}
    assert cut == {"dec"}


def test_tied_layers_keep_equally_many(student: StudentModel) -> None:
    plan = prune.make_plan(student, "voice", macs=0.7)
    widths = {layer.keep for layer in plan.layers if layer.name.startswith("decoder.blocks")}
    assert len(widths) == 1
    edit(plan, "decoder.blocks.0.widen", 40)
    with pytest.raises(PlanError, match=r"decoder\.blocks\.1\.widen: keep is 24, but must equal"):
        apply(plan, student.groups(), student.stacks(), student.tensors)


def _spoil(change: Callable[[Plan], object]) -> Callable[[Plan], object]:
    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_spoil(lambda plan: edit(plan, "dec.ups.0", 16)), r"dec\.ups\.0: 50 % would go, at most 40 % may"),
        (_spoil(lambda plan: edit(plan, "dec.ups.1", 15)), r"dec\.ups\.1: keep is 15, but at least 16 must stay"),
        (_spoil(lambda plan: edit(plan, "dec.ups.1", 25)), r"keep is 25; it must lie in 1 … 24"),
        (_spoil(lambda plan: edit(plan, "dec.ups.1", 0)), r"keep is 0; it must lie in 1 … 24"),
        (_spoil(lambda plan: edit(plan, "flow.flows", 0)), r"flow\.flows: keep is 0"),
        (_spoil(lambda plan: plan.layers.pop()), r"cross_attention\.heads: missing from the plan"),
        (_spoil(lambda plan: plan.layers.append(plan.layers[0])), r"dec\.conv_pre: planned twice"),
        (_spoil(lambda plan: setattr(plan.layers[0], "name", "dec.x")), r"dec\.x: the checkpoint has no such layer"),
        (_spoil(lambda plan: setattr(plan.layers[0], "before", 99)), r"before is 99, but the checkpoint has 40"),
        (_spoil(lambda plan: plan.layers[0].order.pop()), r"order must name each of 0 … 39 once"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused(sovits: Sovits, change: Callable[[Plan], object], message: str) -> None:
    plan = whole(sovits)
    change(plan)
    with pytest.raises(PlanError, match=message):
        apply(plan, sovits.groups(), sovits.stacks(), sovits.tensors)


def test_too_much_in_all_is_refused() -> None:
    check_total(100, 40)
    with pytest.raises(PlanError, match="61 % of all parameters would go, at most 60 % may"):
        check_total(100, 39)


def test_a_written_plan_is_read_back_and_a_broken_one_named(sovits: Sovits, tmp_path: Path) -> None:
    plan, path = prune.make_plan(sovits, "voice.pth", macs=0.6), tmp_path / "plan.json"
    plan.write(path)
    assert read_plan(path) == plan
    content = json.loads(path.read_text())
    content["layers"][0]["kep"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(PlanError, match=r"plan\.json.*kep"):
        read_plan(path)
    path.write_text("{")
    with pytest.raises(PlanError, match="not valid JSON"):
        read_plan(path)


def test_scores_follow_what_a_channel_sends_on() -> None:
    members = (Member("a.weight", 0), Member("a.bias", 0), Member("b.weight", 1, consumes=True))
    group = Group("a", 3, members)
    tensors = {"a.weight": torch.eye(3), "a.bias": torch.zeros(3), "b.weight": torch.tensor([[1.0, 3.0, 2.0]])}
    assert scores(group, tensors, None).tolist() == pytest.approx([1.0, 3.0, 2.0])
    first, second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 1)
    with torch.no_grad():
        first.weight.copy_(tensors["a.weight"])
        first.bias.zero_()
    rows = torch.tensor([[6.0, 1.0, 0.0], [6.0, 1.0, 0.0]])
    measured = mean_squares({"b": second}, lambda: second(first(rows)))
    assert scores(group, tensors, measured).tolist() == pytest.approx([6.0, 3.0, 0.0])


def test_energy_decides_how_many_channels_stay() -> None:
    group = Group("a", 64, (), minimum=16)
    flat = {"a": torch.ones(64)}
    steep = {"a": torch.tensor([2.0**-i for i in range(64)])}
    assert allocate([group], flat, 1.0) == {"a": 64}
    assert allocate([group], flat, 0.8) == {"a": 56}
    assert allocate([group], steep, 0.8) == {"a": 40}


@pytest.mark.parametrize("family", ["sovits", "gpt"])
def test_calibration_on_utterances_finds_dead_channels(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model: Prunable = request.getfixturevalue(family)
    tiny.utterances().write(tmp_path / "utterances.npz")
    groups = model.groups()
    fixed = folded(model.tensors)
    for group in groups:
        silence(fixed, group, [0])
    model.tensors = fixed
    measured = model.measure(tmp_path / "utterances.npz")
    for group in groups:
        values = scores(group, fixed, measured)
        assert values[0] < 1e-6 * values.max(), group.name
        assert (values[1:] > 0).sum() > 0.5 * group.width


def test_a_student_is_calibrated_on_sentences(student: StudentModel, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("The door is open. Mind the step!")
    measured = student.measure(tmp_path / "texts.txt")
    assert set(measured) == {group.name.replace("widen", "narrow") for group in student.groups()}


def test_a_decoder_of_speech_parameters_is_calibrated_on_features(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        arrays = {"env": (9, 80), "lf0": (9,), "voiced": (9,), "per": (9, 6)}
        np.savez(tmp_path / f"{name}.npz", **{key: random.normal(size=shape) for key, shape in arrays.items()})
    config = {"model": {"upsample_rates": [2, 2], "resblock_dilation_sizes": [[1, 3, 5]] * 2}}
    scale = {"mean": [0.0] * 176, "deviation": [1.0] * 176}
    file = CheckpointFile(tmp_path / "small.pth", {"config": config, "features": scale}, b"PK")
    file.write(file.path, new_tensors(176, 64, (2, 2), (3, 5)))
    model = Sovits(file.path)
    plan = prune.make_plan(model, "small", 0.6, calibration=tmp_path)
    assert plan.importance == "activation"
    model.write(tmp_path / "smaller.pth", apply(plan, model.groups(), model.stacks(), model.tensors))
    assert Sovits(tmp_path / "smaller.pth").file.content["features"] == scale
    (tmp_path / "none").mkdir()
    with pytest.raises(PlanError, match="calibrated on a folder of features"):
        model.measure(tmp_path / "none")


def test_the_command_prunes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = tiny.sovits(tmp_path / "voice.pth")
    plan, small = tmp_path / "plan.json", tmp_path / "small.pth"
    assert prune.main(["plan", str(voice), "--out", str(plan), "--macs", "0.6", "--only", "dec"]) == 0
    assert prune.main(["plan", str(voice), "--out", str(tmp_path / "deep.json"), "--macs", "0.1"]) == 0
    assert "more than the 10 % wanted" in capsys.readouterr().out
    assert prune.main(["apply", str(voice), str(plan), "--out", str(small)]) == 0
    printed = capsys.readouterr().out
    assert "dec.ups.0" in printed
    assert "parameters" in printed
    assert small.stat().st_size < voice.stat().st_size
    assert isinstance(open_model(small), Sovits)


def test_the_command_explains_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "voice.onnx").write_bytes(b"")
    assert prune.main(["plan", str(tmp_path / "voice.onnx"), "--out", "x"]) == 1
    assert "give a SoVITS model (.pth)" in capsys.readouterr().err
