"""A GPT-SoVITS voice: loads a bundle, opens a session per sentence."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edge_tts.audio.chunk import AudioChunk, Mark, Samples
from edge_tts.errors import BadRequest, BundleError, VoiceError
from edge_tts.sentence import Sentence
from edge_tts.voices.base import ChunkPlan, Delivery
from edge_tts.voices.bundle import MANIFEST, Bundle, Precision
from edge_tts.voices.gpt_sovits.generate import Task, generate
from edge_tts.voices.gpt_sovits.phones import phone_ids
from edge_tts.voices.gpt_sovits.pitch import TapeSpeed, pitch_factor
from edge_tts.voices.gpt_sovits.sampling import knobs_for
from edge_tts.voices.gpt_sovits.settings import Settings, Style, read_settings, read_styles, read_tables
from edge_tts.voices.gpt_sovits.t2s import TokenModel
from edge_tts.voices.gpt_sovits.token_stream import TokenStream
from edge_tts.voices.gpt_sovits.vocoder import Vocoder, blocks
from edge_tts.voices.ort import open_session, return_freed_memory

log = logging.getLogger(__name__)

VOCODER_GRAPHS = ("text_encoder", "latent_encoder", "flow", "decoder")
JOIN_SECONDS = 5.0
REHEARSED_TOKENS = 25
DEFAULT_SEED = 0
"""Without a seed in the request a sentence sounds the same each time, so what was tried out is what is heard."""


def load(bundle: Bundle, precision: Precision, threads: int) -> GptSovitsVoice:
    """Load a bundle of the family `gpt_sovits`. Raises BundleError naming the file that is at fault."""
    manifest = bundle.manifest
    settings = read_settings(bundle)
    if not manifest.symbols:
        raise BundleError(f"{bundle.folder / MANIFEST}: symbols are missing")
    tables, styles = read_tables(bundle), read_styles(bundle)
    graphs = {
        name: open_session(bundle.graph(name, precision), threads, one_shape=False) for name in ("t2s", *VOCODER_GRAPHS)
    }
    return_freed_memory()
    margin = manifest.streaming.receptive_field if settings.decoder_margin is None else settings.decoder_margin
    return GptSovitsVoice(
        bundle,
        precision,
        settings,
        styles,
        TokenModel(graphs.pop("t2s"), settings.t2s, tables),
        Vocoder(graphs, settings, manifest.streaming.hop, margin),
    )


class GptSovitsVoice:
    """A loaded voice; see edge_tts.voices.base.Voice."""

    def __init__(
        self,
        bundle: Bundle,
        precision: Precision,
        settings: Settings,
        styles: dict[str, Style],
        tokens: TokenModel,
        vocoder: Vocoder,
    ) -> None:
        self.name = bundle.name
        self.language = bundle.manifest.language
        self.sample_rate = bundle.manifest.sample_rate
        self.precision = precision
        self.styles = tuple(styles)
        self.settings = settings
        self._styles = styles
        self._symbols = {symbol: index for index, symbol in enumerate(bundle.manifest.symbols)}
        self._parts: tuple[TokenModel, Vocoder] | None = (tokens, vocoder)

    def open(self, sentence: Sentence, delivery: Delivery, plan: ChunkPlan) -> GptSovitsSession:
        """Begin to speak a sentence.

        Chunk boundaries are the voice's own; of the plan, `first_ms` holds the first chunk back until that much speech
        has been generated. Raises BadRequest for an unknown style, VoiceError for an unknown phone.
        """
        name = delivery.style or self.styles[0]
        if name not in self._styles:
            raise BadRequest(f"style: {self.name} has no style {name!r}, only {', '.join(self.styles)}")
        if self._parts is None:
            raise VoiceError(f"voice {self.name} has been closed")
        return GptSovitsSession(self, *self._parts, self._styles[name], sentence, delivery, plan)

    def rehearse(self, sentence: Sentence) -> GptSovitsSession:
        """Speak a second of the reference's own tokens to the sentence's phones.

        What is drawn from logits depends on their last bit; these tokens do not, so the sound of two machines and two
        precisions can be compared. The token model goes through them all the same.
        """
        session = self.open(sentence, Delivery(), ChunkPlan())
        session.recite(self._styles[self.styles[0]].prompt_tokens[:REHEARSED_TOKENS].tolist())
        return session

    def phones(self, sentence: Sentence) -> npt.NDArray[np.int64]:
        """The sentence's symbol ids [n]. Raises VoiceError naming one the voice does not know."""
        return phone_ids(sentence, self._symbols)

    def close(self) -> None:
        """Free the graphs; a session that is still speaking keeps them to its end."""
        self._parts = None


