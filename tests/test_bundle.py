from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from edge_tts.errors import BundleError, UnknownLanguage, UnknownVoice
from edge_tts.voices.bundle import Bundle
from edge_tts.voices.golden import check_golden, golden_sentence, levels_db, make_golden
from edge_tts.voices.precision import PrecisionMemory, fastest, load_best
from edge_tts.voices.registry import family_loader, find_bundles, load_voice, open_bundle
from edge_tts.voices.store import VoiceStore
from tests.voice_folder import GOLDEN, ToneVoice, tone_family, write_voice

__all__ = ["tone_family"]


def edit(voice: Path, **changes: object) -> None:
    manifest = json.loads((voice / "voice.json").read_text())
    manifest.update(changes)
    (voice / "voice.json").write_text(json.dumps(manifest))


def test_a_good_bundle_gives_verified_files(tmp_path: Path) -> None:
    bundle = Bundle(write_voice(tmp_path, "a"))
    assert bundle.precisions() == ("int8", "fp32")
    assert bundle.graph("decoder", "fp32").name == "decoder.fp32.onnx"


def test_a_graph_with_one_file_has_it_for_every_precision(tmp_path: Path) -> None:
    bundle = Bundle(write_voice(tmp_path, "a", {"fp32": "1"}))
    assert bundle.graph("decoder", "int8").name == "decoder.fp32.onnx"


def test_only_what_there_is_a_choice_of_is_offered(tmp_path: Path) -> None:
    voice = write_voice(tmp_path, "a", {"int8": "1"})
    graphs = json.loads((voice / "voice.json").read_text())["graphs"]
    flow = [{**graphs["decoder"][0], "precision": "fp16"}]
    edit(voice, graphs={**graphs, "flow": flow})
    assert Bundle(voice).precisions() == ("int8",)
    both = [*graphs["decoder"], {**graphs["decoder"][0], "precision": "fp32"}]
    edit(voice, graphs={"decoder": both, "flow": flow})
    assert Bundle(voice).precisions() == ("int8", "fp32")


