"""The tools that read the source."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.driver.bench.run import run

TREE = Path(__file__).resolve().parents[2]
PYTHON = [name for name in ("hotcopy", "installer", "tests") if any((TREE / name).rglob("*.py"))]


def check(*argv: str) -> None:
    """Run a tool on the tree; what it prints is the failure."""
    env = {"MYPY_CACHE_DIR": os.devnull, "RUFF_NO_CACHE": "true"}
    done = run([sys.executable, "-m", *argv], cwd=TREE, env=env, check=False, timeout=300)
    assert done.returncode == 0, done.stdout


def test_ruff_check() -> None:
    """No finding of the rules in pyproject.toml."""
    check("ruff", "check", *PYTHON)


def test_ruff_format() -> None:
    """Formatted as ruff formats."""
    check("ruff", "format", "--check", *PYTHON)


def test_mypy_strict() -> None:
    """Every type is given, and fits."""
    check("mypy", *PYTHON)


def shell_scripts() -> list[str]:
    """Every file of the project that a shell runs."""
    listing = run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TREE).stdout.splitlines()
    found = []
    for name in listing:
        path = TREE / name
        if path.is_file() and path.stat().st_size and path.suffix != ".j2":  # what templates become is in golden files
            with path.open("rb") as file:
                line = file.readline()
            if line.startswith(b"#!") and b"sh" in line.split()[-1]:
                found.append(name)
    return sorted(found)


@pytest.mark.parametrize("script", shell_scripts())
def test_shellcheck(script: str) -> None:
    """No finding in this script."""
    done = run(["shellcheck", "-s", "sh", script], cwd=TREE, check=False)
    assert done.returncode == 0, done.stdout
