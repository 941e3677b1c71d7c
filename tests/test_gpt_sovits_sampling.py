from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from edge_tts.voices.base import Sampling
from edge_tts.voices.gpt_sovits.sampling import TokenSampler, distribution, exponential_race, knobs_for
from edge_tts.voices.gpt_sovits.settings import Array, Knobs, T2sSettings, Tables
from edge_tts.voices.gpt_sovits.t2s import TokenModel, TokenSequence
from tests.gpt_sovits_toy import DATA, T2S, reference

REFERENCE = reference()
GREEDY = Knobs(top_k=1, repetition_penalty=1.0)


def sampler(knobs: Knobs, *, prompt: tuple[int, ...] = (), size: int = 5, min_tokens: int = 0) -> TokenSampler:
    return TokenSampler(knobs, prompt, size, size - 1, min_tokens, lambda count: np.ones(count, np.float32))


def scores(*values: float) -> Array:
    return np.array(values, np.float32)


def token_model(bucket: int = 128) -> TokenModel:
    with np.load(DATA / "tables.npz") as file:
        tables = Tables(**{name: file[name] for name in Tables.__annotations__})
    session = ort.InferenceSession(str(DATA / "t2s.fp32.onnx"), providers=["CPUExecutionProvider"])
    return TokenModel(session, T2sSettings.model_validate({**T2S, "bucket": bucket}), tables)


def begin(model: TokenModel, *, prompt: str = "prompts", chinese: bool = False) -> TokenSequence:
    phones = np.concatenate([REFERENCE["ref_phones"][0], REFERENCE["text_phones"][0]])
    rows = model._tables.phone_rows[phones].astype(np.float32) + model._tables.phone_bias
    if chinese:
        with np.load(DATA / "bert_rows.npz") as file:
            rows = rows + file["bert_zh"]
    return model.begin(rows, REFERENCE[prompt][0], 40)


def speak(
    sequence: TokenSequence, knobs: Knobs, prompt: str, noise: Array | None, most: int = 40
) -> tuple[list[int], list[Array]]:
    draws = iter(noise if noise is not None else np.ones((most + 1, 1025)))
    drawing = TokenSampler(knobs, REFERENCE[prompt][0], 1025, 1024, 11, lambda count: next(draws).astype(np.float32))
    tokens: list[int] = []
    logits = [sequence.logits.copy()]
    while len(tokens) < most and (token := drawing.draw(sequence.logits)) is not None:
        tokens.append(token)
        if len(tokens) < most:
            sequence.append(token)
            logits.append(sequence.logits.copy())
    return tokens, logits


@pytest.mark.parametrize(
    ("name", "knobs"),
    [("sampled", Knobs()), ("sampled_p", Knobs(top_k=20, top_p=0.8, temperature=0.7))],
)
def test_tokens_are_drawn_as_the_reference_draws_them(name: str, knobs: Knobs) -> None:
    tokens, _ = speak(begin(token_model(), chinese=True), knobs, "prompts", REFERENCE["exp_noise"])
    assert tokens == REFERENCE[f"{name}_tokens"][0].tolist()


@pytest.mark.parametrize(
    ("name", "prompt", "penalty"),
    [
        ("greedy", "prompts", 1.0),
        ("greedy_pen", "prompts", 1.35),
        ("greedy_zh", "prompts", 1.0),
        ("eos", "eos_prompts", 1.35),
        ("cut", "cut_prompts", 1.35),
    ],
)
def test_logits_and_the_end_are_the_references(name: str, prompt: str, penalty: float) -> None:
    sequence = begin(token_model(), prompt=prompt, chinese=name.endswith("zh"))
    expected = REFERENCE[f"{name}_tokens"][0].tolist()
    most = 40 if name == "eos" else len(expected)
    knobs = GREEDY.model_copy(update={"repetition_penalty": penalty})
    tokens, logits = speak(sequence, knobs, prompt, None, most)
    assert tokens == expected
    wanted = REFERENCE[f"{name}_logits"]
    assert np.abs(np.stack(logits)[: len(wanted)] - wanted).max() < 1e-3
    assert len(logits) >= len(wanted)


def test_the_cache_may_grow_at_any_row() -> None:
    rows = len(REFERENCE["ref_phones"][0]) + len(REFERENCE["text_phones"][0]) + len(REFERENCE["prompts"][0])
    wanted = REFERENCE["greedy_logits"]
    for bucket in (1, 7, rows, rows + 1, rows + 20):
        _, logits = speak(begin(token_model(bucket)), GREEDY, "prompts", None)
        assert np.abs(np.stack(logits) - wanted).max() < 1e-3, bucket


