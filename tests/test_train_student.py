import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edge_tts.sentence import Break, Sentence, Word  # noqa: E402
from edge_tts.voices.envelope import COLUMNS, POINTS  # noqa: E402
from edge_tts.voices.linguistic import tokenize  # noqa: E402
from tools.export_student import FoldedDecoder, FoldedEncoder, Shaping, cepstral_matrix, predict  # noqa: E402
from tools.student_data import Example  # noqa: E402
from tools.student_model import Shape, Student  # noqa: E402
from tools.train_student import batches, collate, energy_score, expand, losses  # noqa: E402

TINY = Shape(
    channels=16,
    encoder_hidden=16,
    encoder_blocks=1,
    decoder_hidden=16,
    decoder_blocks=2,
    prosody_channels=8,
    prosody_hidden=8,
    prosody_blocks=1,
)


def example(seed: int, frames: int = 60) -> Example:
    rng = np.random.default_rng(seed)
    sentence = Sentence((Word("oh", ("OW1",)), Word("no", ("N", "OW1"), Break.MAJOR)))
    ids = tokenize(sentence).ids
    durations = np.array([12, 10, 8, 20, frames - 50])
    values = rng.normal(0, 1, (frames, COLUMNS)).astype(np.float32)
    values[:, POINTS + 1] = rng.integers(0, 2, frames)
    values[:, POINTS + 2 :] = 0.5
    return Example(str(seed), sentence, ids, durations, values)


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    student = Student(TINY, dropout=0.0).eval()
    for parameter in student.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    student.mean += torch.randn(POINTS + 1)
    student.std *= 1.7
    return student


def test_a_draw_from_the_distribution_scores_better_than_its_mean() -> None:
    draw = torch.Generator().manual_seed(0)
    target, first, second = (torch.randn(8, 64, POINTS, generator=draw) for _ in range(3))
    weight = torch.ones(8, 64)
    mean = torch.zeros_like(target)
    right = energy_score(first, second, target, weight)
    assert right < energy_score(mean, mean, target, weight)
    assert right < energy_score(3 * first, 3 * second, target, weight)


def test_batches_hold_every_example_once() -> None:
    examples = [example(i, 60 + i) for i in range(31)]
    assert sorted(i for group in batches(examples, 3) for i in group) == list(range(31))


def test_edges_are_cut_and_padding_is_silent() -> None:
    reach = TINY.reach
    batch = collate([example(0), example(1, 80)], [np.zeros(9)] * 2, edge=5, reach=reach)
    assert batch.mask.sum(1).tolist() == [48.0, 48.0]
    assert not batch.mask[:, :reach].any()
    assert not batch.mask[:, -reach:].any()
    assert torch.equal(batch.target[0, reach : reach + 48], torch.from_numpy(example(0).frames[7:55]))
    encoded = torch.randn(2, batch.ids.shape[1], 4)
    frames = expand(encoded, batch)
    assert not frames[batch.mask == 0].any()
    assert torch.equal(frames[0, reach + 5], encoded[0, 1])


@pytest.mark.parametrize("generative", [False, True])
def test_every_loss_is_finite_and_reaches_the_networks(student: Student, generative: bool) -> None:
    batch = collate([example(0), example(1)], [np.zeros(9)] * 2, edge=5, reach=TINY.reach)
    parts = losses(student, batch, generative)
    total = torch.stack(list(parts.values())).sum()
    assert torch.isfinite(total)
    total.backward()
    for name in ("encoder.duration.1.weight", "decoder.envelope.weight", "decoder.prosody.weight"):
        assert student.get_parameter(name).grad.abs().sum() > 0
    assert (student.decoder.noise.weight.grad is not None) is generative


@torch.no_grad()
def test_folded_graphs_compute_what_the_student_and_the_shaping_do(student: Student) -> None:
    one = example(0)
    rng = np.random.default_rng(1)
    shaping = Shaping(
        gain=rng.uniform(0.8, 1.2, POINTS).astype(np.float32),
        mean=rng.normal(0, 1, POINTS).astype(np.float32),
        f0_gain=1.3,
        f0_mean=5.0,
        postfilter=0.3,
        level=0.5,
        temperature=0.0,
    )
    wanted = predict(student, one, 0.0, torch.Generator()).numpy()
    envelope = shaping.mean + shaping.gain * (wanted[:, :POINTS] - shaping.mean)
    wanted[:, :POINTS] = envelope @ cepstral_matrix(0.3).T + 0.5
    wanted[:, POINTS] = 5.0 + 1.3 * (wanted[:, POINTS] - 5.0)
    wanted[:, POINTS + 1 :] = 1 / (1 + np.exp(-wanted[:, POINTS + 1 :]))

    reach = TINY.reach
    ids = torch.zeros(1, len(one.ids) + reach, one.ids.shape[1], dtype=torch.long)
    ids[0, : len(one.ids)] = torch.from_numpy(one.ids)
    hidden, _ = FoldedEncoder(student)(ids)
    batch = collate([one], [np.zeros(9)], edge=100, reach=reach)
    got = FoldedDecoder(student, shaping)(expand(hidden, batch), batch.side)[0, reach:-reach].numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-3)


def test_post_filter_keeps_level_and_tilt_and_raises_the_rest() -> None:
    n = np.arange(POINTS)
    matrix = cepstral_matrix(0.5)
    for k, gain in ((0, 1.0), (1, 1.0), (2, 1.5), (40, 1.5)):
        wave = np.cos(np.pi / POINTS * (n + 0.5) * k)
        np.testing.assert_allclose(matrix @ wave, gain * wave, atol=1e-9)
