# SPDX-License-Identifier: GPL-2.0-or-later
"""The generated files, each with what makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from installer.matrix.model import Matrix
from installer.render.driver_table import driver_table
from installer.render.supported import supported

OUTPUTS: Mapping[str, Callable[[Matrix], str]] = {
    "docs/supported.md": supported,
    "kmod/known_broken_table.h": driver_table,
}


def stale(tree: Path, matrix: Matrix) -> list[str]:
    """The files of ``tree`` that are not what the matrix makes of them."""
    return [name for name, make in OUTPUTS.items() if _content(tree / name) != make(matrix)]


def write(tree: Path, matrix: Matrix) -> list[str]:
    """Write what is stale, and say what that was."""
    names = stale(tree, matrix)
    for name in names:
        (tree / name).write_text(OUTPUTS[name](matrix), encoding="utf-8")
    return names


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
