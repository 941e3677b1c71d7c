from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge_tts.audio.chunk import AudioChunk, Samples
from edge_tts.errors import BadRequest, BundleError, VoiceError
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.base import ChunkPlan, Delivery, Sampling
from edge_tts.voices.bundle import Bundle, sha256
from edge_tts.voices.golden import check_golden, make_golden
from edge_tts.voices.gpt_sovits import load
from edge_tts.voices.gpt_sovits.phones import symbols_of
from edge_tts.voices.gpt_sovits.pitch import TapeSpeed, pitch_factor
from edge_tts.voices.gpt_sovits.settings import read_settings, read_styles
from edge_tts.voices.gpt_sovits.token_stream import TokenStream
from edge_tts.voices.gpt_sovits.vocoder import FrameNoise, stretch
from edge_tts.voices.gpt_sovits.voice import GptSovitsSession, GptSovitsVoice
from edge_tts.voices.registry import load_voice
from tests.fakes import poll_until
from tests.gpt_sovits_toy import DECODER_REACH, HOP, INTER, ScriptedTokens, script, write_bundle
from tests.voice_folder import GOLDEN

RATE = 32000
TOKEN = 1280
SENTENCE = Sentence((Word("hello", ("HH", "AH0", "L", "OW1"), Break.MINOR), Word("you", ("Y", "UW1"), Break.MAJOR)))
WORD = Sentence((Word("a", ("AH0",), Break.MAJOR),))
LONG = Sentence((Word("long", ("L", "AO1", "NG") * 20, Break.MAJOR),))
WHOLE = ChunkPlan(first_ms=60_000)
FOREVER = [5, 6, 7]
EDGES = sorted({edge + step for edge in (12, 28, 53, 78, 103) for step in (-1, 0, 1, 3, 4, 5)})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle(write_bundle(tmp_path_factory.mktemp("voices") / "toy"))


@pytest.fixture(scope="module")
def real(bundle: Bundle) -> GptSovitsVoice:
    return load(bundle, "fp32", 1)


def scripted(real: GptSovitsVoice, bundle: Bundle, tokens: ScriptedTokens) -> GptSovitsVoice:
    assert real._parts is not None
    return GptSovitsVoice(bundle, "fp32", real.settings, read_styles(bundle), tokens, real._parts[1])


def samples(session: GptSovitsSession) -> Samples:
    return np.concatenate([chunk.samples for chunk in session])


def snr(wanted: Samples, got: Samples) -> float:
    assert wanted.shape == got.shape
    noise = float(np.square(wanted.astype(np.float64) - got).sum())
    return 10 * math.log10(float(np.square(wanted.astype(np.float64)).sum()) / max(noise, 1e-30))


def token_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gpt-sovits-tokens"]


def whole(voice: GptSovitsVoice, sentence: Sentence, codes: Sequence[int], seed: int = 0) -> Samples:
    """What the voice says at rate 1, worked out at leisure: latents block by block, then one run of the decoder."""
    assert voice._parts is not None
    graphs, style = voice._parts[1].graphs, voice._styles["calm"]
    text_k, text_v = graphs["text_encoder"].run(None, {"phones": voice.phones(sentence)})
    frames = 2 * len(codes)
    noise = FrameNoise(seed, INTER).frames(0, frames)
    latents, start, sizes = [], 0, [12, 16]
    while start < len(codes):
        end = start + (sizes.pop(0) if sizes else 25)
        window = codes[max(0, start - 250) : end + 4]
        if len(codes) < end + 4:
            end = len(codes)
        feeds = {"codes": np.array(window), "text_k": text_k, "text_v": text_v, "mrte_bias": style.mrte_bias}
        mean, log_scale = graphs["latent_encoder"].run(None, feeds)
        first, since = 2 * max(0, start - 250), max(0, 2 * start - 8)
        until = min(frames, 2 * (end + 4))
        z_p = mean + noise[:, first : first + mean.shape[1]] * np.exp(log_scale) * np.float32(0.5)
        (z,) = graphs["flow"].run(None, {"z_p": z_p[:, since - first : until - first], "flow_bias": style.flow_bias})
        latents.append(z[:, 2 * start - since : 2 * end - since])
        start = end
    feeds = {"z": np.concatenate(latents, axis=1), "decoder_bias": style.decoder_bias}
    return graphs["decoder"].run(None, feeds)[0]