class GptSovitsSession:
    """One sentence being spoken: a thread generates tokens, whoever iterates turns them into sound.

    GPT-SoVITS does not say when which word is spoken, so only the first word has a mark. Closing the iterator stops
    the thread within one token; `cancel` does the same from any thread, while a chunk is being computed too.
    """

    overlap = 0

    def __init__(
        self,
        voice: GptSovitsVoice,
        tokens: TokenModel,
        vocoder: Vocoder,
        style: Style,
        sentence: Sentence,
        delivery: Delivery,
        plan: ChunkPlan,
    ) -> None:
        self._voice = voice
        self._tokens = tokens
        self._vocoder = vocoder
        self._style = style
        self._sentence = sentence
        self._phones = voice.phones(sentence)
        self._rate = delivery.rate
        self._pitch = pitch_factor(delivery.pitch)
        self._tape = TapeSpeed(self._pitch, voice.sample_rate) if delivery.pitch else None
        self._task = Task(
            text=tokens.text_rows(self._phones, style),
            prompt=style.prompt_tokens,
            phones=len(self._phones),
            knobs=knobs_for(delivery.sampling, voice.settings.sampling),
            seed=DEFAULT_SEED if delivery.sampling.seed is None else delivery.sampling.seed,
        )
        grid = voice.settings.chunks
        # A too early end shows itself within the tokens held back, so that nothing of it is ever heard.
        self._hold = max(round(plan.first_ms / 1000 * self._token_rate() * self._rate), self._task.least)
        self._stream = TokenStream(ahead=max(grid.tokens) + grid.look_ahead)
        self._options = ort.RunOptions()
        self._cancelled = threading.Event()

    def recite(self, tokens: Sequence[int]) -> None:
        """Say these tokens instead of drawing any."""
        self._task = replace(self._task, recital=tuple(tokens))

    def __iter__(self) -> Iterator[AudioChunk]:
        """Chunks of sound. Raises VoiceError when the sentence cannot be generated."""
        thread = threading.Thread(
            target=generate,
            args=(self._tokens, self._task, self._stream, self._options),
            name="gpt-sovits-tokens",
            daemon=True,
        )
        thread.start()
        try:
            yield from self._chunks()
        finally:
            self.cancel()
            thread.join(JOIN_SECONDS)
            if thread.is_alive():
                log.warning("%s did not stop within %.0f s", thread.name, JOIN_SECONDS)

    def cancel(self) -> None:
        """Stop generating and computing; the iterator ends. Callable from any thread, more than once."""
        self._cancelled.set()
        self._options.terminate = True
        self._stream.close()

    def _chunks(self) -> Iterator[AudioChunk]:
        emitted = 0
        try:
            speech = self._vocoder.begin(
                self._phones, self._style, self._task.seed, self._rate / self._pitch, self._options
            )
            for block in blocks(self._stream, self._voice.settings.chunks, self._hold):
                if self._cancelled.is_set():
                    return
                samples = speech.push(block)
                if not np.isfinite(samples).all():
                    raise VoiceError(f"voice {self._voice.name} ({self._voice.precision}) made samples that are NaN")
                if self._tape is not None:
                    samples = self._at_pitch(samples, block.end if block.last else None, emitted)
                if len(samples):
                    word = Mark(0, "word", self._sentence.words[0].text, 0)
                    yield AudioChunk(samples, self._voice.sample_rate, () if emitted else (word,))
                    emitted += len(samples)
        except VoiceError:
            if not self._cancelled.is_set():
                raise
        except Exception as error:  # onnxruntime raises classes of its own that share no public root
            if not self._cancelled.is_set():
                raise VoiceError(f"voice {self._voice.name} failed: {error}") from error

    def _at_pitch(self, samples: Samples, tokens: int | None, emitted: int) -> Samples:
        """The samples as the tape plays them; with the sentence's tokens at its end, exactly as many as are due."""
        assert self._tape is not None
        shifted = self._tape.push(samples, last=tokens is not None)
        if tokens is None:
            return shifted
        due = max(round(tokens * self._voice.sample_rate / self._token_rate() / self._rate) - emitted, 0)
        return np.pad(shifted[:due], (0, max(due - len(shifted), 0)))

    def _token_rate(self) -> float:
        """Tokens in a second at rate 1."""
        return self._voice.sample_rate / (self._vocoder.hop * self._voice.settings.frames_per_token)
