import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_tts.errors import BundleError, VoiceError
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices import student
from edge_tts.voices.base import ChunkPlan, Delivery
from edge_tts.voices.bundle import Bundle, sha256
from edge_tts.voices.envelope import FRAME, POINTS
from edge_tts.voices.golden import check_golden, speak
from edge_tts.voices.student import BLOCKS, LEADING, TRAILING, StudentVoice, block_size, frame_counts, positions

FOLDER = Path(__file__).parents[1] / "models_int8" / "en_US-kathleen-student"

DOOR = Word("door", ("D", "AO1", "R"))
IS = Word("is", ("IH1", "Z"), Break.MINOR)
OPEN = Word("open", ("OW1", "P", "AH0", "N"), Break.MAJOR)


@pytest.fixture(scope="module")
def voice() -> Iterator[StudentVoice]:
    voice = student.load(Bundle(FOLDER), "int8", 1)
    yield voice
    voice.close()


def sentence(words: int, ending: str = ".") -> Sentence:
    """`words` words with a break after every second."""
    body = tuple((DOOR, IS)[i % 2] for i in range(words - 1))
    return Sentence((*body, OPEN), ending)


def signal_to_noise_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(wanted**2) / (np.mean((wanted - got) ** 2) + 1e-20)))


def test_the_shipped_voice_speaks_its_golden_utterance_in_every_precision() -> None:
    bundle = Bundle(FOLDER)
    assert bundle.precisions()[0] == "int8"
    for precision in bundle.precisions():
        voice = student.load(bundle, precision, 1)
        assert bundle.manifest.golden is not None
        check_golden(voice, bundle.manifest.golden)


def test_the_shipped_voice_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6_000_000


@pytest.mark.parametrize("plan", [ChunkPlan(20, 20), ChunkPlan(50, 400), ChunkPlan(100, 800), ChunkPlan(5000, 5000)])
def test_chunks_join_to_the_same_sound_under_every_plan(voice: StudentVoice, plan: ChunkPlan) -> None:
    whole = speak(voice, sentence(9))
    chunks = [chunk.samples for chunk in voice.open(sentence(9), Delivery(), plan)]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    sizes = [len(chunk) for chunk in chunks]
    assert sizes[0] == min(len(whole), plan.first_ms * 24)
    assert max(sizes) <= max(plan.first_ms, plan.target_ms) * 24
    assert all(0 < size <= 2 * before for before, size in itertools.pairwise(sizes))


def test_streamed_equals_whole_for_lengths_around_every_block_multiple(
    voice: StudentVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, _ = voice.encode(student.tokenize(sentence(4)))
    multiples = [16, 16 + 80, 16 + 160, 16 + 80 + 256]
    for frames in sorted({multiple + extra for multiple in multiples for extra in (-1, 0, 1)}):
        counts = np.full(len(hidden), frames // len(hidden), np.int64)
        counts[-1] += frames - counts.sum()
        session = voice.open(sentence(4), Delivery(), ChunkPlan())
        streamed = np.concatenate(list(session._waveform(hidden, counts)))
        with monkeypatch.context() as patch:
            patch.setattr(student, "block_size", lambda number, remaining: remaining)
            whole = np.concatenate(list(session._waveform(hidden, counts)))
        assert len(streamed) == len(whole) == frames * FRAME
        assert signal_to_noise_db(whole, streamed) >= 60


def test_blocks_come_in_few_sizes_and_cover_what_is_left() -> None:
    for number in range(5):
        for remaining in range(1, 700):
            size = block_size(number, remaining)
            assert size in BLOCKS
            assert size >= remaining or size == student.LARGEST[min(number, 2)]


def test_a_short_sentence_is_one_block() -> None:
    assert block_size(0, student.SHORT) == student.SHORT
    assert block_size(0, student.SHORT + 1) == BLOCKS[0]


def test_shortest_and_longest_sentences_are_spoken(voice: StudentVoice) -> None:
    oh = speak(voice, Sentence((Word("oh", ("OW1",), Break.MAJOR),)))
    assert 0.1 < len(oh) / 24000 < 1.0
    long = speak(voice, sentence(60))
    assert len(long) > 24000 * 60 * 0.15
    for samples in (oh, long):
        assert np.abs(samples).max() > 0.05
        assert np.all(np.isfinite(samples))


def test_unknown_phone_is_refused_when_the_sentence_is_opened(voice: StudentVoice) -> None:
    with pytest.raises(VoiceError, match="'QX'"):
        voice.open(Sentence((Word("x", ("QX",), Break.MAJOR),)), Delivery(), ChunkPlan())


def test_a_style_it_does_not_have_is_refused(voice: StudentVoice) -> None:
    with pytest.raises(VoiceError, match="no style 'angry'"):
        voice.open(sentence(2), Delivery(style="angry"), ChunkPlan())


def test_marks_are_in_order_within_their_chunk_and_name_every_word(voice: StudentVoice) -> None:
    spoken = sentence(7)
    words, offset, last = [], 0, 0
    for chunk in voice.open(spoken, Delivery(), ChunkPlan(40, 160)):
        for mark in chunk.marks:
            assert offset <= mark.offset < offset + len(chunk.samples)
            assert mark.offset >= last
            last = mark.offset
            if mark.kind == "word":
                words.append((mark.index, mark.value))
        offset += len(chunk.samples)
    assert words == [(i, word.text) for i, word in enumerate(spoken.words)]


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.5, 2.0])
def test_rate_scales_the_length(voice: StudentVoice, rate: float) -> None:
    def length(rate: float) -> int:
        return sum(len(chunk.samples) for chunk in voice.open(sentence(9), Delivery(rate=rate), ChunkPlan()))

    edges = (LEADING + TRAILING) * FRAME
    assert (length(1.0) - edges) / (length(rate) - edges) == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("semitones", [-6.0, 6.0])