@pytest.mark.parametrize("length", [1, 2, 11, *EDGES])
def test_streamed_equals_whole(real: GptSovitsVoice, bundle: Bundle, length: int) -> None:
    codes = script(length)
    sentence = WORD if length < 11 else SENTENCE if length < 60 else LONG
    voice = scripted(real, bundle, ScriptedTokens(codes))
    voice._parts[0].settings = voice._parts[0].settings.model_copy(update={"min_tokens": 0})
    chunks = list(voice.open(sentence, Delivery(), ChunkPlan()))
    got = np.concatenate([chunk.samples for chunk in chunks])
    assert len(got) == TOKEN * length
    assert snr(whole(voice, sentence, codes[:-1]), got) > 100
    assert len(chunks) >= (1 if length < 16 else 2)
    assert all(chunk.sample_rate == RATE and chunk.samples.dtype == np.float32 for chunk in chunks)


@pytest.mark.parametrize("rate", [0.5, 0.77, 1.25, 1.9, 2.0])
@pytest.mark.parametrize("pitch", [0.0, 4.0, -5.5])
def test_a_sentence_has_exactly_the_samples_of_its_tokens(
    real: GptSovitsVoice, bundle: Bundle, rate: float, pitch: float
) -> None:
    for length in (11, 28, 31, 32, 64):
        voice = scripted(real, bundle, ScriptedTokens(script(length)))
        sentence = LONG if length > 50 else SENTENCE
        got = samples(voice.open(sentence, Delivery(rate=rate, pitch=pitch), ChunkPlan()))
        assert len(got) == round(TOKEN * length / rate), length
        assert np.isfinite(got).all()
        assert np.abs(got[-HOP:]).max() > 1e-3


@pytest.mark.parametrize("delivery", [Delivery(), Delivery(rate=1.37), Delivery(rate=0.6, pitch=-2)])
def test_sound_does_not_depend_on_when_it_is_played(real: GptSovitsVoice, bundle: Bundle, delivery: Delivery) -> None:
    voice = scripted(real, bundle, ScriptedTokens(script(70)))
    streamed = list(voice.open(LONG, delivery, ChunkPlan(first_ms=10)))
    held = list(voice.open(LONG, delivery, WHOLE))
    assert np.array_equal(np.concatenate([c.samples for c in streamed]), np.concatenate([c.samples for c in held]))
    slow = scripted(real, bundle, ScriptedTokens(script(70), before_step=lambda step: time.sleep(0.001 * (step % 3))))
    assert np.array_equal(samples(slow.open(LONG, delivery, ChunkPlan())), np.concatenate([c.samples for c in held]))


def test_the_first_chunk_comes_before_the_sentence_is_generated(real: GptSovitsVoice, bundle: Bundle) -> None:
    tokens = ScriptedTokens(script(150))
    chunks = iter(scripted(real, bundle, tokens).open(LONG, Delivery(), ChunkPlan()))
    first = next(chunks)
    assert tokens.steps <= 16 + 29
    assert len(first.samples) == (2 * 12 - DECODER_REACH) * HOP
    chunks.close()


def test_the_seed_decides_what_is_heard(real: GptSovitsVoice) -> None:
    def start(seed: int | None) -> Samples:
        chunks = iter(real.open(LONG, Delivery(sampling=Sampling(seed=seed)), ChunkPlan()))
        first = next(chunks).samples
        chunks.close()
        return first

    assert np.array_equal(start(1), start(1))
    assert not np.allclose(start(1), start(2))
    assert np.array_equal(start(None), start(0))


