"""The light decoder takes and gives what SoVITS's own decoder does, for a fraction of its work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.base import ChunkPlan, Delivery
from edge_tts.voices.bundle import Bundle, sha256
from edge_tts.voices.gpt_sovits import load
from edge_tts.voices.gpt_sovits.settings import read_styles
from edge_tts.voices.gpt_sovits.voice import GptSovitsVoice
from tests import gpt_sovits_toy
from tests import tiny_checkpoints as tiny
from tools import light_decoder
from tools.light_decoder import LightDecoder, LightDecoderError, Shape, export_light, install, like, read_light
from tools.pruning.cost import macs
from tools.pruning.sovits import Sovits

SMALL = Shape(inter=6, bias=12, hop=32, channels=16, hidden=32, blocks=2)


@pytest.fixture
def light() -> LightDecoder:
    torch.manual_seed(0)
    decoder: LightDecoder = LightDecoder(SMALL)
    return decoder.eval()


def make_bundle(folder: Path, inter: int = 6, hop: int = 32, family: str = "gpt_sovits") -> Path:
    folder.mkdir()
    (folder / "decoder.fp32.onnx").write_bytes(b"the big one")
    manifest = {
        "name": "noise",
        "family": family,
        "language": "en-us",
        "sample_rate": 32000,
        "license": "CC0-1.0",
        "graphs": {
            "decoder": [
                {
                    "file": "decoder.fp32.onnx",
                    "precision": "fp32",
                    "sha256": sha256(folder / "decoder.fp32.onnx"),
                }
            ]
        },
        "streaming": {"hop": hop, "receptive_field": 11},
        "quality": {"fp32": {"wer": 1.0}},
        "settings": {"inter_channels": inter, "decoder": "hifigan", "decoder_margin": 8},
    }
    (folder / "voice.json").write_text(json.dumps(manifest))
    return folder


def test_a_second_of_sound_takes_at_most_3_gmac() -> None:
    with torch.device("meta"):
        decoder: LightDecoder = LightDecoder(Shape())
        z, bias = torch.empty(192, 50), torch.empty(512)
        work = macs(lambda: decoder(z, bias))
    # the layers alone: first convolution, upsampling, blocks, head, inverse transform
    expected = 50 * (192 * 512 * 7 + 512 * 256 * 4)
    expected += 200 * (8 * (256 * 7 + 2 * 256 * 768) + 256 * 642 + 642 * 640)
    assert work == expected
    assert work < 3e9


@pytest.mark.parametrize("frames", [1, 2, 7, 40])
def test_every_frame_gives_its_samples(light: LightDecoder, frames: int) -> None:
    with torch.no_grad():
        assert light(torch.randn(6, frames), torch.randn(12)).shape == (frames * 32,)


def test_chunks_with_context_are_the_whole(light: LightDecoder) -> None:
    z, bias, reach = torch.randn(6, 60), torch.randn(12), light.receptive_field
    with torch.no_grad():
        whole = light(z, bias)
        chunk = light(z[:, 20 - reach : 30 + reach], bias)[reach * 32 : -reach * 32]
        narrow = light(z[:, 20:30], bias)
    assert (chunk - whole[20 * 32 : 30 * 32]).abs().max() < 1e-5
    assert (narrow - whole[20 * 32 : 30 * 32]).abs().max() > 1e-3


def test_frames_overlap_to_the_signal_they_describe() -> None:
    """Windowed spectra of a signal, put in place of the network's, give the signal back."""
    from tools.light_decoder import _synthesis

    size, stride = SMALL.size, SMALL.stride
    signal = torch.randn(20 * stride)
    window = torch.hann_window(size)
    padded = torch.nn.functional.pad(signal, ((size - stride) // 2,) * 2)
    frames = torch.fft.rfft(padded.unfold(0, size, stride) * window).T / size**0.5
    parts = torch.cat([frames.real, frames.imag])[None]
    made = torch.nn.functional.conv_transpose1d(parts, _synthesis(SMALL), stride=stride, padding=(size - stride) // 2)[
        0, 0
    ]
    inside = slice(2 * stride, -2 * stride)
    assert (made - signal)[inside].abs().max() < 1e-5


def test_the_graph_computes_what_the_network_does(light: LightDecoder, tmp_path: Path) -> None:
    export_light(light, tmp_path / "decoder.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "decoder.onnx"), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["z", "decoder_bias"]
    assert [o.name for o in session.get_outputs()] == ["wav"]
    for frames in (3, 25):
        z, bias = torch.randn(6, frames), torch.randn(12)
        (wav,) = session.run(None, {"z": z.numpy(), "decoder_bias": bias.numpy()})
        with torch.no_grad():
            expected = light(z, bias).numpy()
        assert wav.shape == expected.shape
        assert np.abs(wav - expected).max() < 1e-4


def test_it_begins_with_the_first_convolution_of_the_decoder_it_replaces(tmp_path: Path) -> None:
    voice = Sovits(tiny.sovits(tmp_path / "voice.pth"))
    decoder = voice.decoder(voice.tensors)
    light = like(decoder, hop=8, upsampling=2, channels=16, hidden=16, blocks=1)
    assert torch.equal(light.conv_pre.weight, decoder.conv_pre.weight)
    utterances = tiny.utterances(1)
    (z,) = voice.latents(voice.tensors, utterances)
    bias = voice.decoder_bias(voice.tensors, utterances.timbre)
    with torch.no_grad():
        assert light(z, bias).shape == decoder(z, bias).shape


def test_a_bundle_carries_it_by_name(light: LightDecoder, tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "voice")
    torch.save(light.checkpoint(), tmp_path / "light.pt")
    assert light_decoder.main([str(tmp_path / "light.pt"), str(folder)]) == 0
    bundle = Bundle(folder)
    assert bundle.manifest.settings == {"inter_channels": 6, "decoder": "istft"}
    assert bundle.manifest.streaming.receptive_field == light.receptive_field
    assert not bundle.manifest.quality
    assert bundle.graph("decoder", "fp32").name == "decoder.istft.fp32.onnx"
    assert not (folder / "decoder.fp32.onnx").exists()


def test_the_daemon_speaks_with_it_in_chunks_as_in_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = gpt_sovits_toy.write_bundle(tmp_path / "toy")
    light: LightDecoder = LightDecoder(Shape(inter=4, bias=4, channels=16, hidden=32, blocks=2))
    install(light.eval(), folder)
    bundle = Bundle(folder)
    voice = load(bundle, "fp32", 1)
    assert voice._parts is not None
    codes = gpt_sovits_toy.ScriptedTokens(gpt_sovits_toy.script(90))
    voice = GptSovitsVoice(bundle, "fp32", voice.settings, read_styles(bundle), codes, voice._parts[1])
    sentence = Sentence((Word("long", ("L", "AO1", "NG") * 20, Break.MAJOR),))
    assert voice._parts is not None
    decoder = voice._parts[1].graphs["decoder"]
    seen: list[np.ndarray] = []

    class Recorder:
        def run(self, outputs: object, feeds: dict[str, np.ndarray], *rest: object) -> list[np.ndarray]:
            seen.append(feeds["z"])
            made: list[np.ndarray] = decoder.run(outputs, feeds, *rest)
            return made

    voice._parts[1].graphs["decoder"] = Recorder()
    chunks = [chunk.samples for chunk in voice.open(sentence, Delivery(), ChunkPlan())]
    assert len(chunks) > 2
    margin = light.receptive_field
    # the runs overlap by the margins; without them they are the whole sentence's latents
    z = seen[0][:, : seen[0].shape[1] - margin]
    for index, part in enumerate(seen[1:], 2):
        z = np.concatenate([z, part[:, margin : part.shape[1] - (margin if index < len(seen) else 0)]], axis=1)
    (wanted,) = decoder.run(None, {"z": z, "decoder_bias": np.zeros(4, np.float32)})
    made = np.concatenate(chunks)
    assert made.shape == wanted.shape == (90 * 1280,)
    noise = np.square(wanted - made).sum() / np.square(wanted).sum()
    assert 10 * np.log10(noise + 1e-20) < -60


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inter": 7}, "inter is 7, the light decoder has 6"),
        ({"hop": 64}, "hop is 64, the light decoder has 32"),
        ({"family": "student"}, "only GPT-SoVITS voices have latents"),
    ],
)
def test_a_bundle_it_does_not_fit_stays_as_it_is(
    light: LightDecoder, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    folder = make_bundle(tmp_path / "voice", **changes)  # type: ignore[arg-type]
    before = (folder / "voice.json").read_bytes()
    with pytest.raises(LightDecoderError, match=message):
        install(light, folder)
    assert (folder / "voice.json").read_bytes() == before


def test_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"shape": {"inter": 6}}, tmp_path / "other.pt")
    with pytest.raises(LightDecoderError, match=r"other\.pt: not a light decoder"):
        read_light(tmp_path / "other.pt")
