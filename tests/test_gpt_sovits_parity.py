"""Our fp32 models, in torch and as exported graphs, against values the official code computed from the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.gpt_sovits_fixtures import Array, Run, forced_logits, make_checkpoint, positions, reference, snr  # noqa: E402
from tools.gpt_sovits import graphs  # noqa: E402
from tools.gpt_sovits.checkpoint import GptCheckpoint, read_gpt, read_sovits  # noqa: E402
from tools.gpt_sovits.decoder import Decoder, decoder_bias  # noqa: E402
from tools.gpt_sovits.encoder import mrte_bias  # noqa: E402
from tools.gpt_sovits.flow import Flow, flow_bias  # noqa: E402
from tools.gpt_sovits.reference_encoder import mrte_timbre, semantic_tokens, spectrogram, timbre  # noqa: E402
from tools.gpt_sovits.t2s import text_rows  # noqa: E402
from tools.gpt_sovits.weights import Weights  # noqa: E402

Model = Callable[..., list[Array]]
"""Inputs by name -> outputs in order."""


def session(path: Path) -> Model:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    loaded = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda **inputs: loaded.run(None, inputs)


def in_torch(module: torch.nn.Module) -> Model:
    def run(**inputs: Array) -> list[Array]:
        with torch.no_grad():
            results = module(*(torch.from_numpy(np.ascontiguousarray(value)) for value in inputs.values()))
        return [result.numpy() for result in (results if isinstance(results, tuple) else (results,))]

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("parity")


def made(folder: Path, name: str) -> Path:
    """The checkpoint of that name, written once per run."""
    path = folder / f"{name}.ckpt"
    return path if path.exists() else make_checkpoint(name, path)


@dataclass
class Gpt:
    """A T2S model to run, and the embedding tables that its caller uses."""

    checkpoint: GptCheckpoint
    run: Run
    heads: list[int]

    def rows(self, phones: Array, prompt: Array, bert: Array | None) -> Array:
        weights = Weights(self.checkpoint.tensors)
        text = text_rows(weights, torch.from_numpy(phones), None if bert is None else torch.from_numpy(bert)).numpy()
        scale = weights["ar_text_position.alpha"].numpy()
        return np.concatenate([text + scale * positions(0, *text.shape), self.audio(prompt, 0)])

    def audio(self, tokens: Array, first: int) -> Array:
        weights = Weights(self.checkpoint.tensors)
        rows = weights["ar_audio_embedding.word_embeddings.weight"].numpy()[tokens]
        return rows + weights["ar_audio_position.alpha"].numpy() * positions(first, *rows.shape)

    def logits(self, prompt: Array, tokens: Array, bert: Array | None = None, bucket: int = 384) -> Array:
        """Logits after the prompt and after each token."""
        phones = np.concatenate([T2S["ref_phones"][0], T2S["text_phones"][0]])
        rows, steps = self.rows(phones, prompt, bert), self.audio(tokens, len(prompt))
        return forced_logits(self.run, self.heads, self.checkpoint.head_width, rows, len(phones), steps, bucket)


T2S = reference("t2s_tiny")


@pytest.fixture(scope="module", params=["torch", "onnx"])
def gpt(request: pytest.FixtureRequest, folder: Path) -> Gpt:
    checkpoint = read_gpt(made(folder, "t2s_tiny"))
    model = graphs.build_t2s(checkpoint)
    if request.param == "torch":
        run = in_torch(model)
    else:
        graphs.export_t2s(model, folder / "t2s.onnx")
        run = session(folder / "t2s.onnx")
    return Gpt(checkpoint, lambda feed: run(**feed), model.heads)


RUNS = {
    "greedy": ("prompts", None),
    "greedy_pen": ("prompts", None),
    "greedy_zh": ("prompts", "bert_zh"),
    "eos": ("eos_prompts", None),
    "cut": ("cut_prompts", None),
}


@pytest.mark.parametrize("name", RUNS)
def test_t2s_logits(gpt: Gpt, name: str) -> None:
    prompt, bert = RUNS[name]
    features = None if bert is None else T2S[bert][0].astype(np.float32)
    wanted = T2S[f"{name}_logits"]
    logits = gpt.logits(T2S[prompt][0], T2S[f"{name}_tokens"][0][: len(wanted) - 1], features)
    assert np.abs(logits - wanted).max() < 1e-3
    assert (logits.argmax(1) == wanted.argmax(1)).all()


def test_t2s_does_not_depend_on_the_bucket(gpt: Gpt) -> None:
    tokens = T2S["greedy_tokens"][0][:5]
    small, large = (gpt.logits(T2S["prompts"][0], tokens, bucket=size) for size in (144, 512))
    assert np.abs(small - large).max() < 1e-4


def test_padding_rows_in_front_change_nothing(gpt: Gpt) -> None:
    phones = np.concatenate([T2S["ref_phones"][0], T2S["text_phones"][0]])
    rows = gpt.rows(phones, T2S["prompts"][0], None)
    padding, bucket = 21, 128
    width = gpt.checkpoint.head_width
    count = padding + len(rows)
    mask = np.full((count, bucket + count), -1.0e4, np.float32)
    new = mask[padding:, bucket + padding :]
    new[:, : len(phones)] = 0
    audio = new[len(phones) :, len(phones) :]
    audio[np.tril_indices(len(audio))] = 0
    cache = np.zeros((sum(gpt.heads), bucket, width), np.float32)
    feed = {"rows": np.concatenate([np.zeros((padding, rows.shape[1]), np.float32), rows]), "mask": mask}
    for layer, heads in enumerate(gpt.heads):
        feed[f"k_{layer}"] = feed[f"v_{layer}"] = cache[:heads]
    assert np.abs(gpt.run(feed)[0][0] - T2S["greedy_logits"][0]).max() < 1e-3


@dataclass
class Sovits:
    """A SoVITS voice to run, its reference values and the biases of its timbre."""

    wanted: dict[str, Array]
    text_encoder: Model
    latent_encoder: Model
    flow: Model
    decoder: Model
    biases: dict[str, Array]
    flow_module: Flow
    decoder_module: Decoder

    def prior(self, codes: Array) -> list[Array]:
        text_k, text_v = self.text_encoder(phones=self.wanted["text_phones"][0])
        return self.latent_encoder(codes=codes, text_k=text_k, text_v=text_v, mrte_bias=self.biases["mrte_bias"])

    def latents(self, z_p: Array) -> Array:
        return self.flow(z_p=z_p, flow_bias=self.biases["flow_bias"])[0]

    def wave(self, z: Array) -> Array:
        return self.decoder(z=z, decoder_bias=self.biases["decoder_bias"])[0]


@pytest.fixture(scope="module", params=["v2-torch", "v2-onnx", "v2Pro-torch", "v2Pro-onnx"])
def sovits(request: pytest.FixtureRequest, folder: Path) -> Sovits:
    version, engine = request.param.split("-")
    name = f"sovits_tiny_{version}"
    checkpoint, wanted = read_sovits(made(folder, name)), reference(name)
    weights = Weights(checkpoint.tensors)
    ge = torch.from_numpy(wanted["ge"][0, :, 0])
    with torch.no_grad():
        biases = {
            "mrte_bias": mrte_bias(weights.at("enc_p"), mrte_timbre(weights, ge)).numpy(),
            "flow_bias": flow_bias(weights.at("flow", "flows"), ge).numpy(),
            "decoder_bias": decoder_bias(weights.at("dec"), ge).numpy(),
        }
    modules = graphs.build_sovits(checkpoint)
    if engine == "torch":
        models = [in_torch(module) for module in modules]
    else:
        exports = (
            graphs.export_text_encoder,
            graphs.export_latent_encoder,
            graphs.export_flow,
            graphs.export_decoder,
        )
        models = []
        for module, export in zip(modules, exports, strict=True):
            path = folder / f"{name}_{export.__name__}.onnx"
            export(module, path)
            models.append(session(path))
    return Sovits(wanted, *models, biases, modules[2], modules[3])


def test_wave_one_second(sovits: Sovits) -> None:
    wanted = sovits.wanted
    mean, log_scale = sovits.prior(wanted["codes_1s"][0, 0])
    z = sovits.latents(mean)
    assert np.abs(mean - wanted["m_p_1s"][0]).max() < 1e-4
    assert np.abs(log_scale - wanted["logs_p_1s"][0]).max() < 1e-4
    assert np.abs(z - wanted["z_1s"][0]).max() < 1e-4
    assert snr(wanted["wav_1s"], sovits.wave(z)) > 80


def test_wave_with_noise(sovits: Sovits) -> None:
    wanted = sovits.wanted
    mean, log_scale = sovits.prior(wanted["codes_1s"][0, 0])
    noise = wanted["noise_1s"][0].astype(np.float32)
    z = sovits.latents(mean + noise * np.exp(log_scale) * np.float32(0.5))
    assert snr(wanted["wav_1s_noise"], sovits.wave(z)) > 80


def test_wave_of_another_length(sovits: Sovits) -> None:
    if "wav_3s" not in sovits.wanted:
        pytest.skip("the v2 values cover it")
    mean, _ = sovits.prior(sovits.wanted["codes_3s"][0, 0])
    assert snr(sovits.wanted["wav_3s"], sovits.wave(sovits.latents(mean))) > 80


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_few_codes_give_two_frames_each(sovits: Sovits, count: int) -> None:
    mean, log_scale = sovits.prior(sovits.wanted["codes_1s"][0, 0][:count])
    assert mean.shape[1] == log_scale.shape[1] == 2 * count
    assert sovits.wave(sovits.latents(mean)).shape == (1280 * count,)


def test_chunks_with_margins_are_the_whole(sovits: Sovits) -> None:
    """With the receptive field as margin exactly, with the margins that bundles name to more than 100 dB."""
    rng = np.random.default_rng(3)
    frames, size = 120, 30
    z_p = rng.standard_normal((sovits.wanted["z_1s"].shape[1], frames)).astype(np.float32)
    z = sovits.latents(z_p)
    wave = sovits.wave(z)

    def chunked(model: Callable[[Array], Array], source: Array, margin: int, hop: int) -> Array:
        parts = []
        for start in range(0, frames, size):
            first, last = max(0, start - margin), min(frames, start + size + margin)
            made = model(np.ascontiguousarray(source[:, first:last]))
            parts.append(made[..., (start - first) * hop : (start - first + size) * hop])
        return np.concatenate(parts, axis=-1)

    assert sovits.flow_module.receptive_field == 32
    assert sovits.decoder_module.receptive_field == 11
    for margin, least in ((32, 120), (8, 100)):
        assert snr(z, chunked(sovits.latents, z_p, margin, 1)) > least
    for margin, least in ((11, 115), (8, 100)):
        assert snr(wave, chunked(sovits.wave, z, margin, 640)) > least


@pytest.mark.parametrize("version", ["v2", "v2Pro"])
def test_reference_clip(folder: Path, version: str) -> None:
    name = f"sovits_tiny_{version}"
    wanted = reference(name)
    checkpoint = read_sovits(made(folder, name))
    weights = Weights(checkpoint.tensors)
    spec = spectrogram(torch.from_numpy(wanted["ref_audio"][0].astype(np.float32) / 32768), checkpoint.hop)
    assert spec.shape == (1025, 150)
    assert np.abs(spec.numpy()[:, wanted["ref_spec_frames"]] - wanted["ref_spec"][0]).max() < 1e-3
    speaker = torch.from_numpy(wanted["sv_emb"][0].astype(np.float32)) if "sv_emb" in wanted else None
    ge = timbre(weights, spec, speaker)
    assert np.abs(ge.numpy() - wanted["ge"][0, :, 0]).max() < 1e-5
    if "ge512" in wanted:
        assert np.abs(mrte_timbre(weights, ge).numpy() - wanted["ge512"][0, :, 0]).max() < 1e-5
    codes = semantic_tokens(weights, torch.from_numpy(wanted["ssl"][0].astype(np.float32)))
    assert (codes.numpy() == wanted["ssl_codes"][0, 0]).all()
