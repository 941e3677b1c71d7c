"""Teach a smaller model by an unpruned one, on the user's own texts.

    python -m tools.distill utterances --gpt FULL.ckpt --sovits FULL.pth --reference CLIP.wav --text "What is said." \\
        --hubert DIR --texts TEXTS.txt --out U.npz
    python -m tools.distill t2s PRUNED.ckpt --teacher FULL.ckpt --utterances U.npz --out TUNED.ckpt
    python -m tools.distill decoder PRUNED.pth --teacher FULL.pth --utterances U.npz --out TUNED.pth
    python -m tools.distill light --teacher FULL.pth --utterances U.npz --out LIGHT.pt
    python -m tools.distill student PRUNED.pt --teacher FULL.pt --corpus CORPUS FEATURES --out TUNED.pt
    python -m tools.distill new-decoder --corpus CORPUS FEATURES --out DECODER.pth
    python -m tools.distill judge DECODER.pth … --corpus CORPUS FEATURES

utterances has the unpruned voice speak the user's texts, one sentence after the other, once for all that follows.
With --corpus in place of --utterances decoders learn from recordings, and speech parameters (tools.prepare_corpus) are
their latents. new-decoder trains one of SoVITS's kind from nothing, judge measures decoders on held-out prompts.
OUT.state is written every minute, and --resume goes on from it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_tts.errors import EdgeTtsError
from tools.distillation.corpus import HOP, RATE, Scale, load_clips
from tools.distillation.decoder import DILATIONS, RATES, DecoderTask, judge, new_tensors, trained_tensors
from tools.distillation.segments import Clip
from tools.distillation.trainer import Settings, train
from tools.distillation.utterances import Utterances, read_utterances
from tools.gpt_sovits.weights import Weights
from tools.light_decoder import like, read_light
from tools.pruning.checkpoint_file import CheckpointFile
from tools.pruning.sovits import Sovits
from tools.pruning.student import StudentModel
from tools.pruning.t2s import Gpt

HELD_OUT_CLIPS = 12


class DistillError(EdgeTtsError, ValueError):
    """What was given does not go together; the message says why."""

    code = "bad_distillation"


def speak_texts(options: argparse.Namespace) -> None:
    """Write what a voice's models see when it speaks the user's texts."""
    import numpy as np

    from edge_tts.frontend.phonemize import phonemizer_for
    from edge_tts.voices.gpt_sovits.phones import phone_ids
    from tools.distillation.make_utterances import make_utterances
    from tools.export_gpt_sovits import reference_phones
    from tools.gpt_sovits.checkpoint import read_gpt, read_sovits
    from tools.gpt_sovits.export import symbols
    from tools.gpt_sovits.reference import StyleSource

    source = StyleSource(
        clips=(options.reference,), text=options.text, phones=options.phones, tokens=options.tokens, speakers=()
    )
    known = {symbol: number for number, symbol in enumerate(symbols())}
    sentences = phonemizer_for(options.language).phonemize(options.texts.read_text(encoding="utf-8"))
    phones = [torch.from_numpy(phone_ids(sentence, known)) for sentence in sentences]
    speaker = None if options.speaker is None else torch.from_numpy(np.load(options.speaker)).float().reshape(-1)
    gpt, sovits = read_gpt(options.gpt), read_sovits(options.sovits)
    spelled = reference_phones(source, options.language)
    make_utterances(gpt, sovits, source, spelled, phones, options.hubert, speaker).write(options.out)


def tune_t2s(options: argparse.Namespace) -> None:
    """Train a pruned GPT on its teacher's distributions."""
    from tools.distillation import t2s

    pruned, full = Gpt(options.checkpoint), Gpt(options.teacher)
    device = torch.device(options.device)
    student, teacher = pruned.model(pruned.tensors).to(device), full.model(full.tensors).to(device)
    utterances = read_utterances(options.utterances)
    task = t2s.GptTask(
        student, teacher, Weights(full.tensors, "model."), utterances, options.alpha, options.temperature
    )
    before = task.agreement()
    train(student, task, _state(options), _settings(options))
    after = task.agreement()
    pruned.write(options.out, t2s.trained_tensors(student, pruned.tensors))
    for name, (divergence, equal) in (("before", before), ("after", after)):
        print(f"{name}: KL {divergence:.4f} nats per token, equal argmax {100 * equal:.1f} %")


def tune_decoder(options: argparse.Namespace) -> None:
    """Train a pruned decoder on recordings, or on its teacher's sound of the user's texts."""
    pruned, full = Sovits(options.checkpoint), Sovits(options.teacher)
    clips, timbre = _clips(options, full)
    decoder = pruned.decoder(pruned.tensors)
    _train_decoder(options, decoder, pruned.decoder_bias(pruned.tensors, timbre), clips, full, timbre)
    pruned.write(options.out, trained_tensors(decoder, pruned.tensors))


