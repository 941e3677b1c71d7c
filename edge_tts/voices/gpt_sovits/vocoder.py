"""Semantic tokens to waveform while they come: latents on a fixed grid of blocks, flow, decoder.

The latent encoder attends to all tokens it is given, so the latents of a sentence that is still being generated cannot
be those of the finished one. What is spoken must not depend on when it is played. Therefore latents are defined on
blocks counted from the first token (`Blocks`), each computed once from a window around it, and the decoder sees final
frames only: it stays `margin` frames behind them until the sentence is complete. How the sound is divided into chunks
then makes no difference to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_tts.audio.chunk import Samples
from edge_tts.voices.gpt_sovits.settings import Array, Blocks, Settings, Style
from edge_tts.voices.gpt_sovits.token_stream import TokenStream

NOISE = 0xA11CE
"""Sets the seed of the noise apart from that of the tokens."""


@dataclass(frozen=True)
class Block:
    """Tokens [start, end) of a sentence, and those around them that their latents see."""

    start: int
    end: int
    window: tuple[int, ...]
    first: int
    """Which token of the sentence `window` begins with."""
    last: bool
    """Whether the sentence ends with this block."""


def blocks(stream: TokenStream, grid: Blocks, hold: int) -> Iterator[Block]:
    """The blocks of a stream's tokens as they become complete; the first not before `hold` tokens are there.

    What is left after a block is part of it when it is less than the look-ahead, so no block is tiny.
    """
    start = index = 0
    while True:
        end = start + grid.tokens[min(index, len(grid.tokens) - 1)]
        known = stream.first(max(end + grid.look_ahead, hold if index == 0 else 0))[: end + grid.look_ahead]
        last = len(known) < end + grid.look_ahead
        if last:
            end = len(known)
        first = max(0, start - grid.left)
        yield Block(start, end, known[first:], first, last)
        if last:
            return
        start, index = end, index + 1


class Vocoder:
    """The loaded graphs behind the token model. `begin` opens a sentence."""

    def __init__(self, graphs: dict[str, ort.InferenceSession], settings: Settings, hop: int, margin: int) -> None:
        """`graphs` are text_encoder, latent_encoder, flow and decoder; `margin` is the decoder's in frames."""
        self.graphs = graphs
        self.settings = settings
        self.hop = hop
        self.margin = margin

    def begin(
        self, phones: npt.NDArray[np.int64], style: Style, seed: int, rate: float, options: ort.RunOptions | None = None
    ) -> Speech:
        """A sentence with these phones, whose blocks are to follow."""
        return Speech(self, phones, style, seed, rate, options)


