"""Train the letter-to-sound model on CMUdict and report its error rates on words it has not seen.

    python tools/train_letter_to_sound.py cmudict.dict --minutes 8

Letters and phones are aligned by hard expectation maximisation (each letter takes none, one or two phones), then a
residual convolutional network learns to label letters. One word in twenty (by its CRC-32) is held out.
"""

from __future__ import annotations

import argparse
import math
import random
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

from edge_tts.frontend.english.inflect import derive
from edge_tts.frontend.letter_to_sound import LetterToSound
from tools.edit_distance import edit_distance

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "edge_tts" / "frontend" / "data" / "en_us_letters.onnx"
WIDTH = 5
"""Letters that each convolution looks at."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
Chunk = tuple[str, ...]


def held_out(word: str) -> bool:
    """Whether a word belongs to the test set: the same words on every machine."""
    return zlib.crc32(word.encode()) % 20 == 0


def bare(phone: str) -> str:
    """A phone without its stress."""
    return phone.rstrip("012")


class Aligner:
    """log P(chunk | letter), estimated by hard EM on phones without stress."""

    def __init__(self, words: dict[str, Chunk], rounds: int = 5) -> None:
        counts: dict[tuple[str, Chunk], float] = defaultdict(float)
        for word, phones in words.items():
            for i, letter in enumerate(word):
                counts[letter, ()] += 0.1
                for j, phone in enumerate(phones):
                    near = math.exp(-3 * abs(i - j * len(word) / len(phones)))
                    counts[letter, (bare(phone),)] += near
                    counts[letter, tuple(map(bare, phones[j : j + 2]))] += 0.02 * near
        self._estimate(counts)
        for _ in range(rounds):
            counts = defaultdict(float)
            for word, phones in words.items():
                chunks, _ = self.align(word, phones)
                for letter, chunk in zip(word, chunks, strict=False):
                    counts[letter, tuple(map(bare, chunk))] += 1
            self._estimate(counts)

    def _estimate(self, counts: dict[tuple[str, Chunk], float]) -> None:
        totals: dict[str, float] = defaultdict(float)
        for (letter, _), count in counts.items():
            totals[letter] += count
        self._log = {key: math.log(count / totals[key[0]]) for key, count in counts.items()}

    def align(self, word: str, phones: Chunk) -> tuple[list[Chunk], float]:
        """One chunk for every letter and the mean log-probability; no chunks when there is no alignment."""
        plain = tuple(map(bare, phones))
        best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
        table = [best]
        for i, letter in enumerate(word):
            after: dict[int, tuple[float, int]] = {}
            for j, (score, _) in best.items():
                for size in range(min(2, len(plain) - j) + 1):
                    value = score + self._log.get((letter, plain[j : j + size]), -20.0)
                    reachable = len(plain) - j - size <= 2 * (len(word) - i - 1)
                    if reachable and (j + size not in after or value > after[j + size][0]):
                        after[j + size] = (value, size)
            best = after
            table.append(best)
        if len(plain) not in best:
            return [], -math.inf
        chunks: list[Chunk] = []
        j = len(plain)
        for row in reversed(table[1:]):
            size = row[j][1]
            chunks.append(phones[j - size : j])
            j -= size
        return chunks[::-1], best[len(plain)][0] / len(word)


class Network(nn.Module):
    """Residual convolutions over letters, which `save` writes as an ONNX graph."""

    def __init__(self, chunks: int, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS) + 1, channels, padding_idx=0)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(blocks))
        self.convs = nn.ModuleList(nn.Linear(WIDTH * channels, channels) for _ in range(blocks))
        self.out = nn.Linear(channels, chunks)
        self.dropout = nn.Dropout(dropout)

    def forward(self, letters: torch.Tensor) -> torch.Tensor:
        inside = (letters > 0).unsqueeze(-1)
        x = self.embed(letters)
        length = letters.shape[1]
        for norm, conv in zip(self.norms, self.convs, strict=True):
            padded = functional.pad(norm(x) * inside, (0, 0, WIDTH // 2, WIDTH // 2))
            windows = torch.cat([padded[:, at : at + length] for at in range(WIDTH)], dim=-1)
            x = x + self.dropout(functional.relu(conv(windows)))
        logits: torch.Tensor = self.out(x)
        return logits


Example = tuple[list[int], list[int]]


def batches(examples: list[Example], size: int, shuffle: random.Random) -> list[list[Example]]:
    """Examples of like length together, the batches in random order."""
    ordered = sorted(examples, key=lambda example: (len(example[0]), shuffle.random()))
    groups = [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]
    shuffle.shuffle(groups)
    return groups


def tensors(batch: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Letters padded with 0 and labels padded with -100, both [batch, letters]."""
    longest = max(len(letters) for letters, _ in batch)
    letters = torch.zeros(len(batch), longest, dtype=torch.long)
    labels = torch.full((len(batch), longest), -100)
    for row, (word, chunks) in enumerate(batch):
        letters[row, : len(word)] = torch.tensor(word)
        labels[row, : len(word)] = torch.tensor(chunks)
    return letters, labels


