"""From checkpoints and a reference clip to a bundle, and what is refused on the way."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import soundfile

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edge_tts.voices.bundle import Bundle  # noqa: E402
from tests.gpt_sovits_fixtures import DATA, forced_logits, make_checkpoint, positions, reference, snr  # noqa: E402
from tools import export_gpt_sovits  # noqa: E402
from tools.gpt_sovits import graphs  # noqa: E402
from tools.gpt_sovits.checkpoint import (  # noqa: E402
    CheckpointError,
    GptCheckpoint,
    SovitsCheckpoint,
    read_gpt,
    read_sovits,
    read_tensors,
)
from tools.gpt_sovits.export import symbols, write_bundle  # noqa: E402
from tools.gpt_sovits.reference import BadReference, StyleSource, hubert_features, style_arrays  # noqa: E402
from tools.gpt_sovits.speaker import filter_banks, speaker_embedding  # noqa: E402
from tools.gpt_sovits.weights import Weights  # noqa: E402

PHONES = "HH AH0 L OW1 W ER1 L D ."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny checkpoints of v2 and v2Pro, their reference clip, features, tokens and speaker embedding."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("voice")
    make_checkpoint("t2s_tiny", path / "gpt.ckpt")
    for version in ("v2", "v2Pro"):
        make_checkpoint(f"sovits_tiny_{version}", path / f"{version}.pth")
    wanted = reference("sovits_tiny_v2Pro")
    soundfile.write(path / "clip.wav", wanted["ref_audio"][0], 32000, subtype="PCM_16")
    np.save(path / "features.npy", wanted["ssl"])
    np.save(path / "tokens.npy", wanted["ssl_codes"])
    np.save(path / "speaker.npy", wanted["sv_emb"])
    return path


@pytest.fixture(scope="module")
def gpt(folder: Path) -> GptCheckpoint:
    return read_gpt(folder / "gpt.ckpt")


@pytest.fixture(scope="module")
def v2(folder: Path) -> SovitsCheckpoint:
    return read_sovits(folder / "v2.pth")


@pytest.fixture(scope="module")
def bundle(folder: Path, gpt: GptCheckpoint, v2: SovitsCheckpoint) -> Bundle:
    source = StyleSource(clips=(folder / "clip.wav",), features=folder / "features.npy")
    styles = {name: style_arrays(gpt, v2, source, [5, 6, 3], None) for name in ("calm", "cheerful")}
    out = folder / "en-noise-gpt_sovits"
    write_bundle(out, gpt, v2, styles, language="en-US", license="none", progress=lambda line: None)
    return Bundle(out)


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_the_bundle_loads_and_names_what_the_contract_says(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.name, manifest.family, manifest.sample_rate) == ("en-noise-gpt_sovits", "gpt_sovits", 32000)
    assert tuple(manifest.graphs) == graphs.GRAPHS
    assert manifest.styles == ("calm", "cheerful")
    assert (manifest.streaming.hop, manifest.streaming.receptive_field) == (640, 11)
    assert manifest.settings["t2s"]["heads"] == [4, 4, 4]
    assert len(manifest.symbols) == 732
    assert manifest.symbols[:5] == ("!", ",", "-", ".", "?")
    assert set(manifest.files) == {"tables.npz", "style_calm.npz", "style_cheerful.npz"}
    for name in bundle.checksums():
        bundle.file(name)


def test_the_graphs_take_and_give_what_the_contract_says(bundle: Bundle) -> None:
    wanted = {
        "t2s": (
            ["rows", "mask", "k_0", "v_0", "k_1", "v_1", "k_2", "v_2"],
            ["logits", "new_k", "new_v"],
        ),
        "text_encoder": (["phones"], ["text_k", "text_v"]),
        "latent_encoder": (["codes", "text_k", "text_v", "mrte_bias"], ["mean", "log_scale"]),
        "flow": (["z_p", "flow_bias"], ["z"]),
        "decoder": (["z", "decoder_bias"], ["wav"]),
    }
    for name, (inputs, outputs) in wanted.items():
        session = ort.InferenceSession(str(bundle.graph(name, "fp32")), providers=["CPUExecutionProvider"])
        assert [item.name for item in session.get_inputs()] == inputs
        assert [item.name for item in session.get_outputs()] == outputs


def test_the_bundle_alone_speaks_the_reference(bundle: Bundle) -> None:
    """Tables, style and graphs give the official logits and samples; nothing but the bundle's files is used."""
    t2s, wanted = reference("t2s_tiny"), reference("sovits_tiny_v2")
    sessions = {
        name: ort.InferenceSession(str(bundle.graph(name, "fp32")), providers=["CPUExecutionProvider"])
        for name in graphs.GRAPHS
    }
    tables, style = arrays(bundle.file("tables.npz")), arrays(bundle.file("style_calm.npz"))
    settings = bundle.manifest.settings["t2s"]
    phones = np.concatenate([t2s["ref_phones"][0], t2s["text_phones"][0]])
    text = tables["phone_rows"][phones].astype(np.float32) + tables["phone_bias"]
    prompt, tokens = t2s["prompts"][0], t2s["greedy_tokens"][0][:3]
    audio = tables["audio_rows"][np.concatenate([prompt, tokens])].astype(np.float32)
    text = text + tables["text_scale"] * positions(0, *text.shape)
    audio = audio + tables["audio_scale"] * positions(0, *audio.shape)
    rows, steps = np.concatenate([text, audio[: len(prompt)]]), audio[len(prompt) :]
    logits = forced_logits(
        lambda feed: sessions["t2s"].run(None, feed),
        settings["heads"],
        settings["head_width"],
        rows,
        len(phones),
        steps,
        256,
    )
    assert np.abs(logits - t2s["greedy_logits"][:4]).max() < 1e-3

    assert (style["prompt_tokens"] == wanted["ssl_codes"][0, 0]).all()
    known = tables["phone_rows"][[5, 6, 3]].astype(np.float32) + tables["phone_bias"]
    assert np.allclose(style["ref_rows"], known, atol=1e-6)
    text_k, text_v = sessions["text_encoder"].run(None, {"phones": wanted["text_phones"][0]})
    feed = {"codes": wanted["codes_1s"][0, 0], "text_k": text_k, "text_v": text_v, "mrte_bias": style["mrte_bias"]}
    mean, _ = sessions["latent_encoder"].run(None, feed)
    z = sessions["flow"].run(None, {"z_p": mean, "flow_bias": style["flow_bias"]})[0]
    wave = sessions["decoder"].run(None, {"z": z, "decoder_bias": style["decoder_bias"]})[0]
    assert snr(wanted["wav_1s"], wave) > 80