def train_light(options: argparse.Namespace) -> None:
    """Train a light decoder from nothing."""
    full = Sovits(options.teacher)
    clips, timbre = _clips(options, full)
    torch.manual_seed(0)
    light = like(full.decoder(full.tensors), HOP)
    _train_decoder(options, light, full.decoder_bias(full.tensors, timbre), clips, full, timbre)
    torch.save(light.checkpoint(), options.out)


def train_new_decoder(options: argparse.Namespace) -> None:
    """Train a decoder of SoVITS's kind from nothing, and write it as a .pth that holds only a decoder."""
    clips, scale = load_clips(options.corpus, held_out=False, most=options.takes, scale=None)
    tensors = new_tensors(clips[0].z.shape[0], options.channels)
    model = {"upsample_rates": list(RATES), "resblock_dilation_sizes": [list(DILATIONS)] * 3}
    content = {
        "config": {"model": model, "data": {"sampling_rate": RATE, "hop_length": HOP}},
        "info": "a decoder of speech parameters",
        "features": {"mean": scale.mean.tolist(), "deviation": scale.deviation.tolist()},
    }
    file = CheckpointFile(options.out, content, b"PK")
    file.write(options.out, tensors)
    whole = Sovits(options.out)
    decoder = whole.decoder(whole.tensors)
    bias = whole.decoder_bias(whole.tensors, torch.zeros(1))
    train(decoder, DecoderTask(decoder, bias, clips, RATE, HOP), _state(options), _settings(options))
    file.write(options.out, trained_tensors(decoder, tensors))


def tune_student(options: argparse.Namespace) -> None:
    """Train a pruned student on its recordings and its teacher's outputs."""
    from tools.distillation.student import StudentTask, figures
    from tools.student_data import load_examples
    from tools.train_student import Styles

    pruned, full = StudentModel(options.checkpoint), StudentModel(options.teacher)
    examples, held_out = load_examples(options.corpus[0], options.corpus[1])
    styles = Styles(examples)
    student, teacher = pruned.student(pruned.tensors), full.student(full.tensors)
    task = StudentTask(student, teacher, examples, [styles(e) for e in examples])
    print(f"whole:  {figures(teacher, held_out)}")
    print(f"pruned: {figures(student, held_out)}", flush=True)
    train(student, task, _state(options), _settings(options))
    print(f"tuned:  {figures(student, held_out)}")
    pruned.write(options.out, student.state_dict())


def judge_decoders(options: argparse.Namespace) -> None:
    """Print a table of decoders on held-out prompts."""
    print(f"{'decoder':<28}  parameters  GMAC/s   mel L1  MCD dB  STFT SC")
    clips: list[Clip] = []
    scale: Scale | None = None
    for path in options.checkpoints:
        decoder: nn.Module
        if path.suffix == ".pt":
            # a light decoder is judged on the latents of the voice before it in the list
            decoder = read_light(path)
        else:
            voice = Sovits(path)
            decoder, scale = voice.decoder(voice.tensors), _scale(voice)
            bias = voice.decoder_bias(voice.tensors, torch.zeros(1))
        if scale is None:
            raise DistillError(f"{path}: name the .pth that the light decoder was taught by first")
        if not clips:
            clips, _ = load_clips(options.corpus, held_out=True, most=HELD_OUT_CLIPS, scale=scale)
        figures = judge(decoder, bias, clips, RATE)
        size = sum(parameter.numel() for parameter in decoder.parameters())
        row = f"{figures['mel_l1']:7.3f}  {figures['mcd_db']:6.2f}  {figures['stft_sc']:7.3f}"
        print(f"{path.name:<28}  {size / 1e6:8.2f} M  {_gmacs(decoder, clips[0].z, bias):6.2f}  {row}", flush=True)


def _train_decoder(
    options: argparse.Namespace, decoder: nn.Module, bias: Tensor, clips: list[Clip], full: Sovits, timbre: Tensor
) -> None:
    device = torch.device(options.device)
    teacher = full.decoder(full.tensors).to(device)
    teacher_bias = full.decoder_bias(full.tensors, timbre).to(device)
    task = DecoderTask(decoder.to(device), bias.to(device), clips, RATE, HOP, teacher, teacher_bias)
    train(decoder, task, _state(options), _settings(options))