def test_knobs_reach_the_drawing(real: GptSovitsVoice) -> None:
    def start(sampling: Sampling) -> Samples:
        chunks = iter(real.open(LONG, Delivery(sampling=sampling), ChunkPlan()))
        first = next(chunks).samples
        chunks.close()
        return first

    usual = start(Sampling(seed=1))
    for other in (Sampling(seed=1, top_k=1), Sampling(seed=1, top_p=0.1), Sampling(seed=1, temperature=2.0)):
        assert not np.array_equal(start(other), usual), other
    greedy = (start(Sampling(seed=1, top_k=1, repetition_penalty=penalty)) for penalty in (1.0, 3.0))
    assert not np.array_equal(*greedy)


def test_styles_differ_and_an_unknown_one_is_named(real: GptSovitsVoice) -> None:
    assert real.styles == ("calm", "cheerful")
    default, calm, cheerful = (
        next(iter(real.open(LONG, Delivery(style=style), ChunkPlan()))).samples for style in (None, "calm", "cheerful")
    )
    assert np.array_equal(default, calm)
    assert not np.allclose(calm, cheerful)
    with pytest.raises(BadRequest, match="style: toy has no style 'sad', only calm, cheerful"):
        real.open(LONG, Delivery(style="sad"), ChunkPlan())


def test_only_the_first_word_is_marked(real: GptSovitsVoice, bundle: Bundle) -> None:
    chunks = list(scripted(real, bundle, ScriptedTokens(script(30))).open(SENTENCE, Delivery(), ChunkPlan()))
    assert [(mark.offset, mark.value, mark.index) for chunk in chunks for mark in chunk.marks] == [(0, "hello", 0)]


def test_an_attempt_that_ends_too_early_or_never_is_repeated(real: GptSovitsVoice, bundle: Bundle) -> None:
    tokens = ScriptedTokens(script(11), FOREVER, script(70))
    got = samples(scripted(real, bundle, tokens).open(LONG, Delivery(), WHOLE))
    assert tokens.begun == 3
    assert len(got) == 70 * TOKEN


def test_a_sentence_that_fails_three_times_is_an_error_and_nothing_is_heard(
    real: GptSovitsVoice, bundle: Bundle
) -> None:
    tokens = ScriptedTokens(script(11))
    with pytest.raises(VoiceError, match="it ended after 11 tokens, 61 phones need more"):
        next(iter(scripted(real, bundle, tokens).open(LONG, Delivery(), ChunkPlan())))
    assert tokens.begun == 3
    assert not token_threads()


def test_an_empty_generation_never_replays_the_prompt(real: GptSovitsVoice, bundle: Bundle) -> None:
    tokens = ScriptedTokens([None])
    tokens.settings = tokens.settings.model_copy(update={"min_tokens": 0})
    with pytest.raises(VoiceError, match="it ended after 0 tokens"):
        list(scripted(real, bundle, tokens).open(SENTENCE, Delivery(), ChunkPlan()))
    assert tokens.begun == 3


def test_a_runaway_that_is_being_heard_already_ends_with_an_error(real: GptSovitsVoice, bundle: Bundle) -> None:
    tokens = ScriptedTokens(FOREVER)
    heard: list[AudioChunk] = []
    with pytest.raises(VoiceError, match="it did not end within 65 tokens for 8 phones"):
        heard.extend(scripted(real, bundle, tokens).open(SENTENCE, Delivery(), ChunkPlan()))
    assert tokens.begun == 1
    assert not token_threads()


def test_closing_stops_within_one_token(real: GptSovitsVoice, bundle: Bundle) -> None:
    tokens = ScriptedTokens(script(280), before_step=lambda step: time.sleep(0.002))
    chunks = iter(scripted(real, bundle, tokens).open(LONG, Delivery(), ChunkPlan()))
    next(chunks)
    assert len(token_threads()) == 1
    before = tokens.steps
    chunks.close()
    assert not token_threads()
    assert tokens.steps <= before + 2


def test_cancel_wakes_whoever_waits_for_sound(real: GptSovitsVoice, bundle: Bundle) -> None:
    gate = threading.Event()
    tokens = ScriptedTokens(script(280), before_step=lambda step: gate.wait(5) if step == 5 else None)
    session = scripted(real, bundle, tokens).open(LONG, Delivery(), ChunkPlan())
    heard: list[AudioChunk] = []
    reader = threading.Thread(target=lambda: heard.extend(session))
    reader.start()
    poll_until(lambda: tokens.steps == 5)
    session.cancel()
    gate.set()
    reader.join(5)
    assert not reader.is_alive()
    assert heard == []
    assert tokens.steps == 5
    assert not token_threads()