def test_half_tables_lose_nothing(bundle: Bundle, gpt: GptCheckpoint) -> None:
    tables = arrays(bundle.file("tables.npz"))
    assert tables["phone_rows"].dtype == np.float16
    exact = gpt.tensors["ar_text_embedding.word_embeddings.weight"].float().numpy()
    assert (tables["phone_rows"].astype(np.float32) == exact).all()


def test_symbols_spell_english() -> None:
    table = symbols()
    assert len(table) == len(set(table)) == 732
    for symbol in ("AA0", "ZH", "ER1", ",", ".", "?", "!", "-", "…", "SP", "UNK"):
        assert symbol in table


def prune(gpt: GptCheckpoint) -> GptCheckpoint:
    """The same model with a head less in layer 0 and half the feed-forward of layer 2."""
    tensors = dict(gpt.tensors)
    keep = torch.cat([torch.arange(48) + part * 64 for part in range(3)])
    for name in ("self_attn.in_proj_weight", "self_attn.in_proj_bias"):
        tensors[f"h.layers.0.{name}"] = tensors[f"h.layers.0.{name}"][keep]
    tensors["h.layers.0.self_attn.out_proj.weight"] = tensors["h.layers.0.self_attn.out_proj.weight"][:, :48]
    tensors["h.layers.2.linear1.weight"] = tensors["h.layers.2.linear1.weight"][:128]
    tensors["h.layers.2.linear1.bias"] = tensors["h.layers.2.linear1.bias"][:128]
    tensors["h.layers.2.linear2.weight"] = tensors["h.layers.2.linear2.weight"][:, :128]
    return GptCheckpoint(tensors, gpt.head_width, gpt.eos)


