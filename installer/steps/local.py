# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages from a directory, without a network."""

from __future__ import annotations

import re
from pathlib import Path

from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.families.base import Packager
from installer.session import Session
from installer.steps.packages import call, recorded
from installer.steps.step import Step

_COMMAND = re.compile(r"hotcopy[_-]\d")  # how the name of the file of hcp's own package begins: hotcopy_0.1.0-1_all.deb
_COMPILED = "hotcopy-modules-"


def _is_compiled_for(name: str, release: str) -> bool:
    return name.startswith((f"{_COMPILED}{release}_", f"{_COMPILED}{release}-"))


def _is_wanted(name: str, release: str, *, compiled: bool) -> bool:
    """Of the two kinds of driver, which exclude each other, the one that needs no compiler, where it fits this kernel."""
    if name.startswith(_COMPILED):
        return _is_compiled_for(name, release)
    # What installs is here already, and takes libraries that a server need not have.
    return not name.startswith(("hotcopy-installer", "hotcopy-dkms") if compiled else "hotcopy-installer")


def _listed(directory: Path, suffix: str) -> list[Path]:
    return sorted(path.resolve() for path in directory.iterdir() if path.name.endswith(suffix))


def packages_in(directory: Path, packager: Packager, release: str, target: str = "") -> tuple[str, ...]:
    """The package files there, by absolute path, that this kernel (uname -r) needs. InstallError when Hot Copy is not among them.

    ``directory`` is where they are, or where ``build`` has made some for this and other distributions: DIR/deb,
    DIR/rpm/TARGET.
    """
    built = directory / ("deb" if packager.suffix == ".deb" else f"rpm/{target}")
    try:
        found = _listed(directory, packager.suffix) or (_listed(built, packager.suffix) if built.is_dir() else [])
    except OSError as error:
        raise InstallError(
            f"{directory} cannot be read: {error.strerror}", "give a directory of packages", ExitCode.USAGE
        ) from error
    if not any(_COMMAND.match(path.name) for path in found):
        raise InstallError(
            f"{directory} has no package hotcopy*{packager.suffix}",
            "give the directory where the packages of Hot Copy are, with those that they depend on",
            ExitCode.USAGE,
        )
    compiled = any(_is_compiled_for(path.name, release) for path in found)
    return tuple(str(path) for path in found if _is_wanted(path.name, release, compiled=compiled))


class InstallLocal(Step):
    """The package manager installs these files, and looks for what they depend on among them and what is installed."""

    key = "local-packages"
    title = "Install packages from a directory"

    def __init__(self, packager: Packager, files: tuple[str, ...], *, pending: bool) -> None:
        self.packager = packager
        self.files = files
        self.pending = pending

    @property
    def details(self) -> tuple[str, ...]:
        """The commands."""
        repair = self.packager.repair() if self.pending else ()
        return tuple(" ".join(command) for command in (*repair, self.packager.install_files(self.files)))

    def run(self, session: Session) -> None:
        """Installs them, after what a kill interrupted."""
        with recorded(session, self.packager, repair=self.pending):
            call(session, self.packager, self.packager.install_files(self.files), self.files)
