# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install as a test runs it, and every package of this tree, built once for all that need them."""

from __future__ import annotations

from pathlib import Path

from installer import cli
from tests.driver.bench.cache import Cache
from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError
from tests.driver.bench.tracked import tree_key

TREE = Path(__file__).resolve().parents[2]
# What packages are made of.
SOURCES = ("hotcopy", "installer", "kmod", "packaging", "docs/man", "matrix.yaml", "pyproject.toml", "LICENSE")


def hotcopy_install(*words: str | Path) -> None:
    """Runs it; CommandError if it does not succeed."""
    status = cli.main([str(word) for word in words])
    if status != 0:
        raise CommandError(f"hotcopy-install {words[0]}: exit status {status}")


def packages(cache: Cache) -> Path:
    """deb/*.deb and rpm/TARGET/*.rpm of this tree as it stands."""

    def build(path: Path) -> None:
        with step("packages: .deb, and .rpm for every target"):
            hotcopy_install("build", path)

    return cache.entry("built", "packages", tree_key(TREE, SOURCES), build)
