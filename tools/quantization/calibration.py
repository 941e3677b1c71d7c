"""What a GPT-SoVITS voice does when it speaks: sample sentences, their tokens, the arrays its graphs are fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_tts.audio.chunk import Samples
from edge_tts.errors import ConfigError
from edge_tts.frontend.phonemize import phonemizer_for
from edge_tts.sentence import Sentence
from edge_tts.voices.bundle import Bundle
from edge_tts.voices.gpt_sovits.phones import phone_ids
from edge_tts.voices.gpt_sovits.sampling import TokenSampler, exponential_race
from edge_tts.voices.gpt_sovits.settings import Array, Style, Tables, read_settings, read_styles, read_tables
from edge_tts.voices.gpt_sovits.t2s import TokenModel
from edge_tts.voices.gpt_sovits.token_stream import TokenStream
from edge_tts.voices.gpt_sovits.vocoder import Vocoder, blocks
from edge_tts.voices.ort import open_session
from tools.quantization.int8 import Feed

VOCODER_GRAPHS = ("text_encoder", "latent_encoder", "flow", "decoder")
TOKENS_PER_PHONE = 3
"""At most: speech has about two. A voice that does not end its sentences is still calibrated in finite time."""
SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Please charge the battery before you leave the house.",
    "Is there anything else I should measure for you?",
    "Warning! The left wheel motor is getting too hot.",
    "Good morning, the kitchen is at twenty one degrees.",
    "She sells sea shells, and he thinks that is fun enough.",
    "Jump down, push the blue button, then watch out.",
    "Your parcel has just arrived at the front door.",
)


@dataclass(frozen=True)
class Utterance:
    """A sentence as a voice has spoken it."""

    phones: npt.NDArray[np.int64]
    style: Style
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Parts:
    """A bundle's graphs behind the runtime's own classes."""

    tokens: TokenModel
    vocoder: Vocoder
    tables: Tables
    styles: tuple[Style, ...]
    symbols: Mapping[str, int]

    def with_graph(self, name: str, path: Path) -> Parts:
        """The same with another file for one graph."""
        session = open_session(path, one_shape=False)
        if name == "t2s":
            return replace(self, tokens=TokenModel(session, self.tokens.settings, self.tables))
        old = self.vocoder
        return replace(self, vocoder=Vocoder({**old.graphs, name: session}, old.settings, old.hop, old.margin))


def open_parts(bundle: Bundle, files: Mapping[str, Path]) -> Parts:
    """The bundle with these files as its graphs. Raises BundleError naming the file that is at fault."""
    settings, streaming = read_settings(bundle), bundle.manifest.streaming
    margin = streaming.receptive_field if settings.decoder_margin is None else settings.decoder_margin
    sessions = {name: open_session(files[name], one_shape=False) for name in ("t2s", *VOCODER_GRAPHS)}
    tables = read_tables(bundle)
    tokens = TokenModel(sessions.pop("t2s"), settings.t2s, tables)
    symbols = {symbol: index for index, symbol in enumerate(bundle.manifest.symbols)}
    vocoder = Vocoder(sessions, settings, streaming.hop, margin)
    return Parts(tokens, vocoder, tables, tuple(read_styles(bundle).values()), symbols)


def sample_sentences(language: str, texts: Path | None) -> list[Sentence]:
    """The sentences of a text file, or a few of ours in English. Raises ConfigError naming the file."""
    lines: Sequence[str] = SENTENCES
    if texts is not None:
        try:
            lines = texts.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{texts}: cannot be read as UTF-8 text: {error}") from error
    phonemizer = phonemizer_for(language)
    sentences = [sentence for line in lines if line.strip() for sentence in phonemizer.phonemize(line)]
    if not sentences:
        raise ConfigError(f"{texts}: holds no sentence; write one per line")
    return sentences


def speak(parts: Parts, sentences: Sequence[Sentence]) -> list[Utterance]:
    """The tokens the voice draws for the sentences, its styles taking turns."""
    utterances = []
    for index, sentence in enumerate(sentences):
        style = parts.styles[index % len(parts.styles)]
        phones = phone_ids(sentence, parts.symbols)
        model, settings = parts.tokens, parts.tokens.settings
        sampler = TokenSampler(
            parts.vocoder.settings.sampling,
            style.prompt_tokens,
            settings.vocabulary,
            settings.eos,
            settings.min_tokens,
            exponential_race(index),
        )
        most = TOKENS_PER_PHONE * len(phones)
        sequence = model.begin(model.text_rows(phones, style), style.prompt_tokens, most)
        tokens: list[int] = []
        while len(tokens) < most:
            token = sampler.draw(sequence.logits)
            if token is None:
                break
            tokens.append(token)
            sequence.append(token)
        utterances.append(Utterance(phones, style, tuple(tokens)))
    return utterances


def forced_logits(model: TokenModel, utterance: Utterance, steps: int) -> Array:
    """Raw scores [at most 1 + steps, vocabulary] after the prompt and after each of the first `steps` tokens."""
    style = utterance.style
    sequence = model.begin(model.text_rows(utterance.phones, style), style.prompt_tokens, steps)
    logits = [sequence.logits]
    for token in utterance.tokens[:steps]:
        sequence.append(token)
        logits.append(sequence.logits)
    return np.stack(logits)


def synthesize(vocoder: Vocoder, utterance: Utterance, tokens: int | None = None) -> Samples:
    """The samples [n] of the utterance's first `tokens` tokens (all of them), in the chunks a listener gets."""
    spoken = utterance.tokens[:tokens]
    stream = TokenStream(ahead=len(spoken) + 1)
    for token in spoken:
        stream.put(token)
    stream.finish()
    speech = vocoder.begin(utterance.phones, utterance.style, 0, 1.0)
    return np.concatenate([speech.push(block) for block in blocks(stream, vocoder.settings.chunks, 0)])


class _Recorder:
    """An InferenceSession that keeps what it is fed."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self.feeds: list[Feed] = []
        self._session = session

    def run(self, outputs: Sequence[str] | None, feed: Feed, options: ort.RunOptions | None = None) -> list[Any]:
        self.feeds.append({name: np.array(array) for name, array in feed.items()})
        results: list[Any] = self._session.run(outputs, feed, options)
        return results


def record(vocoder: Vocoder, utterances: Sequence[Utterance]) -> dict[str, list[Feed]]:
    """What each graph behind the token model is fed while the utterances are spoken."""
    recorders = {name: _Recorder(session) for name, session in vocoder.graphs.items()}
    listening = Vocoder(recorders, vocoder.settings, vocoder.hop, vocoder.margin)
    for utterance in utterances:
        synthesize(listening, utterance)
    return {name: recorder.feeds for name, recorder in recorders.items()}
