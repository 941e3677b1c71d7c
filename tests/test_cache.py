from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_tts.audio.chunk import Mark
from edge_tts.cache import Phrase, PhraseCache, phrase_key
from edge_tts.sentence import Break, Sentence, Word
from edge_tts.voices.base import Delivery, Sampling
from tests.fakes import FakeVoice

MARKS = (Mark(0, "word", "grüß", 0), Mark(40, "viseme", "AH"))
SENTENCE = Sentence((Word("a", ("AH0",)), Word("be", ("B", "IY1"), Break.MAJOR)))


def phrase(samples: int = 1000, seed: int = 0) -> Phrase:
    sound = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    return Phrase.of(sound, 24000, MARKS)


def same(one: Phrase | None, other: Phrase) -> bool:
    return (
        one is not None
        and np.array_equal(one.pcm, other.pcm)
        and (one.sample_rate, one.marks) == (other.sample_rate, other.marks)
    )


def test_sixteen_bits_keep_the_sound() -> None:
    sound = np.sin(np.arange(5000) * 0.05).astype(np.float32)
    kept = Phrase.of(sound, 24000)
    assert kept.samples.dtype == np.float32
    noise = kept.samples - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(noise**2)) > 90
    assert Phrase.of(np.array([2.0, -2.0], np.float32), 8000).samples.tolist() == [1.0, -1.0]


def test_what_was_put_is_found() -> None:
    cache = PhraseCache(10_000)
    assert cache.get("a") is None
    cache.put("a", phrase())
    assert same(cache.get("a"), phrase())


def test_the_least_recently_used_leaves_first_and_the_bound_holds() -> None:
    one = phrase().size
    cache = PhraseCache(3 * one)
    for key in "abc":
        cache.put(key, phrase())
    cache.get("a")
    cache.put("d", phrase())
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    assert cache.size == 3 * one
    cache.put("d", phrase(100))
    assert cache.size < 3 * one
    cache.put("e", phrase(10_000))
    assert cache.get("e") is None
    cache.put("d", phrase(10_000))
    assert cache.get("d") is None
    assert cache.size == 2 * one


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    cache = PhraseCache(0)
    cache.put("a", phrase())
    assert cache.get("a") is None
    assert cache.size == 0


def test_what_is_kept_outlives_a_restart_and_what_is_put_does_not(tmp_path: Path) -> None:
    cache = PhraseCache(100_000, tmp_path / "phrases")
    cache.put("put", phrase(seed=1))
    assert not (tmp_path / "phrases").exists()
    cache.keep("kept", phrase(seed=2))
    again = PhraseCache(100_000, tmp_path / "phrases")
    assert again.get("put") is None
    assert same(again.get("kept"), phrase(seed=2))
    assert again.size == phrase().size
    assert [path.name for path in (tmp_path / "phrases").iterdir()] == ["kept.npz"]


def test_a_kept_phrase_is_found_when_memory_has_no_room_for_it(tmp_path: Path) -> None:
    PhraseCache(0, tmp_path).keep("kept", phrase())
    cache = PhraseCache(0, tmp_path)
    assert same(cache.get("kept"), phrase())
    assert cache.size == 0


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other", "pickle", "floats"])
def test_a_damaged_file_is_logged_deleted_and_not_found(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    PhraseCache(0, tmp_path).keep("kept", phrase())
    path = tmp_path / "kept.npz"
    data = bytearray(path.read_bytes())
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 4] ^= 0x55
        path.write_bytes(data)
    elif damage == "other":
        np.savez(path, something=np.zeros(3))
    elif damage == "pickle":
        np.savez(path, pcm=np.array([{}], object), sample_rate=np.array(8000), marks=np.array("[]"))
    else:
        np.savez(path, pcm=np.zeros(3), sample_rate=np.array(8000), marks=np.array("[]"))
    caplog.set_level(logging.WARNING)
    assert PhraseCache(10_000, tmp_path).get("kept") is None
    assert len(caplog.records) == 1
    assert "kept.npz" in caplog.text
    assert not path.exists()


def test_a_full_disk_is_reported_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        PhraseCache(10_000, tmp_path).keep("kept", phrase())
    assert list(tmp_path.iterdir()) == []


def test_equal_phrases_have_equal_keys_and_any_difference_another() -> None:
    voice, delivery = FakeVoice(), Delivery()
    usual = phrase_key(voice, SENTENCE, delivery)
    assert usual == phrase_key(FakeVoice(), dataclasses.replace(SENTENCE, pause=0.9), Delivery())
    words = SENTENCE.words
    others = [
        phrase_key(FakeVoice(name="other"), SENTENCE, delivery),
        phrase_key(FakeVoice(precision="int8"), SENTENCE, delivery),
        phrase_key(voice, SENTENCE, delivery, "second edition"),
        phrase_key(voice, dataclasses.replace(SENTENCE, ending="?"), delivery),
        phrase_key(voice, Sentence((Word("a", ("AH1",)), words[1])), delivery),
        phrase_key(voice, Sentence((Word("a", ("AH0",), Break.MINOR), words[1])), delivery),
        phrase_key(voice, SENTENCE, Delivery(rate=1.1)),
        phrase_key(voice, SENTENCE, Delivery(pitch=1)),
        phrase_key(voice, SENTENCE, Delivery(style="calm")),
        phrase_key(voice, SENTENCE, Delivery(sampling=Sampling(seed=3))),
        phrase_key(voice, SENTENCE, Delivery(sampling=Sampling(top_p=0.9))),
    ]
    assert len({usual, *others}) == len(others) + 1
    assert usual.isalnum()


def test_threads_share_it_within_the_bound(tmp_path: Path) -> None:
    one = phrase().size
    cache = PhraseCache(4 * one, tmp_path)
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(60):
            key = str((number + turn) % 8)
            if turn % 20 == 0:
                cache.keep(key, phrase(seed=int(key)))
            else:
                cache.put(key, phrase(seed=int(key)))
            found = cache.get(key)
            if (found is not None and not same(found, phrase(seed=int(key)))) or cache.size > 4 * one:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert cache.size <= 4 * one
