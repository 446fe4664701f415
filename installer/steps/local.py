# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages from a directory, without a network."""

from __future__ import annotations

from pathlib import Path

from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.families.base import Packager
from installer.session import Session
from installer.steps.packages import call, recorded
from installer.steps.step import Step


def packages_in(directory: Path, packager: Packager) -> tuple[str, ...]:
    """The package files there, by absolute path. InstallError when Hot Copy is not among them."""
    try:
        found = sorted(str(path.resolve()) for path in directory.iterdir() if path.name.endswith(packager.suffix))
    except OSError as error:
        raise InstallError(
            f"{directory} cannot be read: {error.strerror}", "give a directory of packages", ExitCode.USAGE
        ) from error
    if not any(Path(path).name.startswith("hotcopy") for path in found):
        raise InstallError(
            f"{directory} has no package hotcopy*{packager.suffix}",
            "give the directory where the packages of Hot Copy are, with those that they depend on",
            ExitCode.USAGE,
        )
    return tuple(found)


class InstallLocal(Step):
    """The package manager installs these files, and looks for what they depend on among them and what is installed."""

    key = "local-packages"
    title = "Install packages from a directory"

    def __init__(self, packager: Packager, files: tuple[str, ...]) -> None:
        self.packager = packager
        self.files = files

    @property
    def details(self) -> tuple[str, ...]:
        """The command."""
        return (" ".join(self.packager.install(self.files)),)

    def run(self, session: Session) -> None:
        """Installs them."""
        with recorded(session, self.packager):
            call(session, self.packager, self.packager.install(self.files), self.files)
