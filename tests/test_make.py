"""The Makefile and the scripts it calls, with apt, sudo and Python replaced by shell lines."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APT_INSTALL = ROOT / "tools" / "apt_install.sh"
MAKE_VENV = ROOT / "tools" / "make_venv.sh"

Stub = Callable[..., str]


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    """Makes programs of shell lines and returns a PATH with them alone; each leaves its call in calls.log."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "calls.log"
    log.touch()

    def make(**programs: str) -> str:
        for name, line in programs.items():
            program = folder / name.replace("_", "-")
            program.write_text(f'#!/bin/sh\necho "{program.name} $*" >> {log}\n{line}\n')
            program.chmod(0o755)
        return str(folder)

    return make


def run(path: str, script: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments], env={"PATH": path, **environ}, capture_output=True, text=True, timeout=30
    )


def calls(tmp_path: Path, program: str) -> list[str]:
    return [line for line in (tmp_path / "calls.log").read_text().splitlines() if line.startswith(f"{program} ")]


ONLY_MOSQUITTO_MISSING = 'case "$*" in *mosquitto) echo not-installed ;; *) echo installed ;; esac'


def test_root_installs_only_what_is_missing(stub: Stub, tmp_path: Path) -> None:
    path = stub(dpkg_query=ONLY_MOSQUITTO_MISSING, apt_get="", id="echo 0", env='shift; exec "$@"')
    result = run(path, APT_INSTALL, "libportaudio2", "mosquitto")
    assert result.returncode == 0, result.stderr
    install = calls(tmp_path, "apt-get")[-1]
    assert "install -y" in install
    assert "mosquitto" in install
    assert "libportaudio2" not in install


def test_other_users_go_through_sudo(stub: Stub, tmp_path: Path) -> None:
    path = stub(dpkg_query=ONLY_MOSQUITTO_MISSING, apt_get="", id="echo 1000", sudo='exec "$@"', env='shift; exec "$@"')
    assert run(path, APT_INSTALL, "mosquitto").returncode == 0
    assert any("apt-get install" in call for call in calls(tmp_path, "sudo"))


def test_nothing_missing_asks_nobody(stub: Stub, tmp_path: Path) -> None:
    path = stub(dpkg_query="echo installed", apt_get="", id="echo 1000", sudo='exec "$@"')
    assert run(path, APT_INSTALL, "libportaudio2", "mosquitto").returncode == 0
    assert calls(tmp_path, "apt-get") == calls(tmp_path, "sudo") == []


def test_without_sudo_it_says_what_to_install(stub: Stub) -> None:
    path = stub(dpkg_query=ONLY_MOSQUITTO_MISSING, apt_get="", id="echo 1000")
    result = run(path, APT_INSTALL, "libportaudio2", "mosquitto")
    assert result.returncode == 1
    assert "apt-get install mosquitto" in result.stderr
    assert run(path, APT_INSTALL, "--optional", "mosquitto").returncode == 0


def test_optional_packages_do_not_ask_for_a_password(stub: Stub, tmp_path: Path) -> None:
    path = stub(dpkg_query=ONLY_MOSQUITTO_MISSING, apt_get="", id="echo 1000", sudo="exit 1")
    result = run(path, APT_INSTALL, "--optional", "mosquitto")
    assert result.returncode == 0
    assert "mosquitto" in result.stderr
    assert calls(tmp_path, "sudo") == ["sudo -n true"]


def test_without_apt_it_says_what_to_install_and_stops(stub: Stub) -> None:
    path = stub(id="echo 0")
    result = run(path, APT_INSTALL, "libportaudio2", "mosquitto")
    assert result.returncode == 1
    assert "libportaudio2 mosquitto" in result.stderr
    assert run(path, APT_INSTALL).returncode == 0


def test_failing_apt_is_an_error(stub: Stub) -> None:
    path = stub(dpkg_query=ONLY_MOSQUITTO_MISSING, apt_get="exit 100", id="echo 0", env='shift; exec "$@"')
    result = run(path, APT_INSTALL, "mosquitto")
    assert result.returncode == 1
    assert "could not install: mosquitto" in result.stderr


def test_old_python_is_refused_with_its_version(stub: Stub, tmp_path: Path) -> None:
    path = stub(python3='case "$1" in -c) exit 1 ;; esac; echo Python 3.9.2')
    result = run(path, MAKE_VENV, str(tmp_path / "venv"))
    assert result.returncode == 1
    assert "3.10 or newer" in result.stderr
    assert "3.9.2" in result.stderr


def test_newer_python_beside_an_old_one_is_found(stub: Stub, tmp_path: Path) -> None:
    path = stub(python3="exit 1", python3_12="")
    (Path(path) / "python3-12").rename(Path(path) / "python3.12")
    run(f"{path}:/usr/bin:/bin", MAKE_VENV, str(tmp_path / "venv"))
    assert any("-m venv" in call for call in calls(tmp_path, "python3-12"))


def test_half_made_environment_is_removed(stub: Stub, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    path = stub(python3=f'case "$1" in -c) exit 0 ;; esac; mkdir -p {venv}/bin; exit 1')
    result = run(f"{path}:/usr/bin:/bin", MAKE_VENV, str(venv))
    assert result.returncode == 1
    assert "apt install python3-venv" in result.stderr
    assert not venv.exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def planned(checkout: Path, *arguments: str) -> list[str]:
    # A make that runs these tests hands its own variables down.
    result = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=checkout,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.splitlines()


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_second_run_only_starts_the_daemon(checkout: Path) -> None:
    first = planned(checkout, "run")
    assert any("apt_install.sh" in line and "mosquitto" in line for line in first)
    assert any("make_venv.sh" in line for line in first)
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".with-resample").touch()
    assert [line.split() for line in planned(checkout, "run")] == [[".venv/bin/edge-ttsd", "run", "--try-out"]]


@needs_make
def test_changed_dependencies_are_installed(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    stamp = checkout / ".venv" / ".with-resample"
    stamp.touch()
    os.utime(stamp, (0, 0))
    assert any("make_venv.sh" in line for line in planned(checkout, "run"))


@needs_make
def test_extras_and_constraints_reach_pip(checkout: Path) -> None:
    (checkout / "constraints.txt").touch()
    lines = planned(checkout, "test", "EXTRAS=test,convert", "CONSTRAINTS=constraints.txt")
    install = next(line for line in lines if "make_venv.sh" in line)
    assert '".[test,convert]"' in install
    assert "--constraint constraints.txt" in install
