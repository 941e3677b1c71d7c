"""Generates a sentence's tokens, and again with another seed when what came out cannot be the sentence."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_tts.errors import VoiceError
from edge_tts.voices.gpt_sovits.sampling import Recital, TokenSampler, exponential_race
from edge_tts.voices.gpt_sovits.settings import Array, Knobs
from edge_tts.voices.gpt_sovits.t2s import TokenModel
from edge_tts.voices.gpt_sovits.token_stream import TokenStream

log = logging.getLogger(__name__)

ATTEMPTS = 3
PHONES_PER_TOKEN = 4
"""More than this, 100 phones a second, nobody speaks: the sentence ended before its words."""
TOKENS_PER_PHONE = 5
TOKENS_TO_SPARE = 25
"""A fifth of a second for each phone and a second to spare: what takes longer is not the sentence any more."""


@dataclass(frozen=True)
class Task:
    """What to generate."""

    text: Array
    """[phones, width], see TokenModel.text_rows."""
    prompt: npt.NDArray[np.int64]
    phones: int
    """Of the sentence alone, without the reference's."""
    knobs: Knobs
    seed: int
    recital: tuple[int, ...] | None = None
    """Tokens to go through instead of drawing them."""

    @property
    def least(self) -> int:
        """Fewer tokens are a failure."""
        return max(1, self.phones // PHONES_PER_TOKEN)

    def most(self, limit: int) -> int:
        """More tokens are a failure; never above `limit`."""
        return min(limit, TOKENS_TO_SPARE + TOKENS_PER_PHONE * self.phones)


def generate(model: TokenModel, task: Task, stream: TokenStream, options: ort.RunOptions) -> None:
    """Put the tokens into `stream` and finish it, with an error where there is no way on. For a thread of its own.

    An attempt that ends too early or does not end is repeated with another seed as long as nothing of it has been
    read; never is anything but newly generated tokens put.
    """
    try:
        for attempt in range(ATTEMPTS):
            failure = _attempt(model, task, attempt, stream, options)
            if failure is None:
                stream.finish()
                return
            log.info("seed %d, attempt %d: %s", task.seed, attempt, failure)
            if not stream.restart():
                break
        stream.finish(VoiceError(f"the sentence could not be generated: {failure}"))
    except Exception as error:
        # onnxruntime raises classes of its own that share no root, here also when a cancelled step is terminated.
        stream.finish(VoiceError(f"the token model failed: {error}"))


def _attempt(model: TokenModel, task: Task, attempt: int, stream: TokenStream, options: ort.RunOptions) -> str | None:
    """Put one attempt's tokens. Returns why it failed, or None."""
    settings = model.settings
    sampler: TokenSampler | Recital
    if task.recital is not None:
        sampler = Recital(task.recital)
    else:
        race = exponential_race(task.seed, attempt)
        sampler = TokenSampler(task.knobs, task.prompt, settings.vocabulary, settings.eos, settings.min_tokens, race)
    most = task.most(settings.max_tokens)
    sequence = model.begin(task.text, task.prompt, most, options)
    for count in range(most + 1):
        if not np.isfinite(sequence.logits).all():
            raise VoiceError("its logits are not finite")
        token = sampler.draw(sequence.logits)
        if token is None:
            return None if count >= task.least else f"it ended after {count} tokens, {task.phones} phones need more"
        if count == most:
            break
        if not stream.put(token):
            return None
        sequence.append(token)
    return f"it did not end within {most} tokens for {task.phones} phones"
