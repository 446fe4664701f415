# SPDX-License-Identifier: GPL-2.0-or-later
"""The one file: built twice the same, and run by a Python that has none of its libraries."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from hotcopy import __version__
from installer import payload, pyz
from installer.exitcodes import ExitCode


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pyz") / "hotcopy-install.pyz"
    pyz.build(target)
    return target


def run(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # -I -S: neither this checkout nor any installed library is found.
    argv = ["/usr/bin/python3", "-I", "-S", str(program), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_runs_alone(program: Path) -> None:
    done = run(program, "--check", "--json")
    assert done.stderr == "" and done.returncode in (ExitCode.DONE, ExitCode.REFUSED)
    assert json.loads(done.stdout)["findings"]
    assert run(program, "--version").stdout.strip() == __version__
    assert run(program, "support-matrix").returncode == 0
    assert run(program, "--nonsense").returncode == ExitCode.USAGE


def test_carries_what_it_installs(program: Path) -> None:
    with zipfile.ZipFile(program) as archive:
        names = set(archive.namelist())
        for file in payload.driver():
            name = file.path[len(payload.SOURCE) + 1 :]
            if name != "dkms.conf":
                assert archive.read(f"installer/bundle/kmod/{name}") == file.data
    assert not [name for name in names if name.endswith((".so", ".pyc", ".o", ".ko"))]
    assert "installer/matrix/matrix.yaml" in names and "LICENSE" in names


def test_two_builds_are_the_same(program: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    pyz.build(again)
    assert again.read_bytes() == program.read_bytes()
