# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the headers of the running kernel are here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.detect import files


@dataclass(frozen=True)
class Headers:
    """/lib/modules/RELEASE/build."""

    path: str
    present: bool
    broken_link: bool  # it points to a directory that is not there: the package was removed


def detect(root: Path, release: str) -> Headers:
    """Looks for the Makefile, without which nothing can be built."""
    path = f"lib/modules/{release}/build"
    present = files.exists(root, f"{path}/Makefile")
    return Headers(f"/{path}", present, not present and (root / path).is_symlink())