def _gmacs(decoder: nn.Module, z: Tensor, bias: Tensor) -> float:
    from tools.pruning.cost import macs

    return macs(lambda: decoder(z[:, : RATE // HOP], bias)) / 1e9


def _clips(options: argparse.Namespace, full: Sovits) -> tuple[list[Clip], Tensor]:
    """Clips to learn from and the timbre that goes with them."""
    if options.corpus:
        clips, _ = load_clips(options.corpus, held_out=False, most=options.takes, scale=_scale(full))
        return clips, torch.zeros(full.tensors["dec.cond.weight"].shape[1])
    if options.utterances is None:
        raise DistillError("give --utterances, or --corpus for a decoder of speech parameters")
    utterances: Utterances = read_utterances(options.utterances)
    return [Clip(z) for z in full.latents(full.tensors, utterances)], utterances.timbre


def _scale(voice: Sovits) -> Scale:
    scale = Scale.of(voice.file.content)
    if scale is None:
        raise DistillError(f"{voice.file.path}: its latents are not speech parameters; use --utterances")
    return scale


def _state(options: argparse.Namespace) -> Path:
    return Path(f"{options.out}.state")


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(options.minutes, options.rate, options.resume, options.steps, options.average)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = arguments.add_subparsers(dest="command", required=True)
    training = argparse.ArgumentParser(add_help=False)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--minutes", type=float, default=30.0, help="over all runs")
    training.add_argument("--steps", type=int, default=1 << 30, help="stop after so many steps at the latest")
    training.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    training.add_argument("--average", type=float, default=0.0, metavar="DECAY", help="average the weights, e.g. 0.998")
    training.add_argument("--resume", action="store_true", help="go on from OUT.state")
    training.add_argument("--device", default="cpu", help="cpu or cuda")
    training.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    corpus = argparse.ArgumentParser(add_help=False)
    corpus.add_argument("--corpus", type=Path, nargs=2, metavar=("CORPUS", "FEATURES"))
    corpus.add_argument("--takes", type=int, default=1 << 30, help="use so many takes at most")
    taught = argparse.ArgumentParser(add_help=False)
    taught.add_argument("--teacher", type=Path, required=True, help="the unpruned model")
    taught.add_argument("--utterances", type=Path, help=".npz of the user's texts")

    texts = commands.add_parser("utterances", help="have a voice speak texts, for all other commands to learn from")
    texts.add_argument("--gpt", type=Path, required=True, metavar="CKPT")
    texts.add_argument("--sovits", type=Path, required=True, metavar="PTH")
    texts.add_argument("--reference", type=Path, required=True, metavar="WAV", help="3-10 s")
    texts.add_argument("--text", help="what the reference clip says")
    texts.add_argument("--phones", help="the same as the model's symbols")
    texts.add_argument("--hubert", type=Path, metavar="DIR", help="local chinese-hubert-base folder")
    texts.add_argument("--tokens", type=Path, metavar="NPY", help="prompt tokens of the clip, instead of HuBERT")
    texts.add_argument("--speaker", type=Path, metavar="NPY", help="speaker embedding of the clip (v2Pro)")
    texts.add_argument("--language", default="en-US")
    texts.add_argument("--texts", type=Path, required=True, metavar="TXT", help="what the voice is to say in its life")
    texts.add_argument("--out", type=Path, required=True)
    texts.set_defaults(run=speak_texts, threads=os.cpu_count() or 1)
    t2s = commands.add_parser("t2s", parents=[training, taught], help="tune a pruned GPT")
    t2s.add_argument("checkpoint", type=Path)
    t2s.add_argument("--alpha", type=float, default=0.7, help="weight of the task against the teacher")
    t2s.add_argument("--temperature", type=float, default=4.0)
    t2s.set_defaults(run=tune_t2s)
    decoder = commands.add_parser("decoder", parents=[training, taught, corpus], help="tune a pruned decoder")
    decoder.add_argument("checkpoint", type=Path)
    decoder.set_defaults(run=tune_decoder)
    light = commands.add_parser("light", parents=[training, taught, corpus], help="train a light decoder")
    light.set_defaults(run=train_light)
    new = commands.add_parser("new-decoder", parents=[training, corpus], help="train a decoder from nothing")
    new.add_argument("--channels", type=int, default=128, help="of the first layer; halved with each upsampling")
    new.set_defaults(run=train_new_decoder)
    student = commands.add_parser("student", parents=[training, taught, corpus], help="tune a pruned student")
    student.add_argument("checkpoint", type=Path)
    student.set_defaults(run=tune_student)
    judged = commands.add_parser("judge", parents=[corpus], help="measure decoders on held-out prompts")
    judged.add_argument("checkpoints", type=Path, nargs="+")
    judged.set_defaults(run=judge_decoders, threads=os.cpu_count() or 1)
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 after an error that the user can mend."""
    options = parser().parse_args(argv)
    torch.set_num_threads(options.threads)
    try:
        if options.command in ("new-decoder", "student", "judge") and not options.corpus:
            raise DistillError("give --corpus CORPUS FEATURES")
        if options.command == "t2s" and options.utterances is None:
            raise DistillError("give --utterances")
        options.run(options)
    except (EdgeTtsError, OSError) as error:
        print(f"distill: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
