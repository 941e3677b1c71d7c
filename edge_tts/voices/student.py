"""The student family: phones to durations, frames to speech parameters, parameters to waveform by source and filter.

Two ONNX graphs and numpy. The encoder sees the whole sentence at once; the decoder works on blocks of frames with
enough context on either side that a block comes out as it would in the whole sentence, so chunks need no cross-fade.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_tts.audio.chunk import AudioChunk, Mark
from edge_tts.errors import BundleError, VoiceError
from edge_tts.request import explain
from edge_tts.sentence import Sentence
from edge_tts.voices.base import ChunkPlan, Delivery
from edge_tts.voices.bundle import MANIFEST, Bundle, Precision
from edge_tts.voices.envelope import FRAME, POINTS, SAMPLE_RATE
from edge_tts.voices.intonation import question_rise
from edge_tts.voices.linguistic import SYMBOLS, Tokens, tokenize
from edge_tts.voices.ort import open_session
from edge_tts.voices.source_filter import SourceFilter

Array = npt.NDArray[np.float32]

BUMPS = 8
PHONE_BUCKET = 32
"""Phones are padded to a multiple of this, so that the encoder meets few shapes."""
BLOCKS = (16, 80, 96, 160, 256)
"""Frames that the decoder computes at once: few shapes, and the larger the less context is computed twice."""
LARGEST = (16, 80, 256)
"""The largest block that may come first, second and from then on: the first sound should not wait."""
SHORT = 96
"""Frames up to which a sentence is one block: computing its context once costs less than an early start gains."""
LEADING, TRAILING = 3, 6
"""Frames of silence at a sentence's edges, whatever the encoder says: the first sound should come at once."""


class Settings(BaseModel):
    """What voice.json's `settings` holds for this family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phone_reach: int = Field(ge=0)
    """Phones on either side that a phone's encoding depends on."""
    noise: int = Field(0, ge=0)
    """Columns of noise that the decoder reads; 0 for a decoder that averages."""
    temperature: float = Field(1.0, ge=0.0)
    """Standard deviation of that noise."""


def frame_counts(log_durations: Array, rate: float) -> npt.NDArray[np.int64]:
    """Whole frames per phone [N]: rounding errors are carried on, no phone is lost, edges are fixed."""
    ends = np.rint(np.cumsum(np.exp(log_durations.astype(np.float64)) / rate))
    counts = np.maximum(np.diff(ends, prepend=0.0), 1).astype(np.int64)
    counts[0], counts[-1] = LEADING, TRAILING
    return counts


def positions(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Array]:
    """Each frame's phone [T] and where in it the frame lies [T, BUMPS + 2].

    Triangular bumps over the phone, log(1 + frames elapsed) / 3 and log(1 + frames remaining) / 3.
    """
    owner = np.repeat(np.arange(len(counts)), counts)
    elapsed = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
    length = counts[owner]
    where = (elapsed + 0.5) / length * (BUMPS - 1)
    bumps = np.maximum(1.0 - np.abs(where[:, None] - np.arange(BUMPS)), 0.0)
    sides = np.log1p(np.stack([elapsed, length - 1 - elapsed], axis=1)) / 3.0
    return owner, np.concatenate([bumps, sides], axis=1).astype(np.float32)


def block_size(number: int, remaining: int) -> int:
    """Frames of block `number` when `remaining` are left: the smallest that holds them, within what is allowed."""
    largest = SHORT if number == 0 and remaining <= SHORT else LARGEST[min(number, len(LARGEST) - 1)]
    wanted = min(remaining, largest)
    return next(size for size in BLOCKS if size >= wanted)


def marks_of(sentence: Sentence, tokens: Tokens, counts: npt.NDArray[np.int64]) -> list[Mark]:
    """When each word begins and the mouth changes, in samples from the sentence's beginning."""
    marks: list[Mark] = []
    starts = (np.cumsum(counts) - counts) * FRAME
    spoken = -1
    for start, phone, word in zip(starts.tolist(), tokens.phones, tokens.words, strict=True):
        if word > spoken:
            spoken = word
            marks.append(Mark(start, "word", sentence.words[word].text, word))
        marks.append(Mark(start, "viseme", phone))
    return marks


