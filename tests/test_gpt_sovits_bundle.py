"""A bundle exported from tiny official-format checkpoints, spoken by the daemon's own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from edge_tts.audio.chunk import Samples  # noqa: E402
from edge_tts.sentence import Break, Sentence, Word  # noqa: E402
from edge_tts.voices.base import ChunkPlan, Delivery, Sampling  # noqa: E402
from edge_tts.voices.bundle import Bundle  # noqa: E402
from edge_tts.voices.gpt_sovits import load  # noqa: E402
from edge_tts.voices.gpt_sovits.token_stream import TokenStream  # noqa: E402
from edge_tts.voices.gpt_sovits.vocoder import Block, Vocoder, blocks  # noqa: E402
from edge_tts.voices.gpt_sovits.voice import GptSovitsVoice  # noqa: E402
from tests.gpt_sovits_fixtures import make_checkpoint, reference, snr  # noqa: E402
from tools.gpt_sovits.checkpoint import read_gpt, read_sovits  # noqa: E402
from tools.gpt_sovits.export import write_bundle  # noqa: E402
from tools.gpt_sovits.reference import StyleSource, style_arrays  # noqa: E402

WANTED = reference("sovits_tiny_v2")


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> GptSovitsVoice:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("export")
    gpt = read_gpt(make_checkpoint("t2s_tiny", folder / "gpt.ckpt"))
    sovits = read_sovits(make_checkpoint("sovits_tiny_v2", folder / "sovits.pth"))
    soundfile.write(folder / "clip.wav", WANTED["ref_audio"][0], 32000, subtype="PCM_16")
    np.save(folder / "features.npy", WANTED["ssl"])
    source = StyleSource(clips=(folder / "clip.wav",), features=folder / "features.npy")
    styles = {"calm": style_arrays(gpt, sovits, source, [5, 6, 3], None)}
    out: Path = folder / "noise"
    write_bundle(out, gpt, sovits, styles, language="en-US", license="none", progress=lambda line: None)
    return load(Bundle(out), "fp32", 1)


def vocode(voice: GptSovitsVoice, codes: Sequence[int], *, noise_scale: float, margin: int | None = None) -> Samples:
    """The sound of `codes` streamed block by block, or with a `margin` beyond its end decoded at once."""
    assert voice._parts is not None
    vocoder = voice._parts[1]
    settings = voice.settings.model_copy(update={"noise_scale": noise_scale})
    other = Vocoder(vocoder.graphs, settings, vocoder.hop, vocoder.margin if margin is None else margin)
    speech = other.begin(WANTED["text_phones"][0], voice._styles["calm"], 0, 1.0)
    stream = TokenStream(ahead=len(codes))
    for code in codes:
        stream.put(code)
    stream.finish()
    return np.concatenate([speech.push(block) for block in blocks(stream, settings.chunks, 0)])


@pytest.mark.parametrize("name", ["1s", "3s"])
def test_a_single_block_is_the_official_whole_sentence(voice: GptSovitsVoice, name: str) -> None:
    assert voice._parts is not None
    vocoder = voice._parts[1]
    quiet = Vocoder(vocoder.graphs, voice.settings.model_copy(update={"noise_scale": 0.0}), vocoder.hop, vocoder.margin)
    codes = tuple(WANTED[f"codes_{name}"][0, 0].tolist())
    speech = quiet.begin(WANTED["text_phones"][0], voice._styles["calm"], 0, 1.0)
    wave = speech.push(Block(0, len(codes), codes, 0, True))
    assert snr(WANTED[f"wav_{name}"], wave) > 80


@pytest.mark.parametrize("length", [11, 12, 27, 32, 57, 75])
def test_a_real_decoder_streams_as_it_decodes_the_whole(voice: GptSovitsVoice, length: int) -> None:
    codes = WANTED["codes_3s"][0, 0][:length].tolist()
    whole = vocode(voice, codes, noise_scale=0.5, margin=10_000)
    assert len(whole) == 1280 * length
    assert snr(whole, vocode(voice, codes, noise_scale=0.5)) > 60


def test_a_sentence_is_spoken_from_phones_to_sound(voice: GptSovitsVoice) -> None:
    sentence = Sentence((Word("hello", ("HH", "AH0", "L", "OW1")), Word("world", ("W", "ER1", "L", "D"), Break.MAJOR)))
    chunks = iter(voice.open(sentence, Delivery(sampling=Sampling(seed=1)), ChunkPlan()))
    first, second = next(chunks), next(chunks)
    chunks.close()
    assert len(first.samples) == (2 * 12 - 8) * 640
    assert len(second.samples) == 2 * 16 * 640
    assert 1e-3 < np.abs(first.samples).max() <= 1