def test_a_session_cancelled_before_it_began_says_nothing(real: GptSovitsVoice) -> None:
    session = real.open(LONG, Delivery(), ChunkPlan())
    session.cancel()
    assert list(session) == []


def test_a_failing_token_model_is_an_error(real: GptSovitsVoice, bundle: Bundle) -> None:
    def fail(step: int) -> None:
        if step == 40:
            raise RuntimeError("out of memory")

    with pytest.raises(VoiceError, match="the token model failed: out of memory"):
        list(scripted(real, bundle, ScriptedTokens(script(70), before_step=fail)).open(LONG, Delivery(), ChunkPlan()))


def test_sound_that_is_no_number_is_an_error(real: GptSovitsVoice, bundle: Bundle) -> None:
    voice = scripted(real, bundle, ScriptedTokens(script(30)))
    style = voice._styles["calm"]
    style.decoder_bias[0] = np.nan
    with pytest.raises(VoiceError, match="NaN"):
        next(iter(voice.open(SENTENCE, Delivery(), ChunkPlan())))


def test_a_closed_voice_refuses_and_lets_the_last_session_finish(real: GptSovitsVoice, bundle: Bundle) -> None:
    voice = scripted(real, bundle, ScriptedTokens(script(30)))
    session = voice.open(SENTENCE, Delivery(), ChunkPlan())
    voice.close()
    assert len(samples(session)) == 30 * TOKEN
    with pytest.raises(VoiceError, match="closed"):
        voice.open(SENTENCE, Delivery(), ChunkPlan())


def test_phones_and_marks_are_the_voices_symbols() -> None:
    known = dict.fromkeys(("HH", "AH0", "L", "OW1", "Y", "UW1", ",", ".", "?"), 0)
    words = (
        Word("hello", ("HH", "AH0"), Break.NONE),
        Word("a", ("L",), Break.MEDIUM),
        Word("b", ("OW1",), Break.MAJOR),
        Word("you", ("Y", "UW1"), Break.MAJOR),
    )
    assert symbols_of(Sentence(words, ending="?"), known) == ["HH", "AH0", "L", ",", "OW1", ".", "Y", "UW1", "?"]
    assert symbols_of(Sentence(words, ending="!"), known)[-1] == "."
    assert symbols_of(Sentence((Word("you", ("Y", "UW1"), Break.MAJOR),)), known) == [".", "Y", "UW1", "."]
    with pytest.raises(VoiceError, match="no symbol 'AE1'"):
        symbols_of(Sentence((Word("a", ("AE1",)),)), known)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.0, 1.6, 2.0])
def test_stretched_latents_are_the_same_however_they_are_cut(rate: float) -> None:
    ramp = np.tile(np.arange(100, dtype=np.float32), (2, 1))
    count = int(100 / rate)
    once = stretch(ramp, 0, 0, count, rate)
    assert once.shape == (2, count)
    expected = np.clip((np.arange(count) + 0.5) * rate - 0.5, 0, 99)
    assert np.allclose(once[0], expected, atol=1e-4)
    part = stretch(ramp[:, 40:], 40, int(45 / rate), int(70 / rate), rate)
    assert np.allclose(part, once[:, int(45 / rate) : int(70 / rate)], atol=1e-4)


def test_noise_belongs_to_its_frame() -> None:
    once = FrameNoise(3, 4).frames(0, 50)
    parts = FrameNoise(3, 4)
    assert np.array_equal(parts.frames(0, 20), once[:, :20])
    assert np.array_equal(parts.frames(12, 45), once[:, 12:45])
    assert np.array_equal(parts.frames(30, 50), once[:, 30:])
    assert not np.array_equal(FrameNoise(4, 4).frames(0, 50), once)


