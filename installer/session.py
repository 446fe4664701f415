# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.context import Context
from installer.journal import Journal
from installer.log import Progress
from installer.run import Runner


@dataclass(frozen=True)
class Session:
    """One run of the installer on one machine."""

    context: Context
    journal: Journal
    runner: Runner
    progress: Progress

    @property
    def root(self) -> Path:
        """The machine's root directory."""
        return self.context.system.root
