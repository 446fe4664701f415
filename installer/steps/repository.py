# SPDX-License-Identifier: GPL-2.0-or-later
"""The repository of Hot Copy's own packages."""

from __future__ import annotations

from installer.families.base import Packager, Repository
from installer.payload import PayloadFile
from installer.session import Session
from installer.steps import place
from installer.steps.packages import call, recorded, refresh_and_install
from installer.steps.step import Step

PACKAGES = ("hotcopy", "hotcopy-dkms")


class AddRepository(Step):
    """Its key and its source, which trusts this key only; then the packages from it."""

    key = "repository"
    title = "Add the repository of Hot Copy and install its packages"

    def __init__(self, packager: Packager, repository: Repository, key: bytes, *, armoured: bool) -> None:
        self.packager = packager
        path = packager.key_path()
        if not armoured:
            path = path[: -len(".asc")] + ".gpg"  # by which apt tells
        self.trust = packager.trust(path)
        sources = packager.repository_files(repository, path)
        self.files = (
            PayloadFile(path.lstrip("/"), key),
            *(PayloadFile(file.path.lstrip("/"), file.text.encode()) for file in sources),
        )

    @property
    def details(self) -> tuple[str, ...]:
        """Files and commands."""
        commands = (*self.trust, *self.packager.refresh(), self.packager.install(PACKAGES))
        return (*(f"write /{file.path}" for file in self.files), *(" ".join(command) for command in commands))

    def run(self, session: Session) -> None:
        """Writes the files, refreshes and installs."""
        for file in self.files:
            place.put(session.root, file, session.journal)
        with recorded(session, self.packager):
            for command in self.trust:
                call(session, self.packager, command, ())
            refresh_and_install(session, self.packager, PACKAGES)