def test_pitch_shifts_f0_and_nothing_else(voice: StudentVoice, semitones: float) -> None:
    session = voice.open(sentence(3), Delivery(pitch=semitones), ChunkPlan())
    hidden, durations = voice.encode(session._tokens)
    counts = frame_counts(durations, 1.0)
    seen: list[np.ndarray] = []

    class Recorder:
        def push(self, frames: np.ndarray) -> np.ndarray:
            seen.append(frames.copy())
            return np.zeros(0, np.float32)

        def finish(self, frames: np.ndarray) -> np.ndarray:
            return self.push(frames)

    plain = np.concatenate(list(session._parameters(hidden, counts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(student, "SourceFilter", Recorder)
        list(session._waveform(hidden, counts))
    difference = np.concatenate(seen) - plain
    np.testing.assert_allclose(difference[:, POINTS], semitones * np.log(2) / 12, atol=1e-5)
    assert not np.delete(difference, POINTS, axis=1).any()


def test_edges_of_a_sentence_are_short(voice: StudentVoice) -> None:
    samples = np.abs(speak(voice, Sentence((OPEN,))))
    loud = np.flatnonzero(samples > 0.05 * samples.max())
    assert loud[0] / 24000 < 0.06
    assert (len(samples) - loud[-1]) / 24000 < 0.15


def test_frame_counts_carry_rounding_and_lose_no_phone() -> None:
    counts = frame_counts(np.log(np.full(102, 2.4, np.float32)), 1.0)
    assert counts[0] == LEADING
    assert counts[-1] == TRAILING
    assert counts[1:-1].sum() == pytest.approx(240, abs=1)
    assert frame_counts(np.full(5, -3.0, np.float32), 2.0)[1:-1].tolist() == [1, 1, 1]


def test_positions_say_where_in_its_phone_a_frame_lies() -> None:
    owner, side = positions(np.array([1, 0, 3]))
    assert owner.tolist() == [0, 2, 2, 2]
    np.testing.assert_allclose(side[:, :8].sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(side[1:, 8], np.log1p([0, 1, 2]) / 3, atol=1e-6)
    np.testing.assert_allclose(side[1:, 9], np.log1p([2, 1, 0]) / 3, atol=1e-6)


def test_a_closed_voice_says_so(tmp_path: Path) -> None:
    voice = student.load(Bundle(FOLDER), "int8", 1)
    voice.close()
    with pytest.raises(VoiceError, match="closed"):
        speak(voice, sentence(2))


def copy_with(folder: Path, **changes: object) -> Bundle:
    """The shipped bundle with keys of voice.json replaced."""
    shutil.copytree(FOLDER, folder)
    manifest = json.loads((folder / "voice.json").read_text())
    (folder / "voice.json").write_text(json.dumps({**manifest, **changes}))
    return Bundle(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbols": ["PAD", "SIL"]}, "symbols differ"),
        ({"settings": {"reach": 3}}, "settings: "),
        ({"sample_rate": 16000}, "24000 Hz"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        student.load(copy_with(tmp_path / "voice", **changes), "int8", 1)


def test_a_truncated_graph_is_refused_by_name(tmp_path: Path) -> None:
    bundle = copy_with(tmp_path / "voice")
    path = bundle.folder / "decoder.int8.onnx"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match=r"decoder\.int8\.onnx: damaged"):
        student.load(bundle, "int8", 1)


def test_a_graph_with_other_inputs_is_refused_by_name(tmp_path: Path) -> None:
    bundle = copy_with(tmp_path / "voice")
    shutil.copy(bundle.folder / "encoder.int8.onnx", bundle.folder / "decoder.int8.onnx")
    graphs = json.loads((bundle.folder / "voice.json").read_text())["graphs"]
    graphs["decoder"][0]["sha256"] = sha256(bundle.folder / "decoder.int8.onnx")
    (bundle.folder / "voice.json").write_text(
        json.dumps({**json.loads((bundle.folder / "voice.json").read_text()), "graphs": graphs})
    )
    with pytest.raises(BundleError, match="inputs are ids"):
        student.load(Bundle(bundle.folder), "int8", 1)