def train(network: Network, examples: list[Example], minutes: float, rate: float, batch_size: int) -> Network:
    """The network after `minutes` of CPU time: AdamW, cosine schedule, exponential moving average of the weights."""
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    shuffle = random.Random(1)
    begin, steps, epoch = time.process_time(), 0, 0
    while (spent := (time.process_time() - begin) / 60 / minutes) < 1:
        total = 0.0
        groups = batches(examples, batch_size, shuffle)
        for group in groups:
            spent = (time.process_time() - begin) / 60 / minutes
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate * min(1, (steps + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * min(1, spent)))
            letters, labels = tensors(group)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = network(letters)
            loss = functional.cross_entropy(logits.float().transpose(1, 2), labels, label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(network)
            total += loss.item()
            steps += 1
        epoch += 1
        print(f"epoch {epoch}  loss {total / len(groups):.4f}  {spent:.0%} of the time", flush=True)
    trained = average.module
    assert isinstance(trained, Network)
    return trained


def save(network: Network, chunks: list[Chunk], path: Path) -> None:
    """Write the network as ONNX; matrices are int8 with one scale per output channel, made float when loaded."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, array: npt.NDArray[Any], axis: int | None = None) -> None:
        if axis is None:
            constants.append(numpy_helper.from_array(array, name))
            return
        others = tuple(index for index in range(array.ndim) if index != axis)
        scale = np.maximum(np.abs(array).max(axis=others, keepdims=True) / 127, 1e-12).astype(np.float32)
        constants.append(numpy_helper.from_array(np.round(array / scale).astype(np.int8), f"{name}.int8"))
        constants.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [name]))

    def node(operator: str, inputs: list[str], **attributes: Any) -> str:
        output = f"{operator}_{len(nodes)}"
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    constant("zero", np.array([0]))
    constant("embed.weight", weights["embed.weight"], axis=1)
    x = node("Gather", ["embed.weight", "letters"])
    for block in range(len(network.convs)):
        norm, conv = f"norms.{block}", f"convs.{block}"
        for name in (f"{norm}.weight", f"{norm}.bias", f"{conv}.bias"):
            constant(name, weights[name])
        channels = weights[f"{conv}.bias"].shape[0]
        kernel = weights[f"{conv}.weight"].reshape(channels, WIDTH, channels).transpose(0, 2, 1)
        constant(f"{conv}.weight", np.ascontiguousarray(kernel), axis=0)
        inner = node("LayerNormalization", [x, f"{norm}.weight", f"{norm}.bias"], epsilon=1e-5)
        inner = node("Unsqueeze", [node("Transpose", [inner], perm=[1, 0]), "zero"])
        inner = node("Conv", [inner, f"{conv}.weight", f"{conv}.bias"], pads=[WIDTH // 2, WIDTH // 2])
        inner = node("Squeeze", [node("Relu", [inner]), "zero"])
        x = node("Add", [x, node("Transpose", [inner], perm=[1, 0])])
    constant("out.weight", np.ascontiguousarray(weights["out.weight"].T), axis=1)
    constant("out.bias", weights["out.bias"])
    nodes.append(helper.make_node("Add", [node("MatMul", [x, "out.weight"]), "out.bias"], ["scores"]))
    letters = helper.make_tensor_value_info("letters", TensorProto.INT64, ["n"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(chunks)])
    graph = helper.make_graph(nodes, "letter_to_sound", [letters], [scores], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"letters": LETTERS, "chunks": "|".join(" ".join(chunk) for chunk in chunks)})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def load(network: Network, path: Path) -> None:
    """Put the weights of a saved model into the network, to train on from there."""
    arrays = {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}
    state = {}
    for name, value in network.state_dict().items():
        array = arrays[f"{name}.int8"] * arrays[f"{name}.scale"] if f"{name}.int8" in arrays else arrays[name]
        if name.startswith("convs.") and array.ndim == 3:
            array = array.transpose(0, 2, 1).reshape(value.shape)
        state[name] = torch.tensor(array.T if name == "out.weight" else array)
    network.load_state_dict(state)


def evaluate(name: str, read: Callable[[str], Chunk], words: dict[str, list[Chunk]]) -> None:
    """Print word and phone error rates; of several listed pronunciations the nearest counts."""
    for kind, view in (("with stress", lambda phone: phone), ("without stress", bare)):
        wrong = errors = total = 0
        for word, listed in words.items():
            guess = tuple(map(view, read(word)))
            best = min((edit_distance(guess, tuple(map(view, phones))), len(phones)) for phones in listed)
            wrong += best[0] > 0
            errors += best[0]
            total += best[1]
        print(f"{name:20} {kind:15} word error {wrong / len(words):.1%}  phone error {errors / total:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cmudict", type=Path, help="cmudict.dict as published by Carnegie Mellon University")
    parser.add_argument("--minutes", type=float, default=8.0, help="CPU time to train for; 0 only evaluates")
    parser.add_argument("--start", type=Path, help="an earlier model to train on from")
    parser.add_argument("--channels", type=int, default=160)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    variants = read_variants(args.cmudict)
    if args.minutes > 0:
        words = {word: listed[0] for word, listed in variants.items() if not held_out(word)}
        aligner = Aligner(words)
        aligned = {word: aligner.align(word, phones) for word, phones in words.items()}
        regular = {word: chunks for word, (chunks, score) in aligned.items() if score > -4}
        counts = Counter(chunk for chunks in regular.values() for chunk in chunks)
        chunks = sorted(chunk for chunk, count in counts.items() if count >= 10)
        number = {chunk: index for index, chunk in enumerate(chunks)}
        examples = [
            ([LETTERS.index(letter) + 1 for letter in word], [number[chunk] for chunk in labels])
            for word, labels in regular.items()
            if all(chunk in number for chunk in labels)
        ]
        print(f"{len(examples)} of {len(words)} words align, {len(chunks)} chunks", flush=True)
        network = Network(len(chunks), args.channels, args.blocks, args.dropout)
        if args.start:
            load(network, args.start)
        network = train(network, examples, args.minutes, args.rate, args.batch)
        save(network.eval(), chunks, args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")
    model = LetterToSound(args.output)
    known = {word: listed[0] for word, listed in variants.items() if not held_out(word)}
    unseen = {word: listed for word, listed in variants.items() if held_out(word)}
    print(f"{len(unseen)} words held out")
    evaluate("model alone", model.phones, unseen)
    evaluate("with derivation", lambda word: derive(word, known.get) or model.phones(word), unseen)
    begin = time.process_time()
    for word in unseen:
        model.phones(word)
    print(f"{(time.process_time() - begin) / len(unseen) * 1e3:.2f} ms of CPU a word")


def read_variants(path: Path) -> dict[str, list[Chunk]]:
    """All pronunciations of the words that hold letters only, the first listed first."""
    variants: dict[str, list[Chunk]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.partition("#")[0].split() or [""]
        word = word.partition("(")[0]
        if len(word) > 1 and word.isascii() and word.isalpha():
            variants.setdefault(word, []).append(tuple(phones))
    return variants


if __name__ == "__main__":
    main()
