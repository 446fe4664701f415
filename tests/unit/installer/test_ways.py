# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install from a git checkout (make install) and after pip install; the one file has test_pyz.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from hotcopy import __version__
from installer import payload

TREE = Path(__file__).resolve().parents[3]
PARTS = ("hotcopy", "installer", "kmod", "packaging", "docs/man")
FILES = ("matrix.yaml", "pyproject.toml", "README.md", "LICENSE")
# What the installed program would put on a machine, in one word for each part.
DIGESTS = "from installer import payload; print(payload.digest(payload.driver()), payload.digest(payload.everything('python3')))"


def run(*argv: str | Path, **variables: str) -> str:
    """What it says on standard output; it must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, env={**environment, **variables}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(place: Path) -> set[str]:
    """What is below, links followed, without caches of tools."""
    found = {
        os.path.relpath(os.path.join(directory, name), place)
        for directory, _, names in os.walk(place, followlinks=True)
        for name in names
    }
    return {path for path in found if not path.startswith(".")}


def test_from_a_checkout() -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # a Python with the libraries: nothing is fetched
    assert run("make", "-s", "-C", TREE, "install", "ARGS=--version", PATH=path).strip() == __version__


def test_after_pip_install(tmp_path: Path) -> None:
    """It runs, and what it carries is what the checkout has."""
    tree, target = tmp_path / "tree", tmp_path / "target"
    for name in PARTS:
        shutil.copytree(TREE / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(TREE / name, tree / name)
    # Nothing is fetched: setuptools and what hotcopy-install depends on are in the environment of the tests.
    alone = ("--no-index", "--no-deps", "--no-build-isolation", "--no-compile", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "install", "-q", *alone, "--target", target, tree)
    program = (sys.executable, "-P") if sys.version_info >= (3, 11) else (sys.executable,)
    run(*program, target / "bin/hotcopy-install", "--version", PYTHONPATH=str(target))
    rows = json.loads(run(*program, target / "bin/hotcopy-install", "support-matrix", "--json", PYTHONPATH=str(target)))
    assert rows["distros"]
    carried = run(*program, "-c", f"import installer; assert installer.__file__.startswith({str(target)!r}); {DIGESTS}",
                  PYTHONPATH=str(target))  # fmt: skip
    assert carried.split() == [payload.digest(payload.driver()), payload.digest(payload.everything("python3"))]
    assert files(target / "installer/bundle") == files(tree / "installer/bundle")
    for name in ("hcp", "hotcopy", "hcp-setup", "hotcopy-install"):
        assert (target / "bin" / name).is_file()
