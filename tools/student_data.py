"""Training examples of a student voice: a take's sentence, phone durations and speech parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_tts.frontend.english.pronounce import Pronouncer
from edge_tts.frontend.symbols import VOWELS
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.linguistic import tokenize
from tools.prepare_corpus import Take, held_out_prompts, read_takes

STOPS = frozenset({"B", "CH", "D", "G", "JH", "K", "P", "T"})
MIN_PAUSE = 8
"""Frames: a shorter silence inside a sentence is the closure of a stop, not a pause."""

ALIGNMENT_DELAY = 2
"""Frames by which the aligner's times lie before the analysis frames: the lag at which both agree most on voicing."""

Pronounce = Callable[[str], tuple[str, ...]]
"""A word to its phones with stress."""


@dataclass(frozen=True)
class Example:
    """One take as a student learns it."""

    id: str
    sentence: Sentence
    ids: npt.NDArray[np.int64]
    """[phones, features]"""
    durations: npt.NDArray[np.int64]
    """Frames of each phone; their sum is the length of `frames`."""
    frames: npt.NDArray[np.float32]
    """[T, 88]: 80 envelope points, log F0, voicing, 6 periodicities."""


def stress(phones: Sequence[str], listed: Sequence[str]) -> tuple[str, ...]:
    """`phones` as they were spoken, with the stress digits of the word's listed pronunciation.

    When the two have different numbers of vowels, each vowel takes the digit of the one it is matched with, else 0.
    """
    bare = [phone.rstrip("012") for phone in listed]
    marks = [phone[-1] for phone in listed if phone[-1].isdigit()]
    vowels = [i for i, phone in enumerate(phones) if phone in VOWELS]
    result = list(phones)
    if len(marks) == len(vowels):
        for i, mark in zip(vowels, marks, strict=True):
            result[i] += mark
        return tuple(result)
    for i in vowels:
        result[i] += "0"
    for block in SequenceMatcher(None, phones, bare, autojunk=False).get_matching_blocks():
        for i in range(block.size):
            result[block.a + i] = listed[block.b + i]
    if not any(phone[-1] in "12" for phone in result) and vowels:
        result[vowels[0]] = result[vowels[0]][:-1] + "1"
    return tuple(result)


def _segments(take: Take) -> tuple[list[tuple[str, list[str], list[int]]], list[int]]:
    """Words with phones and frame counts, and the silence before each word and after the last (frames)."""
    words: list[tuple[str, list[str], list[int]]] = []
    silences = [ALIGNMENT_DELAY]
    for name, phones in take.words:
        frames = [round(end * 100) - round(start * 100) for _, start, end in phones]
        if name.startswith("<"):
            silences[-1] += sum(frames)
        else:
            words.append((name.split("(")[0], [phone for phone, _, _ in phones], frames))
            silences.append(0)
    for i in range(1, len(silences) - 1):
        if 0 < silences[i] < MIN_PAUSE:
            if words[i][1][0] in STOPS:
                words[i][2][0] += silences[i]
            else:
                words[i - 1][2][-1] += silences[i]
            silences[i] = 0
    return words, silences


def make_example(take: Take, features: Path, pronounce: Pronounce) -> Example | None:
    """The take as an example, or None when its alignment and its features disagree."""
    segments, silences = _segments(take)
    words, durations = [], [silences[0]]
    for i, (name, phones, frames) in enumerate(segments):
        last = i + 1 == len(segments)
        pause = Break.MAJOR if last else Break.MINOR if silences[i + 1] else Break.NONE
        words.append(Word(name, stress(phones, pronounce(name)), pause))
        durations += frames
        if pause:
            durations.append(silences[i + 1])
    sentence = Sentence(tuple(words))
    with np.load(features) as arrays:
        columns = [arrays["env"], arrays["lf0"][:, None], arrays["voiced"][:, None], arrays["per"]]
    frames_all = np.concatenate(columns, axis=1)
    durations[-1] += len(frames_all) - sum(durations)
    if durations[-1] < 0:
        durations[-2] += durations[-1]
        durations[-1] = 0
    if min(durations[1:-1]) <= 1:
        return None
    return Example(take.id, sentence, tokenize(sentence).ids, np.array(durations), frames_all)


def load_examples(corpus: Path, features: Path) -> tuple[list[Example], list[Example]]:
    """(training examples, held-out examples)"""
    held = held_out_prompts()
    pronouncer = Pronouncer()
    train: list[Example] = []
    test: list[Example] = []
    for take in read_takes(corpus):
        if take.clean or take.prompt in held:
            example = make_example(take, features / f"{take.id}.npz", pronouncer.phones)
            if example is not None:
                (test if take.prompt in held else train).append(example)
    return train, test
