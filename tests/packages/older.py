# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of an older version: this tree, with another version in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from hotcopy import __version__
from tests.driver.bench.run import run

TREE = Path(__file__).resolve().parents[2]
OLDER = "0.0.9"
_PARTS = ("hotcopy", "installer", "kmod", "packaging", "docs/man", "matrix.yaml", "pyproject.toml", "LICENSE")
_VERSIONED = ("hotcopy/__init__.py", "kmod/VERSION", "pyproject.toml", "packaging/releases.yaml")


def build_older(scratch: Path, place: Path, *words: str) -> None:
    """Runs hotcopy-install build of that version."""
    tree = scratch / "older"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in _PARTS:
        source, target = TREE / name, tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, target)
    for name in _VERSIONED:
        path = tree / name
        text = path.read_text(encoding="utf-8")
        assert text.count(__version__) == 1, name
        path.write_text(text.replace(__version__, OLDER), encoding="utf-8")
    run([sys.executable, "-m", "installer", "build", *words, place], cwd=tree, env={"PYTHONPATH": str(tree)})
