# SPDX-License-Identifier: GPL-2.0-or-later
"""What every step is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from installer.session import Session


class Step(ABC):
    """Something to do: shown by --dry-run, printed by plan --json, and run, from the same object."""

    key: str  # for the journal and for JSON
    title: str  # for people

    @property
    @abstractmethod
    def details(self) -> tuple[str, ...]:
        """The commands and files, as far as they are known before."""

    @abstractmethod
    def run(self, session: Session) -> None:
        """Does it; InstallError when that fails."""
