# SPDX-License-Identifier: GPL-2.0-or-later
"""The command, the driver's source, the rules and the units."""

from __future__ import annotations

import shutil

from installer.payload import PayloadFile
from installer.session import Session
from installer.steps import place
from installer.steps.step import Step


class PlaceFiles(Step):
    """Writes what is missing or other than it is to be, and takes away what an earlier version had."""

    key = "files"
    title = "Install hcp, the driver's source, udev rules and units"

    def __init__(
        self, wanted: tuple[PayloadFile, ...], changed: tuple[PayloadFile, ...], stale: tuple[str, ...]
    ) -> None:
        self.wanted = wanted
        self.changed = changed
        self.stale = stale

    @property
    def details(self) -> tuple[str, ...]:
        """Every file."""
        return (*(f"write /{file.path}" for file in self.changed), *(f"remove /{path}" for path in self.stale))

    def run(self, session: Session) -> None:
        """Writes them."""
        for file in self.changed:
            place.put(session.root, file, session.journal)
        for path in self.stale:
            place.remove(session.root, path)
        for directory in {path.rsplit("/", 1)[0] for path in self.stale if path.startswith("usr/src/hotcopy-")}:
            if directory.count("/") == 2 and not any(file.path.startswith(f"{directory}/") for file in self.wanted):
                shutil.rmtree(session.root / directory, ignore_errors=True)
