from pathlib import Path

import numpy as np
import pytest

from edge_tts.sentence import Break
from edge_tts.voices.envelope import COLUMNS
from tools.prepare_corpus import Take, held_out_prompts, held_out_takes
from tools.student_data import ALIGNMENT_DELAY, make_example, stress


@pytest.mark.parametrize(
    ("phones", "listed", "wanted"),
    [
        ("HH AH L OW", "HH AH0 L OW1", "HH AH0 L OW1"),
        ("HH EH L OW", "HH AH0 L OW1", "HH EH0 L OW1"),
        ("DH IY", "DH AH0", "DH IY0"),
        ("F AE M L IY", "F AE1 M AH0 L IY0", "F AE1 M L IY0"),
        ("S", "", "S"),
        ("AA B", "", "AA1 B"),
    ],
)
def test_stress_comes_from_the_listed_pronunciation(phones: str, listed: str, wanted: str) -> None:
    assert stress(phones.split(), listed.split()) == tuple(wanted.split())


def take(words: list[tuple[str, list[tuple[str, float, float]]]]) -> Take:
    return Take("arctic_x0001_1", "text", 30.0, -10.0, words)


def write_features(path: Path, frames: int) -> Path:
    rng = np.random.default_rng(0)
    np.savez(
        path,
        env=rng.normal(size=(frames, 80)).astype(np.float32),
        lf0=np.zeros(frames, np.float32),
        voiced=np.ones(frames, np.float32),
        per=np.zeros((frames, 6), np.float32),
    )
    return path


def test_an_example_has_a_duration_for_every_phone_and_a_break_at_every_pause(tmp_path: Path) -> None:
    words = [
        ("<sil>", [("SIL", 0.0, 0.1)]),
        ("oh(2)", [("OW", 0.1, 0.3)]),
        ("<sil>", [("SIL", 0.3, 0.5)]),
        ("no", [("N", 0.5, 0.6), ("OW", 0.6, 0.8)]),
        ("<sil>", [("SIL", 0.8, 0.84)]),
        ("too", [("T", 0.84, 0.9), ("UW", 0.9, 1.1)]),
        ("</s>", [("SIL", 1.1, 1.2)]),
    ]
    listed = {"oh": ("OW1",), "no": ("N", "OW1"), "too": ("T", "UW1")}
    example = make_example(take(words), write_features(tmp_path / "x.npz", 125), lambda word: listed[word])
    assert example is not None
    assert [word.break_after for word in example.sentence.words] == [Break.MINOR, Break.NONE, Break.MAJOR]
    # The 40 ms before the T are its closure; what the features have beyond the alignment is silence at the end.
    assert example.durations.tolist() == [10 + ALIGNMENT_DELAY, 20, 20, 10, 20, 10, 20, 13]
    assert example.frames.shape == (125, COLUMNS)
    assert len(example.ids) == len(example.durations)


def test_an_example_whose_alignment_is_longer_than_its_sound_is_left_out(tmp_path: Path) -> None:
    words = [("oh", [("OW", 0.0, 0.3)]), ("no", [("N", 0.3, 0.4), ("OW", 0.4, 0.6)])]
    assert make_example(take(words), write_features(tmp_path / "x.npz", 40), lambda word: ()) is None


def test_one_take_is_scored_for_each_of_sixty_held_out_prompts() -> None:
    prompts = held_out_prompts()
    assert len(prompts) == 60
    prompt = sorted(prompts)[0]
    takes = [Take(f"{prompt}_{i}", "", snr, -9.0, []) for i, snr in enumerate((30.0, 35.0, 33.0))]
    takes.append(Take("arctic_other_1", "", 50.0, -9.0, []))
    assert [take.id for take in held_out_takes(takes)] == [f"{prompt}_1"]