class StudentVoice:
    """A loaded student bundle."""

    def __init__(self, bundle: Bundle, precision: Precision, threads: int) -> None:
        """Open the graphs. Raises BundleError naming the file that is at fault."""
        manifest = bundle.manifest
        path = bundle.folder / MANIFEST
        try:
            self.settings = Settings.model_validate(manifest.settings)
        except ValidationError as error:
            raise BundleError(f"{path}: settings: {explain(error)}") from error
        if manifest.symbols != SYMBOLS:
            raise BundleError(f"{path}: symbols differ from this version's; get the voice made for it")
        if manifest.sample_rate != SAMPLE_RATE or manifest.streaming.hop != FRAME:
            raise BundleError(f"{path}: a student voice has {SAMPLE_RATE} Hz and a hop of {FRAME}")
        self.name = manifest.name
        self.language = manifest.language
        self.sample_rate = manifest.sample_rate
        self.precision: str = precision
        self.styles: tuple[str, ...] = ()
        self.reach = manifest.streaming.receptive_field
        self._encoder = _open(bundle.graph("encoder", precision), {"ids"}, threads)
        self._decoder = _open(bundle.graph("decoder", precision), {"hidden", "side"}, threads)

    def open(self, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> StudentSession:
        """Begin to speak. Raises VoiceError for a phone that the voice does not know."""
        if delivery.style is not None:
            raise VoiceError(f"voice {self.name} has no style {delivery.style!r}; leave the style out")
        return StudentSession(self, sentence, delivery, plan)

    def close(self) -> None:
        """Free the graphs."""
        self._encoder = self._decoder = None

    def encode(self, tokens: Tokens) -> tuple[Array, Array]:
        """Encodings [N, channels] and log durations [N] of a sentence's phones."""
        count = len(tokens.ids)
        padded = -(-(count + self.settings.phone_reach) // PHONE_BUCKET) * PHONE_BUCKET
        ids = np.zeros((1, padded, tokens.ids.shape[1]), np.int64)
        ids[0, :count] = tokens.ids
        hidden, durations = _run(self._encoder, {"ids": ids})
        return hidden[0, :count], durations[0, :count]

    def decode(self, hidden: Array, side: Array) -> Array:
        """Speech parameters [T, 88] of frame inputs [T, channels] and [T, positions and noise]."""
        (parameters,) = _run(self._decoder, {"hidden": hidden[None], "side": side[None]})
        result: Array = parameters[0]
        return result


class StudentSession:
    """One sentence being spoken."""

    overlap = 0

    def __init__(self, voice: StudentVoice, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> None:
        self._voice = voice
        self._delivery = delivery
        self._plan = plan
        self._sentence = sentence
        self._tokens = tokenize(sentence)

    def cancel(self) -> None:
        """Nothing: a chunk takes a few milliseconds, and is the last one when nobody asks for the next."""

    def __iter__(self) -> Iterator[AudioChunk]:
        hidden, durations = self._voice.encode(self._tokens)
        counts = frame_counts(durations, self._delivery.rate)
        marks = marks_of(self._sentence, self._tokens, counts)
        want = max(1, self._plan.first_ms * SAMPLE_RATE // 1000)
        most = max(want, self._plan.target_ms * SAMPLE_RATE // 1000)
        pending, offset, used = np.zeros(0, np.float32), 0, 0

        def chunk(samples: Array) -> AudioChunk:
            nonlocal offset, used
            offset += len(samples)
            first = used
            while used < len(marks) and marks[used].offset < offset:
                used += 1
            return AudioChunk(np.clip(samples, -1.0, 1.0), SAMPLE_RATE, tuple(marks[first:used]))

        for samples in self._waveform(hidden, counts):
            pending = np.concatenate([pending, samples])
            while len(pending) >= want:
                yield chunk(pending[:want])
                pending = pending[want:]
                want = min(2 * want, most)
        if len(pending):
            yield chunk(pending)

    def _waveform(self, hidden: Array, counts: npt.NDArray[np.int64]) -> Iterator[Array]:
        source = SourceFilter()
        semitones = self._delivery.pitch + question_rise(self._sentence, self._tokens, counts)
        shift = (semitones * (np.log(2.0) / 12.0)).astype(np.float32)
        begin = 0
        for frames in self._parameters(hidden, counts):
            frames[:, POINTS] += shift[begin : begin + len(frames)]
            begin += len(frames)
            yield source.finish(frames) if begin == len(shift) else source.push(frames)

    def _parameters(self, hidden: Array, counts: npt.NDArray[np.int64]) -> Iterator[Array]:
        """The sentence's speech parameters in blocks, each exactly what the whole sentence would give."""
        voice, reach = self._voice, self._voice.reach
        owner, side = positions(counts)
        total = len(owner)
        if voice.settings.noise:
            draw = np.random.default_rng(self._delivery.sampling.seed or 0)
            noise = draw.standard_normal((total, voice.settings.noise), np.float32) * voice.settings.temperature
            side = np.concatenate([side, noise], axis=1)
        begin, number = 0, 0
        while begin < total:
            size = block_size(number, total - begin)
            # Frames outside the sentence are zero rows, as they were in training.
            window_hidden = np.zeros((size + 2 * reach, hidden.shape[1]), np.float32)
            window_side = np.zeros((size + 2 * reach, side.shape[1]), np.float32)
            low, high = max(0, begin - reach), min(total, begin + size + reach)
            inside = slice(low - begin + reach, high - begin + reach)
            window_hidden[inside] = hidden[owner[low:high]]
            window_side[inside] = side[low:high]
            decoded = voice.decode(window_hidden, window_side)
            yield decoded[reach : reach + min(size, total - begin)]
            begin += size
            number += 1


def _open(path: Path, inputs: set[str], threads: int) -> Any:
    session = open_session(path, threads)
    names = {item.name for item in session.get_inputs()}
    if names != inputs:
        raise BundleError(f"{path}: inputs are {', '.join(sorted(names))} instead of {', '.join(sorted(inputs))}")
    return session


def _run(session: Any, feed: dict[str, npt.NDArray[Any]]) -> list[Array]:
    if session is None:
        raise VoiceError("the voice was closed")
    try:
        outputs: list[Array] = session.run(None, feed)
    except Exception as error:  # onnxruntime raises classes of its own that share no public root
        raise VoiceError(f"the voice's graph failed: {str(error).splitlines()[0]}") from error
    return outputs


def load(bundle: Bundle, precision: Precision, threads: int) -> StudentVoice:
    """Load a student bundle. Raises BundleError naming the file that is at fault."""
    return StudentVoice(bundle, precision, threads)