class Speech:
    """A sentence becoming sound: `push` its blocks in order and get the samples that are complete."""

    def __init__(
        self,
        vocoder: Vocoder,
        phones: npt.NDArray[np.int64],
        style: Style,
        seed: int,
        rate: float,
        options: ort.RunOptions | None,
    ) -> None:
        self._vocoder = vocoder
        self._style = style
        self._rate = rate
        self._options = options
        self._text_keys, self._text_values = self._run("text_encoder", {"phones": phones})
        self._noise = FrameNoise(seed, vocoder.settings.inter_channels)
        self._final: Array = np.zeros((vocoder.settings.inter_channels, 0), np.float32)
        self._final_from = 0
        self._emitted = 0
        """Samples returned so far."""

    def push(self, block: Block) -> Samples:
        """Samples [n] that the block completes; after the last one the sentence has tokens x 1280 / rate of them."""
        total = self._length(block.end) if block.last else None
        latents = self._latents(block, total)
        self._final = np.concatenate([self._final, latents], axis=1)
        return self._decode(total)

    def _length(self, tokens: int) -> int:
        """Samples of so many tokens."""
        return round(tokens * self._vocoder.settings.frames_per_token * self._vocoder.hop / self._rate)

    def _frames(self, tokens: int) -> int:
        """Whole frames of so many tokens at this rate."""
        return math.floor(tokens * self._vocoder.settings.frames_per_token / self._rate)

    def _latents(self, block: Block, total: int | None) -> Array:
        """The block's own frames [inter, n] behind the flow, stretched to the rate."""
        settings = self._vocoder.settings
        begin = self._frames(block.start)
        if total is None:
            end, until = self._frames(block.end), self._frames(block.first + len(block.window))
        else:
            end = until = math.ceil(total / self._vocoder.hop)
        if begin == end:
            return self._final[:, :0]
        codes = np.array(block.window, np.int64)
        feeds = {"text_k": self._text_keys, "text_v": self._text_values, "mrte_bias": self._style.mrte_bias}
        mean, log_scale = self._run("latent_encoder", {"codes": codes, **feeds})
        since = max(begin - settings.flow_margin, self._frames(block.first))
        origin = block.first * settings.frames_per_token
        mean, log_scale = (stretch(array, origin, since, until, self._rate) for array in (mean, log_scale))
        noise = self._noise.frames(since, until) * np.float32(settings.noise_scale)
        (z,) = self._run("flow", {"z_p": mean + noise * np.exp(log_scale), "flow_bias": self._style.flow_bias})
        own: Array = z[:, begin - since : end - since]
        return own

    def _decode(self, total: int | None) -> Samples:
        """Samples of all final frames but the margin, or with `total` up to the end."""
        hop, margin = self._vocoder.hop, self._vocoder.margin
        known = self._final_from + self._final.shape[1]
        until = known * hop if total is not None else max(known - margin, 0) * hop
        if until <= self._emitted:
            return np.zeros(0, np.float32)
        (wave,) = self._run("decoder", {"z": self._final, "decoder_bias": self._style.decoder_bias})
        origin = self._final_from * hop
        samples = wave[self._emitted - origin : (until if total is None else total) - origin]
        self._emitted = until
        kept = max(until // hop - margin, 0)
        self._final = self._final[:, kept - self._final_from :]
        self._final_from = kept
        return samples

    def _run(self, graph: str, feeds: dict[str, npt.NDArray[np.generic]]) -> list[Array]:
        outputs: list[Array] = self._vocoder.graphs[graph].run(None, feeds, self._options)
        return outputs


class FrameNoise:
    """Standard normal noise that belongs to absolute frames: asked for twice, a frame's is the same."""

    def __init__(self, seed: int, channels: int) -> None:
        self._generator = np.random.default_rng((seed, NOISE))
        self._rows = np.zeros((0, channels), np.float32)
        self._from = 0

    def frames(self, begin: int, end: int) -> Array:
        """Noise [channels, end - begin]; frames before `begin` are forgotten."""
        have = self._from + len(self._rows)
        if end > have:
            more = self._generator.standard_normal((end - have, self._rows.shape[1]), np.float32)
            self._rows = np.concatenate([self._rows, more])
        self._rows = self._rows[begin - self._from :]
        self._from = begin
        noise: Array = self._rows[: end - begin].T
        return noise


def stretch(latents: Array, origin: int, begin: int, end: int, rate: float) -> Array:
    """Frames [begin, end) of speech `rate` times as fast, by linear interpolation: [channels, end - begin].

    Column 0 of `latents` is frame `origin` at rate 1. Mean and log scale are linear in the encoder's output, so this is
    what GPT-SoVITS does for its speed setting, before the noise is added.
    """
    if rate == 1:
        return latents[:, begin - origin : end - origin]
    last = latents.shape[1] - 1
    at = np.clip((np.arange(begin, end) + 0.5) * rate - 0.5 - origin, 0, last)
    left = np.minimum(at.astype(np.int64), max(last - 1, 0))
    weight = (at - left).astype(np.float32)
    stretched: Array = latents[:, left] * (1 - weight) + latents[:, np.minimum(left + 1, last)] * weight
    return stretched
