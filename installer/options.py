# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Where things come from, and what is overridden."""

    repository: str | None = None  # --repo URL
    repository_key: Path | None = None  # --repo-key FILE
    directory: Path | None = None  # --from DIR
    force: tuple[str, ...] = ()
