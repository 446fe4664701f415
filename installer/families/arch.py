# SPDX-License-Identifier: GPL-2.0-or-later
"""Arch Linux and what derives from it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from installer.detect.kernel import Kernel
from installer.errors import InstallError
from installer.exitcodes import ExitCode
from installer.families.base import Command, ConfigFile, Packager, Repository
from installer.families.failures import symptom

_FLAVOUR = re.compile(r"-(lts|zen|hardened|rt)$")


class Arch(Packager):
    """pacman."""

    manager = "pacman"
    suffix = ".pkg.tar.zst"
    symptoms = (
        symptom(
            r"unable to lock database",
            ExitCode.LOCKED,
            "another program is installing packages (/var/lib/pacman/db.lck)",
            "wait for it; when none is running, remove the file",
        ),
        symptom(
            r"target not found: (?P<found>\S*headers)|404.*headers",
            ExitCode.NO_HEADERS,
            "no repository has the headers of the running kernel",
            "pacman -Syu, reboot into the new kernel, run this again",
        ),
        symptom(
            r"target not found: (?P<found>\S+)",
            ExitCode.FAILED,
            "no repository has the package {found}",
            "pacman -Syu, then run this again",
        ),
    )

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """A package for each flavour; Manjaro has one for each series."""
        if kernel.release.endswith("-MANJARO"):
            return (f"linux{kernel.series.replace('.', '')}-headers",)
        flavour = _FLAVOUR.search(kernel.release)
        return (f"linux-{flavour[1]}-headers" if flavour else "linux-headers",)

    def python(self) -> tuple[str, ...]:
        """It is simply python."""
        return ("python",)

    def refresh(self) -> tuple[Command, ...]:
        """New lists with old packages are a partial upgrade, which Arch does not support."""
        return ()

    def install(self, packages: Sequence[str]) -> Command:
        """By name, or by path."""
        files = any(package.endswith(self.suffix) for package in packages)
        return ("pacman", "-U" if files else "-S", "--noconfirm", "--needed", *packages)

    def remove(self, packages: Sequence[str]) -> Command:
        """Exactly these, with their configuration."""
        return ("pacman", "-Rn", "--noconfirm", *packages)

    def list_installed(self) -> Command:
        """Names only."""
        return ("pacman", "-Qq")

    def repository_files(self, repository: Repository, key: str) -> tuple[ConfigFile, ...]:
        """There is no repository for pacman."""
        raise InstallError(
            f"Hot Copy has no repository for pacman ({repository.url})", "leave --repo out", ExitCode.USAGE
        )

    def key_path(self) -> str:
        """pacman has a keyring instead."""
        return "/etc/pacman.d/hotcopy.asc"
