"""install.sh and uninstall.sh, run for real into a folder (DESTDIR), where they only copy files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What install.sh needs of a checkout, with one small voice."""
    folder = tmp_path / "checkout"
    for name in ("systemd", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=lambda _, names: [n for n in names if "." not in n])
    (folder / "LICENSE").write_text("licence")
    (folder / "README.md").write_text("readme")
    voice = folder / "models_int8" / "en_US-test-student"
    voice.mkdir(parents=True)
    (voice / "voice.json").write_text("{}")
    (voice / "synthesis.onnx").write_text("graph")
    return folder


def script(name: str, checkout: Path, dest: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "systemd" / name), *arguments],
        env={**os.environ, "DESTDIR": str(dest), **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_installs_voices_configuration_and_system_files(checkout: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    result = script("install.sh", checkout, dest)
    assert result.returncode == 0, result.stderr
    assert set(files(dest)) == {
        "etc/edge-tts/config.toml",
        "opt/edge-tts/LICENSE",
        "opt/edge-tts/README.md",
        "opt/edge-tts/models_int8/en_US-test-student/synthesis.onnx",
        "opt/edge-tts/models_int8/en_US-test-student/voice.json",
        "opt/edge-tts/uninstall.sh",
        "usr/local/lib/systemd/system/edge-tts.service",
        "usr/local/lib/systemd/user/edge-tts-user.service",
        "usr/local/lib/sysusers.d/edge-tts.conf",
        "usr/local/lib/udev/rules.d/99-edge-tts.rules",
    }


def test_second_run_keeps_the_users_configuration_and_voices_and_renews_ours(checkout: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    assert script("install.sh", checkout, dest).returncode == 0
    config = dest / "etc/edge-tts/config.toml"
    config.write_text("[audio]\nvolume = 0.3\n")
    own = dest / "opt/edge-tts/models_int8/de_DE-mine-vits/voice.json"
    own.parent.mkdir()
    own.write_text("{}")
    voice = checkout / "models_int8/en_US-test-student"
    (voice / "synthesis.onnx").rename(voice / "frames.onnx")
    result = script("install.sh", checkout, dest)
    assert result.returncode == 0, result.stderr
    assert "Kept" in result.stdout
    assert config.read_text() == "[audio]\nvolume = 0.3\n"
    assert own.exists()
    installed = dest / "opt/edge-tts/models_int8/en_US-test-student"
    assert {path.name for path in installed.iterdir()} == {"voice.json", "frames.onnx"}
    before = files(dest)
    assert script("install.sh", checkout, dest).returncode == 0
    assert files(dest) == before


def test_uninstall_keeps_what_is_the_users_and_purge_leaves_nothing(checkout: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    assert script("install.sh", checkout, dest).returncode == 0
    (dest / "opt/edge-tts/venv/bin").mkdir(parents=True)
    # As a person does who no longer has the checkout.
    result = subprocess.run([str(dest / "opt/edge-tts/uninstall.sh")], env={**os.environ, "DESTDIR": str(dest)})
    assert result.returncode == 0
    assert set(files(dest)) == {
        "etc/edge-tts/config.toml",
        "opt/edge-tts/models_int8/en_US-test-student/synthesis.onnx",
        "opt/edge-tts/models_int8/en_US-test-student/voice.json",
    }
    assert not (dest / "opt/edge-tts/venv").exists()
    for _ in range(2):
        assert script("uninstall.sh", checkout, dest, "--purge").returncode == 0
        assert files(dest) == {}


def stubs(folder: Path, **programs: str) -> str:
    """A PATH on which these programs are replaced by shell lines."""
    folder.mkdir()
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_32_bit_system_is_refused_in_one_sentence_before_anything_is_written(checkout: Path, tmp_path: Path) -> None:
    dest = tmp_path / "dest"
    result = script("install.sh", checkout, dest, PATH=stubs(tmp_path / "bin", getconf="echo 32"))
    assert result.returncode == 1
    assert "64-bit" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not dest.exists()


@pytest.mark.parametrize("name", ["install.sh", "uninstall.sh"])
def test_unknown_argument_prints_the_usage(name: str, checkout: Path, tmp_path: Path) -> None:
    result = script(name, checkout, tmp_path / "dest", "--dekstop")
    assert result.returncode == 2
    assert "usage" in result.stderr


@pytest.mark.parametrize("name", ["install.sh", "uninstall.sh"])
def test_without_root_it_says_so(name: str, checkout: Path, tmp_path: Path) -> None:
    # The other stubs stop a script that has lost its check from changing this machine.
    path = stubs(tmp_path / "bin", id="echo 1000", mkdir="exit 1", rm="exit 1", systemctl="exit 1")
    result = script(name, checkout, Path(), DESTDIR="", PATH=path)
    assert result.returncode == 1
    assert "as root" in result.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shell_scripts_are_clean() -> None:
    scripts = [*ROOT.glob("systemd/*.sh"), *ROOT.glob("tools/*.sh"), ROOT / ".ci" / "run"]
    result = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