def test_a_pruned_gpt_exports_with_its_own_widths(tmp_path: Path, gpt: GptCheckpoint) -> None:
    model = graphs.build_t2s(prune(gpt))
    assert model.heads == [3, 4, 4]
    graphs.export_t2s(model, tmp_path / "t2s.onnx")
    session = ort.InferenceSession(str(tmp_path / "t2s.onnx"), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    rows, steps = rng.standard_normal((9, 64), np.float32), rng.standard_normal((3, 64), np.float32)

    def in_torch(feed: dict[str, Any]) -> list[Any]:
        with torch.no_grad():
            return [value.numpy() for value in model(*(torch.from_numpy(value.copy()) for value in feed.values()))]

    made = [
        forced_logits(run, model.heads, 16, rows, 4, steps, 32)
        for run in (in_torch, lambda feed: session.run(None, feed))
    ]
    assert np.abs(made[0] - made[1]).max() < 1e-3


def test_a_pruned_decoder_exports_with_its_own_widths(tmp_path: Path, v2: SovitsCheckpoint) -> None:
    tensors = dict(v2.tensors)
    for block in range(3):
        for pair in range(3):
            first, second = (f"dec.resblocks.{block}.{convs}.{pair}" for convs in ("convs1", "convs2"))
            for name in ("weight_g", "weight_v", "bias"):
                tensors[f"{first}.{name}"] = tensors[f"{first}.{name}"][:20]
            tensors[f"{second}.weight_v"] = tensors[f"{second}.weight_v"][:, :20]
    pruned = SovitsCheckpoint(tensors, v2.version, v2.upsample_rates, v2.dilations, v2.sample_rate, v2.hop)
    decoder = graphs.build_sovits(pruned)[3]
    graphs.export_decoder(decoder, tmp_path / "decoder.onnx")
    session = ort.InferenceSession(str(tmp_path / "decoder.onnx"), providers=["CPUExecutionProvider"])
    wave = session.run(None, {"z": np.zeros((32, 5), np.float32), "decoder_bias": np.ones(64, np.float32)})[0]
    assert wave.shape == (5 * 640,)


def test_a_missing_tensor_is_named(v2: SovitsCheckpoint) -> None:
    tensors = {key: value for key, value in v2.tensors.items() if key != "dec.conv_post.weight"}
    broken = SovitsCheckpoint(tensors, v2.version, v2.upsample_rates, v2.dilations, v2.sample_rate, v2.hop)
    with pytest.raises(CheckpointError, match=r"no tensor dec\.conv_post\.weight"):
        graphs.build_sovits(broken)


def test_the_timbre_is_the_mean_over_the_clips(folder: Path, gpt: GptCheckpoint, v2: SovitsCheckpoint) -> None:
    samples, rate = soundfile.read(folder / "clip.wav", dtype="float32")
    soundfile.write(folder / "other.wav", samples[::-1] * 0.3, rate, subtype="FLOAT")

    def bias(*clips: str) -> Any:
        source = StyleSource(clips=tuple(folder / clip for clip in clips), tokens=folder / "tokens.npy")
        return style_arrays(gpt, v2, source, [5], None)["decoder_bias"]

    mean = (bias("clip.wav") + bias("other.wav")) / 2
    assert np.allclose(bias("clip.wav", "other.wav"), mean, atol=1e-5)
    assert not np.allclose(bias("clip.wav"), mean, atol=1e-3)


def test_bert_features_of_a_chinese_reference_go_into_its_rows(
    folder: Path, gpt: GptCheckpoint, v2: SovitsCheckpoint
) -> None:
    bert = reference("t2s_tiny")["bert_zh"][0][:, :2]
    np.save(folder / "bert.npy", bert)
    plain = StyleSource(clips=(folder / "clip.wav",), tokens=folder / "tokens.npy")
    chinese = plain.model_copy(update={"bert": folder / "bert.npy"})
    rows = [style_arrays(gpt, v2, source, [200, 201], None)["ref_rows"] for source in (plain, chinese)]
    added = bert.astype(np.float32).T @ gpt.tensors["bert_proj.weight"].float().numpy().T
    assert np.allclose(rows[1] - rows[0], added, atol=1e-4)
    with pytest.raises(BadReference, match=r"bert\.npy: its shape is \(1024, 2\), not \(1024, 3\)"):
        style_arrays(gpt, v2, chinese, [200, 201, 202], None)


@pytest.mark.parametrize("seconds", [2.9, 10.1])
def test_a_clip_out_of_range_is_refused(folder: Path, gpt: GptCheckpoint, v2: SovitsCheckpoint, seconds: float) -> None:
    path = folder / "long.wav"
    soundfile.write(path, np.full(int(seconds * 16000), 0.1), 16000)
    source = StyleSource(clips=(path,), tokens=folder / "tokens.npy")
    with pytest.raises(BadReference, match=rf"long\.wav: {seconds} s long; a reference clip must last 3 to 10 s"):
        style_arrays(gpt, v2, source, [5], None)


def test_other_bad_references(folder: Path, gpt: GptCheckpoint, v2: SovitsCheckpoint) -> None:
    def refused(reason: str, **fields: Any) -> None:
        source = StyleSource(**{"clips": (folder / "clip.wav",), "tokens": folder / "tokens.npy", **fields})
        with pytest.raises(BadReference, match=reason):
            style_arrays(gpt, v2, source, [5], None)

    refused("cannot be read as audio", clips=(folder / "none.wav",))
    refused("cannot be read as audio", clips=(folder / "gpt.ckpt",))
    soundfile.write(folder / "silent.wav", np.zeros(64000), 16000)
    refused("silent", clips=(folder / "silent.wav",))
    refused("give --hubert", tokens=None)
    refused("integers from 0 to 1023", tokens=folder / "features.npy")
    refused(r"its shape is .*, not \(768, n\)", tokens=None, features=folder / "speaker.npy")
    np.save(folder / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused("cannot be read as a .npy array", tokens=folder / "pickled.npy")


def test_v2pro_needs_a_speaker_embedding_per_clip(folder: Path, gpt: GptCheckpoint) -> None:
    pro = read_sovits(folder / "v2Pro.pth")
    source = StyleSource(clips=(folder / "clip.wav",), tokens=folder / "tokens.npy")
    with pytest.raises(BadReference, match="a v2Pro voice needs --speaker-model"):
        style_arrays(gpt, pro, source, [5], None)
    good = source.model_copy(update={"speakers": (folder / "speaker.npy",)})
    assert style_arrays(gpt, pro, good, [5], None)["mrte_bias"].shape == (192,)
    two = good.model_copy(update={"clips": source.clips * 2})
    with pytest.raises(BadReference, match="1 speaker embeddings for 2 clips"):
        style_arrays(gpt, pro, two, [5], None)


def speaker_model(path: Path) -> Path:
    """A tiny ERes2NetV2 of seeded noise, as a state dict."""
    shapes = json.loads((DATA / "speaker_tiny.json").read_text())
    state = {"bn1.num_batches_tracked": torch.tensor(7)}
    for key, shape in shapes.items():
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        if key.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            scale = 1.4 / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 25)
            value = rng.standard_normal(shape) * scale + (len(shape) == 1 and key.endswith("weight"))
        state[key] = torch.from_numpy(value.astype(np.float32))
    torch.save(state, path)
    return path


def test_the_speaker_model_gives_the_official_embedding(folder: Path, tmp_path: Path, gpt: GptCheckpoint) -> None:
    wanted = reference("speaker_tiny")
    audio = torch.from_numpy(reference("sovits_tiny_v2Pro")["ref_audio"][0, ::2].astype(np.float32) / 32768)
    assert np.abs(filter_banks(audio).numpy()[wanted["frames"]] - wanted["banks"]).max() < 1e-3
    path = speaker_model(tmp_path / "speaker.ckpt")
    assert snr(wanted["embedding"], speaker_embedding(Weights(read_tensors(path)), audio).numpy()) > 80
    source = StyleSource(clips=(folder / "clip.wav",), tokens=folder / "tokens.npy")
    with pytest.raises(BadReference, match="its embedding has 2560 values, the voice takes 20480"):
        style_arrays(gpt, read_sovits(folder / "v2Pro.pth"), source, [5], None, path)


def test_a_missing_hubert_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadReference, match=r"no HuBERT model here .*chinese-hubert-base"):
        hubert_features(tmp_path / "hubert", torch.zeros(48000))


