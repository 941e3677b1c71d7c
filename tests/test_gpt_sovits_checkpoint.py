"""Which files are read as GPT-SoVITS checkpoints, and which are refused with what sentence."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.gpt_sovits_fixtures import HParams, make_checkpoint, torch_bytes  # noqa: E402
from tools.gpt_sovits.checkpoint import CheckpointError, read_gpt, read_sovits  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


def small_sovits(path: Path, head: bytes = b"PK", rows: int = 732, **more: Any) -> Path:
    """A file with as little of a SoVITS voice as tells its version."""
    weight = {"enc_p.text_embedding.weight": torch.zeros(rows, 4).half(), **more.pop("weight", {})}
    model = {
        "version": "v2",
        "upsample_rates": [10, 8],
        "resblock_dilation_sizes": [[1, 3, 5]],
        **more.pop("model", {}),
    }
    config = HParams({"model": model, "data": {"sampling_rate": 32000, "hop_length": 640}})
    data = torch_bytes({"weight": weight, "config": config, "info": "", **more})
    path.write_bytes(head + data[2:])
    return path


def test_gpt_is_read(folder: Path) -> None:
    gpt = read_gpt(make_checkpoint("t2s_tiny", folder / "a.ckpt"))
    assert gpt.head_width == 16
    assert gpt.eos == 1024
    assert gpt.tensors["ar_text_embedding.word_embeddings.weight"].shape == (732, 64)


@pytest.mark.parametrize(("name", "version"), [("sovits_tiny_v2", "v2"), ("sovits_tiny_v2Pro", "v2Pro")])
def test_sovits_is_read(folder: Path, name: str, version: str) -> None:
    sovits = read_sovits(make_checkpoint(name, folder / "a.pth"))
    assert sovits.version == version
    assert sovits.upsample_rates == (10, 8, 2, 2, 2)
    assert sovits.dilations == ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    assert (sovits.sample_rate, sovits.hop) == (32000, 640)


def test_v2_with_a_head_of_its_own_and_pro_plus(tmp_path: Path) -> None:
    assert read_sovits(small_sovits(tmp_path / "a.pth", b"01")).version == "v2"
    speaker = {"sv_emb.weight": torch.zeros(1)}
    assert read_sovits(small_sovits(tmp_path / "b.pth", b"06", weight=speaker)).version == "v2ProPlus"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rows": 322}, "a v1 voice"),
        ({"rows": 500}, "an unknown version"),
        ({"weight": {"cfm.estimator.weight": torch.zeros(1)}}, "v3 or v4 voice, whose vocoder is a diffusion"),
        ({"model": {"version": "v4"}}, "a v4 voice"),
        ({"head": b"02"}, "a v3 voice"),
        ({"head": b"03"}, "a v3 LoRA file"),
        ({"head": b"04"}, "a v4 LoRA file"),
        ({"lora_rank": 32}, "a LoRA file"),
        ({"weight": {"cfm.x.lora_A.default.weight": torch.zeros(1)}}, "a LoRA file"),
    ],
)
def test_other_versions_are_refused_with_a_sentence(tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence) as caught:
        read_sovits(small_sovits(tmp_path / "other.pth", **options))
    assert "v2, v2Pro and v2ProPlus are supported" in str(caught.value)
    assert "other.pth" in str(caught.value)


def test_a_v1_gpt_is_refused(tmp_path: Path) -> None:
    def shrink(content: dict[str, Any]) -> None:
        key = "model.ar_text_embedding.word_embeddings.weight"
        content["weight"][key] = content["weight"][key][:512]

    with pytest.raises(CheckpointError, match="a v1 voice"):
        read_gpt(make_checkpoint("t2s_tiny", tmp_path / "a.ckpt", change=shrink))


def test_files_in_each_others_place(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"this is a SoVITS model \(.pth\), not a GPT model"):
        read_gpt(small_sovits(tmp_path / "a.pth"))
    with pytest.raises(CheckpointError, match=r"this is a GPT model \(.ckpt\), not a SoVITS model"):
        read_sovits(make_checkpoint("t2s_tiny", tmp_path / "a.ckpt"))


class Evil:
    def __init__(self, target: Path) -> None:
        self.command = f"touch {target}"

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_class_no_voice_needs_is_refused_by_name_and_not_called(tmp_path: Path) -> None:
    target = tmp_path / "owned"
    path = small_sovits(tmp_path / "evil.pth", more=Evil(target))
    with pytest.raises(CheckpointError, match=r"it asks for posix\.system, which no GPT-SoVITS voice needs"):
        read_sovits(path)
    assert not target.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "torch.load", "utils.HParams.__init__", "collections.deque"])
def test_near_misses_of_the_allowed_names_are_refused(tmp_path: Path, name: str) -> None:
    module, _, attribute = name.partition(".")
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(CheckpointError, match=f"it asks for {module}.{attribute}"):
        read_sovits(path)


def test_what_is_no_torch_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_sovits(path)
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(CheckpointError, match="not a checkpoint of GPT-SoVITS or torch"):
        read_sovits(path)
    path.write_bytes(small_sovits(path).read_bytes()[:-300])
    with pytest.raises(CheckpointError, match="damaged"):
        read_sovits(path)
    path.write_bytes(torch_bytes([1, 2]))
    with pytest.raises(CheckpointError, match="it holds no dict"):
        read_sovits(path)
    path.write_bytes(torch_bytes({"iteration": 3}))
    with pytest.raises(CheckpointError, match="no weight and config"):
        read_sovits(path)
    path.write_bytes(torch_bytes({"weight": {}, "config": {"model": {}}}))
    with pytest.raises(CheckpointError, match=r"enc_p\.text_embedding\.weight is missing"):
        read_sovits(path)


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    intact = small_sovits(tmp_path / "a.pth").read_bytes()
    rng = random.Random(1)
    path = tmp_path / "b.pth"
    refused = 0
    for _ in range(400):
        data = bytearray(intact)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            read_sovits(path)
        except CheckpointError:
            refused += 1
    assert refused > 40


def test_compressed_and_foreign_storages_are_refused(tmp_path: Path) -> None:
    plain = small_sovits(tmp_path / "a.pth")
    packed = tmp_path / "b.pth"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match="compressed"):
        read_sovits(packed)
    foreign = tmp_path / "c.pth"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.PERSID.join([b"", b"somewhere\n."]))
    with pytest.raises(CheckpointError, match="not a tensor"):
        read_sovits(foreign)