def test_a_token_of_the_prompt_is_penalized_once_however_often_it_was_there() -> None:
    knobs = Knobs(top_k=1, repetition_penalty=2.0)
    assert sampler(knobs, prompt=(0, 0, 0)).draw(scores(3, 1.4, 0, 0, 0)) == 0
    assert sampler(knobs, prompt=(0,)).draw(scores(3, 1.6, 0, 0, 0)) == 1


def test_a_negative_score_is_penalized_downwards() -> None:
    assert sampler(Knobs(top_k=1, repetition_penalty=2.0), prompt=(0,)).draw(scores(-1, -1.5, -9, -9, -9)) == 1


def test_generated_tokens_are_penalized_too() -> None:
    drawing = sampler(Knobs(top_k=1, repetition_penalty=2.0))
    assert [drawing.draw(scores(3, 2, 1.8, 0, 0)) for _ in range(3)] == [0, 1, 2]


def test_the_end_is_not_drawn_before_its_time() -> None:
    drawing = sampler(GREEDY, min_tokens=3)
    assert [drawing.draw(scores(1, 0, 0, 0, 9)) for _ in range(4)] == [0, 0, 0, None]


def test_the_likeliest_token_ends_the_sentence_even_when_another_is_drawn() -> None:
    race = iter([scores(1e-6, 1, 1, 1, 1)])
    drawing = TokenSampler(Knobs(repetition_penalty=1.0), (), 5, 4, 0, lambda count: next(race))
    assert drawing.draw(scores(4, 0, 0, 0, 5)) is None


def test_top_k_keeps_the_best() -> None:
    kept = distribution(scores(1, 5, 4, 3, 2), Knobs(top_k=3))
    assert np.flatnonzero(kept).tolist() == [1, 2, 3]
    assert kept.sum() == pytest.approx(1)


def test_the_nucleus_is_chosen_before_the_temperature() -> None:
    # Untempered the best two hold 0.98, tempered ones at 2 would need three tokens for it.
    logits = np.log(scores(0.6, 0.38, 0.01, 0.01))
    kept = distribution(logits, Knobs(top_k=4, top_p=0.97, temperature=2.0))
    assert np.flatnonzero(kept).tolist() == [0]
    kept = distribution(logits, Knobs(top_k=4, top_p=0.985, temperature=2.0))
    assert np.flatnonzero(kept).tolist() == [0, 1]
    assert kept[0] / kept[1] == pytest.approx(np.sqrt(0.6 / 0.38), rel=1e-5)


def test_the_race_draws_by_probability() -> None:
    probabilities = scores(0.5, 0.3, 0.15, 0.05)
    drawing = TokenSampler(Knobs(top_k=4, repetition_penalty=1.0), (), 5, 4, 10**9, exponential_race(1))
    logits = np.append(np.log(probabilities), np.float32(0))
    drawn = np.bincount([drawing.draw(logits) or 0 for _ in range(20_000)], minlength=4) / 20_000
    assert np.abs(drawn - probabilities).max() < 0.015


def test_the_race_never_draws_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def standard_exponential(self, count: int, dtype: type[np.float32]) -> Array:
            return np.zeros(count, dtype)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Zeros())
    drawing = TokenSampler(Knobs(top_k=1), (), 5, 4, 0, exponential_race(0))
    assert drawing.draw(scores(0, 0, 9, 0, 0)) == 2


def test_a_seed_fixes_the_race_and_an_attempt_changes_it() -> None:
    assert np.array_equal(exponential_race(3, 0)(5), exponential_race(3, 0)(5))
    assert not np.array_equal(exponential_race(3, 0)(5), exponential_race(3, 1)(5))
    assert not np.array_equal(exponential_race(3, 0)(5), exponential_race(4, 0)(5))


def test_a_request_replaces_only_the_knobs_it_sets() -> None:
    default = Knobs(top_k=15, temperature=0.9)
    assert knobs_for(Sampling(seed=4), default) == default
    given = knobs_for(Sampling(top_k=3, top_p=0.5, temperature=0.7, repetition_penalty=1.1), default)
    assert given == Knobs(top_k=3, top_p=0.5, temperature=0.7, repetition_penalty=1.1)
    assert knobs_for(Sampling(top_p=0.5), default) == Knobs(top_k=15, top_p=0.5, temperature=0.9)