def test_the_generating_side_waits_when_it_is_far_enough_ahead() -> None:
    stream = TokenStream(ahead=3)
    put: list[int] = []

    def produce() -> None:
        for token in range(100):
            if not stream.put(token):
                return
            put.append(token)

    thread = threading.Thread(target=produce)
    thread.start()
    poll_until(lambda: len(put) == 3)
    assert stream.first(10) == tuple(range(10))
    poll_until(lambda: len(put) == 13)
    stream.close()
    thread.join(5)
    assert len(put) == 13


def test_tokens_before_an_error_can_still_be_read() -> None:
    stream = TokenStream(ahead=9)
    for token in range(5):
        stream.put(token)
    stream.finish(VoiceError("ended"))
    assert stream.first(5) == (0, 1, 2, 3, 4)
    with pytest.raises(VoiceError, match="ended"):
        stream.first(6)


def test_a_stream_starts_again_only_while_nothing_was_read() -> None:
    stream = TokenStream(ahead=9)
    stream.put(1)
    assert stream.restart()
    stream.put(2)
    stream.finish()
    assert stream.first(4) == (2,)
    assert not stream.restart()


def test_the_family_is_found_by_its_entry_point(bundle: Bundle) -> None:
    voice = load_voice(bundle, bundle.precisions())
    assert (voice.name, voice.language, voice.sample_rate, voice.precision) == ("toy", "en-US", RATE, "fp32")


def damage(folder: Path, **arrays: np.ndarray) -> None:
    """Replace the calm style's arrays and list the new checksum."""
    np.savez(folder / "style_calm.npz", **arrays)
    manifest = json.loads((folder / "voice.json").read_text())
    manifest["files"]["style_calm.npz"] = sha256(folder / "style_calm.npz")
    (folder / "voice.json").write_text(json.dumps(manifest))


def test_a_bundle_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "toy")
    damage(folder, prompt_tokens=np.arange(3))
    with pytest.raises(BundleError, match=r"style_calm\.npz: .*ref_rows"):
        load(Bundle(folder), "fp32", 1)
    with pytest.raises(BundleError, match=r"voice\.json: settings: chunks\.look_ahead"):
        read_settings(Bundle(write_bundle(tmp_path / "other", chunks={"look_ahead": -1})))
    with pytest.raises(BundleError, match="styles: a GPT-SoVITS voice needs at least one"):
        load(Bundle(write_bundle(tmp_path / "bare", styles=())), "fp32", 1)


def test_a_rehearsal_is_the_same_whatever_is_drawn(real: GptSovitsVoice, bundle: Bundle) -> None:
    golden = make_golden(real, GOLDEN)
    assert golden.duration_ms == 1000
    check_golden(real, golden)
    prompt = real._styles["calm"].prompt_tokens[:25].tolist()
    other = scripted(real, bundle, ScriptedTokens([*prompt, None]))
    check_golden(other, golden)
    other._styles["calm"].mrte_bias[:] = 9
    with pytest.raises(BundleError, match="level is off"):
        check_golden(other, golden)


def test_logits_that_are_no_numbers_fail_the_golden_utterance(real: GptSovitsVoice, bundle: Bundle) -> None:
    tokens = ScriptedTokens([5])
    tokens.begin = lambda *_: SimpleNamespace(logits=np.full(1025, np.nan, np.float32))
    with pytest.raises(VoiceError, match="its logits are not finite"):
        check_golden(scripted(real, bundle, tokens), make_golden(real, GOLDEN))


def test_the_tape_moves_every_frequency_alike() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    tape = TapeSpeed(pitch_factor(12), RATE)
    parts = [tape.push(tone[i : i + 7000], last=i + 7000 >= RATE) for i in range(0, RATE, 7000)]
    shifted = np.concatenate(parts)
    assert abs(len(shifted) - RATE / 2) <= 1
    spectrum = np.abs(np.fft.rfft(shifted * np.hanning(len(shifted))))
    assert np.argmax(spectrum) * RATE / len(shifted) == pytest.approx(1000, abs=5)


def test_a_shift_without_soxr_says_what_to_install(real: GptSovitsVoice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(VoiceError, match="pip install soxr"):
        real.open(SENTENCE, Delivery(pitch=1), ChunkPlan())
    real.open(SENTENCE, Delivery(), ChunkPlan())