def test_hubert_hears_the_clip_and_the_silence_after_it(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.HubertConfig(hidden_size=768, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    transformers.HubertModel(config).eval().save_pretrained(tmp_path)
    features = hubert_features(tmp_path, torch.randn(48000) * 0.1)
    assert features.shape == (768, (48000 + 9600) // 320 - 1)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr("sys.argv", ["export_gpt_sovits", *map(str, arguments)])
    export_gpt_sovits.main()


def test_one_command_writes_a_voice(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ["--gpt", folder / "gpt.ckpt", "--sovits", folder / "v2Pro.pth", "--reference", folder / "clip.wav"]
    more = ["--features", folder / "features.npy", "--speaker", folder / "speaker.npy", "--phones", PHONES]
    run_main(monkeypatch, *files, *more, "--out", tmp_path / "en-pro-gpt_sovits")
    manifest = Bundle(tmp_path / "en-pro-gpt_sovits").manifest
    assert manifest.settings["version"] == "v2Pro"
    assert manifest.styles == ("default",)
    assert len(arrays(tmp_path / "en-pro-gpt_sovits" / "style_default.npz")["ref_rows"]) == 9


@pytest.mark.parametrize(
    ("phones", "reason"),
    [("HH QQ .", "'QQ' is not one of the model's symbols"), (" ", "no phones")],
)
def test_one_command_says_what_is_wrong(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phones: str, reason: str
) -> None:
    files = ["--gpt", folder / "gpt.ckpt", "--sovits", folder / "v2.pth", "--reference", folder / "clip.wav"]
    with pytest.raises(SystemExit, match=reason):
        run_main(monkeypatch, *files, "--phones", phones, "--tokens", folder / "tokens.npy", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_reference_text_is_spelled_as_speech_is(folder: Path) -> None:
    source = StyleSource(clips=(folder / "clip.wav",), text="Hello, world!")
    table = symbols()
    spelled = [table[phone] for phone in export_gpt_sovits.reference_phones(source, "en-US")]
    assert " ".join(spelled) == "HH AH0 L OW1 , W ER1 L D !"
    with pytest.raises(BadReference, match="no front end for zh; give the phones"):
        export_gpt_sovits.reference_phones(source, "zh")
    with pytest.raises(BadReference, match="give the text that is said"):
        export_gpt_sovits.reference_phones(source.model_copy(update={"text": None}), "en-US")


def test_styles_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "styles.json"
    path.write_text(json.dumps({"calm": {"clips": ["a.wav"], "text": "Hello.", "tokens": "t.npy"}}))
    source = export_gpt_sovits.read_styles(path)["calm"]
    assert source.clips == (tmp_path / "a.wav",)
    assert source.tokens == tmp_path / "t.npy"
    for content, reason in (
        ("{", "not valid JSON"),
        ("[]", "must be an object of styles"),
        ('{"calm": {"clips": []}}', "calm: clips"),
        ('{"calm": {"clips": ["a.wav"], "txt": "x"}}', "txt: unknown field"),
        ('{"Very Calm": {"clips": ["a.wav"]}}', "use small letters"),
    ):
        path.write_text(content)
        with pytest.raises(BadReference, match=reason):
            export_gpt_sovits.read_styles(path)
    with pytest.raises(BadReference, match="cannot be read"):
        export_gpt_sovits.read_styles(tmp_path / "none.json")