@pytest.mark.parametrize("damage", [b"", b"1 ", b"0"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: bytes) -> None:
    voice = write_voice(tmp_path, "a")
    (voice / "decoder.int8.onnx").write_bytes(damage)
    with pytest.raises(BundleError, match=r"decoder\.int8\.onnx: damaged or truncated"):
        Bundle(voice).graph("decoder", "int8")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    voice = write_voice(tmp_path, "a")
    (voice / "decoder.int8.onnx").unlink()
    with pytest.raises(BundleError, match=r"decoder\.int8\.onnx: cannot be read"):
        Bundle(voice).graph("decoder", "int8")


def test_a_truncated_manifest_is_refused_by_name(tmp_path: Path) -> None:
    voice = write_voice(tmp_path, "a")
    text = (voice / "voice.json").read_text()
    (voice / "voice.json").write_text(text[: len(text) // 2])
    with pytest.raises(BundleError, match=r"voice\.json: not valid JSON"):
        Bundle(voice)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"family": None}, "family"),
        ({"colour": "red"}, "colour: unknown field"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"format": 2}, "format"),
        ({"files": {"../../etc/passwd": "0"}}, "plain file name"),
    ],
)
def test_a_manifest_with_a_wrong_key_names_it(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    voice = write_voice(tmp_path, "a")
    edit(voice, **changes)
    with pytest.raises(BundleError, match=said):
        Bundle(voice)


def test_voices_are_found_by_folder_and_the_first_directory_wins(tmp_path: Path) -> None:
    write_voice(tmp_path / "one", "a")
    write_voice(tmp_path / "two", "a")
    write_voice(tmp_path / "two", "b")
    found = find_bundles([tmp_path / "one", tmp_path / "two", tmp_path / "nowhere"])
    assert found == {"a": tmp_path / "one" / "a", "b": tmp_path / "two" / "b"}
    with pytest.raises(UnknownVoice, match=r"'c' is not installed \(installed: a, b\)"):
        open_bundle("c", [tmp_path / "one", tmp_path / "two"])


def test_a_renamed_folder_is_refused(tmp_path: Path) -> None:
    write_voice(tmp_path, "a").rename(tmp_path / "b")
    with pytest.raises(BundleError, match="name is 'a' but the folder is 'b'"):
        open_bundle("b", [tmp_path])


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(BundleError, match="'parrot' is unknown"):
        family_loader("parrot")


def test_the_golden_utterance_passes_on_the_voice_that_made_it() -> None:
    voice = ToneVoice("a", 1.0)
    golden = make_golden(voice, GOLDEN)
    check_golden(voice, golden)
    assert golden.duration_ms == 400


@pytest.mark.parametrize(("scale", "said"), [(0.0, "silent"), (float("nan"), "NaN"), (0.1, "level is off by 20.0 dB")])
def test_the_golden_utterance_finds_a_voice_that_is_off(scale: float, said: str) -> None:
    golden = make_golden(ToneVoice("a", 1.0), GOLDEN)
    with pytest.raises(BundleError, match=said):
        check_golden(ToneVoice("a", scale), golden)


def test_the_golden_utterance_finds_a_voice_that_is_too_short() -> None:
    golden = make_golden(ToneVoice("a", 1.0), GOLDEN)
    with pytest.raises(BundleError, match="lasts 400 ms instead of 600"):
        check_golden(ToneVoice("a", 1.0), golden.model_copy(update={"duration_ms": 600}))


def test_golden_phonemes_are_words() -> None:
    sentence = golden_sentence("HH AH0 L OW1 | DH EH1 R ?")
    assert [word.phones for word in sentence.words] == [("HH", "AH0", "L", "OW1"), ("DH", "EH1", "R")]
    assert sentence.ending == "?"


def test_levels_are_those_of_each_tenth_of_a_second() -> None:
    samples = np.concatenate([np.full(800, 0.1, np.float32), np.zeros(800, np.float32), np.ones(400, np.float32)])
    assert levels_db(samples, 8000) == (-20.0, -70.0)


@pytest.mark.usefixtures("tone_family")
@pytest.mark.parametrize("broken", ["0", "nan", "0.2"])
def test_a_graph_that_is_off_falls_back_to_the_next(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = Bundle(write_voice(tmp_path, "a", {"int8": broken, "fp32": "1"}))
    assert load_voice(bundle, bundle.precisions()).precision == "fp32"
    assert caplog.text.count("int8 is not usable") == 1


@pytest.mark.usefixtures("tone_family")
def test_a_bundle_with_nothing_left_is_refused(tmp_path: Path) -> None:
    bundle = Bundle(write_voice(tmp_path, "a", {"int8": "0", "fp32": "nan"}))
    with pytest.raises(BundleError, match="no usable graph is left"):
        load_voice(bundle, bundle.precisions())


def test_the_smallest_precision_is_used_unless_another_is_clearly_faster() -> None:
    assert fastest({"int8": 1.0, "fp32": 0.95}, ("int8", "fp32")) == "int8"
    assert fastest({"int8": 1.0, "fp32": 0.5}, ("int8", "fp32")) == "fp32"


@pytest.mark.usefixtures("tone_family")
def test_the_measured_precision_is_remembered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bundle = Bundle(write_voice(tmp_path, "a"))
    first = load_best(bundle, "auto", PrecisionMemory(tmp_path / "state"))
    assert caplog.text.count("chosen on this device") == 1
    again = load_best(bundle, "auto", PrecisionMemory(tmp_path / "state"))
    assert caplog.text.count("chosen on this device") == 1
    assert again.precision == first.precision


@pytest.mark.usefixtures("tone_family")
def test_a_precision_that_was_asked_for_is_used_and_the_others_are_its_fallbacks(tmp_path: Path) -> None:
    memory = PrecisionMemory(None)
    assert load_best(Bundle(write_voice(tmp_path, "a")), "fp32", memory).precision == "fp32"
    assert load_best(Bundle(write_voice(tmp_path, "b", {"int8": "1", "fp32": "0"})), "fp32", memory).precision == "int8"


def test_a_damaged_memory_is_measured_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "precision.json").write_text("[]")
    assert PrecisionMemory(tmp_path).get("a") is None
    assert "measured again" in caplog.text


def store(folder: Path, default: str = "a") -> VoiceStore:
    return VoiceStore(default, folder, "auto", 1, None)


@pytest.mark.usefixtures("tone_family")
def test_voices_are_found_by_name_by_language_or_by_default(tmp_path: Path) -> None:
    write_voice(tmp_path, "a")
    write_voice(tmp_path, "b", language="de-DE")
    voices = store(tmp_path)
    assert voices.load_default().name == "a"
    assert voices.voice_for("b", None).name == "b"
    assert voices.voice_for(None, "de").name == "b"
    assert voices.voice_for(None, "en_US").name == "a"
    with pytest.raises(UnknownLanguage, match="fr"):
        voices.voice_for(None, "fr")


@pytest.mark.usefixtures("tone_family")
def test_a_default_voice_that_is_damaged_is_replaced_by_another(tmp_path: Path) -> None:
    (write_voice(tmp_path, "a") / "voice.json").write_text("{")
    write_voice(tmp_path, "b")
    voices = store(tmp_path)
    assert voices.load_default().name == "b"
    assert voices.default == "b"


@pytest.mark.usefixtures("tone_family")
def test_without_any_usable_voice_the_default_ones_error_is_raised(tmp_path: Path) -> None:
    (write_voice(tmp_path, "a") / "voice.json").write_text("{")
    with pytest.raises(BundleError, match=r"a/voice\.json"):
        store(tmp_path).load_default()


@pytest.mark.usefixtures("tone_family")
def test_choosing_a_damaged_voice_keeps_the_running_one(tmp_path: Path) -> None:
    write_voice(tmp_path, "a")
    (write_voice(tmp_path, "b") / "decoder.int8.onnx").write_text("damaged")
    (tmp_path / "b" / "decoder.fp32.onnx").write_text("damaged")
    voices = store(tmp_path)
    running = voices.load_default()
    with pytest.raises(BundleError, match=r"decoder\.(int8|fp32)\.onnx"):
        voices.choose_default("b")
    assert voices.voice_for(None, None) is running


@pytest.mark.usefixtures("tone_family")
def test_only_the_default_and_the_last_other_voice_stay_in_memory(tmp_path: Path) -> None:
    for name in "abc":
        write_voice(tmp_path, name)
    voices = store(tmp_path)
    first, second = voices.voice_for("a", None), voices.voice_for("b", None)
    voices.voice_for("c", None)
    assert voices.voice_for("a", None) is first
    assert voices.voice_for("b", None) is not second
