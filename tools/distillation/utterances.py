"""Utterances of a GPT-SoVITS voice as its models see them: what calibrates pruning and teaches smaller models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge_tts.errors import EdgeTtsError


class UtterancesError(EdgeTtsError, ValueError):
    """A file of utterances cannot be used; the message names the file and says why."""

    code = "bad_utterances"


@dataclass(frozen=True)
class Utterance:
    """One sentence: its phones [t] and the semantic tokens [c] spoken for them, int64."""

    phones: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class Utterances:
    """Sentences spoken after one reference clip."""

    timbre: Tensor
    """[gin]: ge of the reference clip."""
    reference_phones: Tensor
    """[r] int64"""
    prompt: Tensor
    """[p] int64: the reference clip's semantic tokens."""
    sentences: tuple[Utterance, ...]

    def write(self, path: Path) -> None:
        """Write the .npz that `read_utterances` reads."""
        arrays = {"timbre": self.timbre, "reference_phones": self.reference_phones, "prompt": self.prompt}
        for index, sentence in enumerate(self.sentences):
            arrays |= {f"phones_{index}": sentence.phones, f"tokens_{index}": sentence.tokens}
        np.savez(path, **{name: value.numpy() for name, value in arrays.items()})


def read_utterances(path: Path) -> Utterances:
    """Read an .npz of utterances. Raises UtterancesError naming what is missing."""
    try:
        with np.load(path) as file:
            arrays = {name: torch.from_numpy(file[name]) for name in file.files}
        count = sum(name.startswith("phones_") for name in arrays)
        sentences = tuple(Utterance(arrays[f"phones_{i}"], arrays[f"tokens_{i}"]) for i in range(count))
        utterances = Utterances(arrays["timbre"], arrays["reference_phones"], arrays["prompt"], sentences)
    except OSError as error:
        raise UtterancesError(f"{path}: cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise UtterancesError(f"{path}: {error.args[0]} is missing; make the file again") from error
    except ValueError as error:
        raise UtterancesError(f"{path}: not a file of utterances: {error}") from error
    if not utterances.sentences:
        raise UtterancesError(f"{path}: holds no sentence")
    return utterances
