"""Distillation: the losses are what they are called, training goes on where it stopped, and tuning helps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.gpt_sovits.sampling import TokenSampler, exponential_race
from edge_tts.voices.gpt_sovits.settings import Knobs
from edge_tts.voices.linguistic import tokenize
from tests import tiny_checkpoints as tiny
from tools import distill, prune
from tools.distillation import t2s
from tools.distillation.decoder import DecoderTask, judge, new_tensors, trained_tensors, with_features
from tools.distillation.losses import (
    attention_transfer,
    distillation,
    log_mel,
    mel_cepstral_distortion,
    mel_l1,
    multi_resolution_stft,
)
from tools.distillation.make_utterances import MIN_TOKENS, speak
from tools.distillation.segments import Clip, segment
from tools.distillation.sequences import forward_sequence, sequence
from tools.distillation.student import StudentTask, figures
from tools.distillation.trainer import Settings, train
from tools.distillation.utterances import Utterance, UtterancesError, read_utterances
from tools.gpt_sovits.decoder import Decoder
from tools.gpt_sovits.weights import Weights
from tools.pruning.apply import apply
from tools.pruning.sovits import Sovits
from tools.pruning.student import StudentModel
from tools.pruning.t2s import Gpt
from tools.student_data import Example
from tools.student_model import Shape, Student


def test_distillation_is_cross_entropy_and_softened_divergence() -> None:
    student, teacher = torch.tensor([[1.0, 0.0, -2.0]]), torch.tensor([[0.0, 2.0, 1.0]])
    q = np.exp(student[0].numpy() / 4) / np.exp(student[0].numpy() / 4).sum()
    p = np.exp(teacher[0].numpy() / 4) / np.exp(teacher[0].numpy() / 4).sum()
    soft = (p * np.log(p / q)).sum() * 16
    task = -math.log(1.0 / (math.e + 1 + math.exp(-2)))
    made = distillation(student, teacher, torch.tensor([1]))
    assert made.item() == pytest.approx(0.7 * task + 0.3 * soft, rel=1e-5)
    assert distillation(teacher, teacher, torch.tensor([1]), alpha=0.0).item() == pytest.approx(0.0, abs=1e-6)


def test_sound_losses_are_zero_only_for_the_same_sound() -> None:
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 8000)
    for loss in (multi_resolution_stft, lambda a, b: mel_l1(a, b, 32000)):
        assert loss(wave, wave).item() == pytest.approx(0.0, abs=1e-6)
        # twice as loud: a log magnitude is off by ln 2
        assert loss(2 * wave, wave).item() > 0.5
    assert mel_l1(2 * wave, wave, 32000).item() == pytest.approx(math.log(2), rel=1e-3)


def test_mel_bands_lie_where_their_frequencies_do() -> None:
    time = torch.arange(32000) / 32000
    peaks = [log_mel(torch.sin(2 * math.pi * f * time)[None], 32000)[0].mean(1).argmax() for f in (300, 1000, 6000)]
    mel = [2595 * math.log10(1 + f / 700) for f in (300, 1000, 6000)]
    top = 2595 * math.log10(1 + 12000 / 700)
    for peak, m in zip(peaks, mel, strict=True):
        assert abs(float(peak) - (m / top * 81 - 1)) <= 1.0


def test_loudness_alone_is_no_cepstral_distortion() -> None:
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(1, 16000)
    assert mel_cepstral_distortion(2 * wave, wave, 32000).item() == pytest.approx(0.0, abs=1e-3)
    tilted = torch.nn.functional.conv1d(wave[None], torch.tensor([[[0.9, 1.0]]]), padding=1)[0, :, :16000]
    assert mel_cepstral_distortion(tilted, wave, 32000).item() > 1.0


def test_features_are_compared_whatever_their_number() -> None:
    torch.manual_seed(0)
    wide = torch.randn(1, 8, 50)
    assert attention_transfer([wide], [wide[:, :6] * 3]).item() < attention_transfer([wide], [wide.flip(2)]).item()
    assert attention_transfer([wide], [2 * wide]).item() == pytest.approx(0.0, abs=1e-6)


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(3))


def _line(model: Line, step: int) -> dict[str, torch.Tensor]:
    x = torch.randn(3, generator=torch.Generator().manual_seed(step))
    return {"square": ((model.a - torch.tensor([1.0, 2.0, 3.0])) * x).square().sum()}


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, broken = Line(), Line()
    settings = {"minutes": 1e6, "rate": 0.4, "keep_average": 0.9}
    train(whole, lambda step: _line(whole, step), tmp_path / "whole", Settings(max_steps=30, **settings))

    class Stop(Exception):
        pass

    def until_10(step: int) -> dict[str, torch.Tensor]:
        if step == 10:
            raise Stop
        return _line(broken, step)

    state = tmp_path / "broken"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.distillation.trainer.SAVE_EVERY", 0.0)
        with pytest.raises(Stop):
            train(broken, until_10, state, Settings(max_steps=30, **settings))
    fresh = Line()
    steps = train(fresh, lambda step: _line(fresh, step), state, Settings(max_steps=30, resume=True, **settings))
    assert steps == 30
    assert "resumed at step 10" in capsys.readouterr().out
    assert torch.allclose(fresh.a, whole.a, atol=1e-6)
    assert (whole.a > 0.5).all()


def test_the_same_step_gives_the_same_segment_with_its_sound() -> None:
    ramp = Clip(torch.arange(100.0)[None].repeat(4, 1), torch.arange(800.0))
    clips = [ramp, Clip(torch.zeros(4, 5), torch.zeros(40))]
    for step in range(12):
        z, wave = segment(clips, step, hop=8, frames=20)
        again, _ = segment(clips, step, hop=8, frames=20)
        assert torch.equal(z, again)
        assert wave is not None
        assert len(wave) == 8 * z.shape[1]
        if z.shape[1] == 20:
            assert wave[0] == 8 * z[0, 0]


@pytest.fixture
def voice(tmp_path: Path) -> Sovits:
    return Sovits(tiny.sovits(tmp_path / "voice.pth"))


@pytest.fixture
def gpt(tmp_path: Path) -> Gpt:
    return Gpt(tiny.gpt(tmp_path / "voice.ckpt"))


def test_a_whole_sequence_gives_the_logits_of_single_steps(gpt: Gpt) -> None:
    model, utterances = gpt.model(gpt.tensors), tiny.utterances(1)
    one = sequence(Weights(gpt.tensors, "model."), utterances, utterances.sentences[0])
    with torch.no_grad():
        together = forward_sequence(model, one)
        for row in range(len(one.targets)):
            count = len(one.rows) - len(one.targets) + row + 1
            cache = [torch.zeros(4, 0, 8)] * 4
            logits, _, _ = model(one.rows[:count], one.mask[:count, :count], *cache)
            assert torch.allclose(logits[0], together[row], atol=1e-4)
    assert one.targets[-1] == 1024


def test_weights_survive_the_way_into_models_and_back(gpt: Gpt, voice: Sovits) -> None:
    back = t2s.trained_tensors(gpt.model(gpt.tensors), gpt.tensors)
    for name, tensor in gpt.tensors.items():
        assert torch.allclose(back[name].float(), tensor.float(), atol=1e-3), name
    decoder = voice.decoder(voice.tensors)
    again = voice.decoder(trained_tensors(decoder, voice.tensors))
    z, bias = torch.randn(tiny.INTER, 9), torch.randn(tiny.STAGES[0])
    with torch.no_grad():
        wanted, made = decoder(z, bias), again(z, bias)
    assert (wanted - made).norm() < 3e-3 * wanted.norm()


def test_tuning_a_pruned_gpt_brings_it_nearer_to_its_teacher(gpt: Gpt, tmp_path: Path) -> None:
    plan = prune.make_plan(gpt, "voice", macs=0.7)
    small = apply(plan, gpt.groups(), gpt.stacks(), gpt.tensors)
    student = gpt.model(small)
    task = t2s.GptTask(student, gpt.model(gpt.tensors), Weights(gpt.tensors, "model."), tiny.utterances())
    before, _ = task.agreement()
    train(student, task, tmp_path / "state", Settings(minutes=1.0, max_steps=40, rate=3e-3))
    after, _ = task.agreement()
    assert before > 0.01
    # a KL of the softened distributions pulls the true ones along
    assert task(0)["distillation"].item() < 6.0
    soft = t2s.GptTask(student, task.teacher, Weights(gpt.tensors, "model."), tiny.utterances(), alpha=0.0)
    train(student, soft, tmp_path / "soft", Settings(minutes=1.0, max_steps=40, rate=3e-3))
    assert soft.agreement()[0] < min(before, after)


def test_tuning_a_pruned_decoder_brings_it_nearer_to_its_teacher(voice: Sovits, tmp_path: Path) -> None:
    plan = prune.make_plan(voice, "voice", macs=0.7, only=["dec"])
    small = apply(plan, voice.groups(), voice.stacks(), voice.tensors)
    teacher, student = voice.decoder(voice.tensors), voice.decoder(small)
    random = torch.Generator().manual_seed(0)
    clips = [Clip(torch.randn(tiny.INTER, 600, generator=random))]
    timbre = torch.zeros(tiny.GIN)
    biases = voice.decoder_bias(small, timbre), voice.decoder_bias(voice.tensors, timbre)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.distillation.decoder.segment", lambda c, step, hop: segment(c, step, hop, 250))
        task = DecoderTask(student, biases[0], clips, 32000, 8, teacher, biases[1])
        before = {name: value.item() for name, value in task(1000).items()}
        train(student, task, tmp_path / "state", Settings(minutes=1.0, max_steps=20))
        after = {name: value.item() for name, value in task(1000).items()}
    assert set(before) == {"stft", "mel", "wave", "features"}
    assert sum(after.values()) < 0.9 * sum(before.values())


def test_features_are_those_between_the_upsampling_steps(voice: Sovits) -> None:
    decoder = voice.decoder(voice.tensors)
    wave, features = with_features(decoder, torch.randn(tiny.INTER, 5), torch.randn(tiny.STAGES[0]))
    assert [f.shape[1:] for f in features] == [(32, 20), (24, 40)]
    assert wave.shape == (40,)
    assert not decoder.conv_post._forward_pre_hooks


def test_a_new_decoder_has_the_official_shape_and_can_be_judged() -> None:
    tensors = new_tensors(6, 64, (2, 2), (3, 5))
    decoder: Decoder = Decoder(Weights(tensors, "dec."), (2, 2), ((1, 3, 5),) * 2)
    assert decoder.ups[1].out_channels == 16
    clips = [Clip(torch.randn(6, 2000), 0.1 * torch.randn(8000))]
    figures = judge(decoder, torch.zeros(64), clips, 32000)
    assert set(figures) == {"mel_l1", "mcd_db", "stft_sc"}
    assert all(value > 0 for value in figures.values())


def _example(seed: int) -> Example:
    random = np.random.default_rng(seed)
    sentence = Sentence((Word("hello", ("HH", "AH0", "L", "OW1"), Break.MAJOR),))
    durations = random.integers(3, 9, 6)
    frames = random.normal(size=(durations.sum(), 88)).astype(np.float32)
    frames[:, 81:] = frames[:, 81:] > 0
    return Example(str(seed), sentence, tokenize(sentence).ids, durations, frames)


@pytest.mark.parametrize("generative", [False, True])
def test_a_pruned_student_learns_from_recordings_and_teacher(tmp_path: Path, generative: bool) -> None:
    torch.manual_seed(0)
    shape = Shape(channels=24, encoder_hidden=40, decoder_hidden=40, prosody_channels=16, prosody_hidden=40)
    whole = Student(shape, dropout=0.0)
    if generative:
        nn.init.normal_(whole.decoder.noise.weight)
    torch.save(whole.checkpoint(), tmp_path / "whole.pt")
    model = StudentModel(tmp_path / "whole.pt")
    small = apply(prune.make_plan(model, "voice", macs=0.5), model.groups(), model.stacks(), model.tensors)
    student, examples = model.student(small), [_example(seed) for seed in range(4)]
    task = StudentTask(student, model.student(model.tensors), examples, [np.zeros(shape.style)] * 4)
    assert task.generative == generative
    before = {name: value.item() for name, value in task(0).items()}
    train(student, task, tmp_path / "state", Settings(minutes=1.0, max_steps=10, rate=3e-3))
    after = {name: value.item() for name, value in task(0).items()}
    assert before["teacher"] > 0
    assert sum(after.values()) < sum(before.values())
    assert "env_db" in figures(student, examples)
    model.write(tmp_path / "tuned.pt", student.state_dict())
    assert StudentModel(tmp_path / "tuned.pt").shape["decoder_hidden"] == 24
    same = StudentTask(model.student(model.tensors), model.student(model.tensors), examples, task.styles)
    assert same(0)["teacher"].item() == 0.0


def test_a_teacher_speaks_texts_as_the_daemon_would(gpt: Gpt, tmp_path: Path) -> None:
    """Step by step over a cache, and over whole sequences, the same tokens are drawn."""
    model, weights, base = gpt.model(gpt.tensors), Weights(gpt.tensors, "model."), tiny.utterances()
    phones = base.sentences[0].phones
    tokens = None
    for seed in range(20):
        tokens = speak(model, weights, base, phones, 1024, seed)
        if tokens is not None:
            break
    assert tokens is not None
    sampler = TokenSampler(Knobs(), base.prompt.tolist(), 1025, 1024, MIN_TOKENS, exponential_race(seed))
    with torch.no_grad():
        logits = forward_sequence(model, sequence(weights, base, Utterance(phones, tokens)))
    assert [sampler.draw(row.numpy()) for row in logits] == [*tokens.tolist(), None]


def test_utterances_survive_a_file_and_a_broken_one_is_named(tmp_path: Path) -> None:
    utterances, path = tiny.utterances(), tmp_path / "u.npz"
    utterances.write(path)
    again = read_utterances(path)
    assert torch.equal(again.sentences[1].tokens, utterances.sentences[1].tokens)
    assert torch.equal(again.timbre, utterances.timbre)
    np.savez(path, timbre=np.zeros(3), phones_0=np.zeros(2, np.int64))
    with pytest.raises(UtterancesError, match="tokens_0 is missing"):
        read_utterances(path)
    path.write_bytes(b"no")
    with pytest.raises(UtterancesError, match="not a file of utterances"):
        read_utterances(path)


def test_the_command_tunes_a_gpt_and_resumes(gpt: Gpt, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.utterances().write(tmp_path / "u.npz")
    gpt.write(tmp_path / "small.ckpt", apply(prune.make_plan(gpt, "v", 0.7), gpt.groups(), (), gpt.tensors))
    command = ["t2s", str(tmp_path / "small.ckpt"), "--teacher", str(tmp_path / "voice.ckpt"), "--threads", "1"]
    command += ["--utterances", str(tmp_path / "u.npz"), "--out", str(tmp_path / "tuned.ckpt"), "--minutes", "1"]
    assert distill.main([*command, "--steps", "3"]) == 0
    assert distill.main([*command, "--steps", "5", "--resume"]) == 0
    printed = capsys.readouterr().out
    assert "resumed at step 3" in printed
    assert "KL" in printed
    tuned = Gpt(tmp_path / "tuned.ckpt")
    assert tuned.tensors["model.h.layers.0.linear1.weight"].dtype == torch.float16


def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = tiny.sovits(tmp_path / "voice.pth")
    threads = ["--threads", "1"]
    assert distill.main(["light", "--teacher", str(voice), "--out", str(tmp_path / "l.pt"), *threads]) == 1
    assert "give --utterances" in capsys.readouterr().err
    assert distill.main(["new-decoder", "--out", str(tmp_path / "d.pth"), *threads]) == 1
    assert "give --corpus" in capsys.readouterr().err
