import json
from pathlib import Path

import numpy as np
import pytest

from edge_tts.voices.envelope import POINTS
from tools.edit_distance import edit_distance
from tools.evaluate import CEPSTRA, Row, cepstra, record, table

scipy = pytest.importorskip("scipy")
from tools.evaluate import distances, warp  # noqa: E402


@pytest.mark.parametrize(
    ("reference", "heard", "errors"),
    [("a b c", "a b c", 0), ("a b c", "", 3), ("", "a", 1), ("a b c d", "a x c", 2), ("a b", "b a b", 1)],
)
def test_word_errors_are_edits(reference: str, heard: str, errors: int) -> None:
    assert edit_distance(reference.split(), heard.split()) == errors


def test_cepstral_distance_is_in_db_and_blind_to_level() -> None:
    flat = np.zeros((1, POINTS), np.float32)
    np.testing.assert_allclose(cepstra(flat + 3.0), 0.0, atol=1e-5)
    # A cosine of amplitude a in log amplitude is c_k = a, so the distance is 10 / ln 10 * sqrt(2) * a.
    wave = (0.5 * np.cos(np.pi / POINTS * (np.arange(POINTS) + 0.5) * 3))[None].astype(np.float32)
    wanted = np.zeros((1, CEPSTRA))
    wanted[0, 2] = 10 / np.log(10) * np.sqrt(2) * 0.5
    np.testing.assert_allclose(cepstra(wave), wanted, atol=1e-4)


def test_warping_follows_a_stretched_copy() -> None:
    slow = np.repeat(np.arange(10.0), 3)[:, None]
    fast = np.arange(10.0)[:, None]
    a, b = warp(slow, fast)
    assert np.array_equal(slow[a], fast[b])
    assert (a[0], b[0], a[-1], b[-1]) == (0, 0, 29, 9)


def features(length: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    time = np.linspace(0, 1, length)[:, None]
    envelope = np.sin(3 * time + np.arange(POINTS) / 9).astype(np.float32)
    return {"env": envelope, "lf0": np.full(length, 5.0 + shift), "voiced": np.ones(length)}


def test_distance_to_a_faster_copy_is_small_and_f0_is_in_semitones() -> None:
    found = distances(features(60, shift=np.log(2) / 12), features(90))
    assert found["mcd"] < 0.3
    assert found["f0"] == pytest.approx(1.0)
    assert found["vuv"] == 0.0


def test_figures_are_recorded_beside_what_the_manifest_holds(tmp_path: Path) -> None:
    (tmp_path / "voice.json").write_text(json.dumps({"name": "x", "quality": {"fp32": {"wer": 1.0}}}))
    record(tmp_path, "int8", {"p808": 3.81234, "wer": 18.6, "drift": 1.0})
    manifest = json.loads((tmp_path / "voice.json").read_text())
    assert manifest == {"name": "x", "quality": {"fp32": {"wer": 1.0}, "int8": {"p808": 3.81, "wer": 18.6}}}


def test_table_shows_means_and_word_error_rate() -> None:
    row = Row("voice int8", {}, words=8, errors=2)
    row.add({"p808": 3.0, "mcd": 5.0})
    row.add({"p808": 4.0, "mcd": 6.0})
    lines = table([row]).splitlines()
    assert lines[2].startswith("| voice int8 | 3.50 | – |")
    assert "25.0" in lines[2]
    assert "5.50" in lines[2]
