# SPDX-License-Identifier: GPL-2.0-or-later
"""SUSE Linux Enterprise and openSUSE."""

from __future__ import annotations

from collections.abc import Sequence

from installer.detect.kernel import Kernel
from installer.exitcodes import ExitCode
from installer.families.base import Command, ConfigFile, Packager, Repository
from installer.families.dnf import RPM_LIST, RPM_SYMPTOMS, rpm_repository, split_keys
from installer.families.failures import symptom

_INSTALL = ("zypper", "--non-interactive", "install", "--no-recommends")


class Suse(Packager):
    """zypper and rpm."""

    manager = "zypper"
    suffix = ".rpm"
    symptoms = (
        symptom(
            r"System management is locked by the application with pid (?P<found>\d+)",
            ExitCode.LOCKED,
            "another program is installing packages (process {found})",
            "wait for it, then run this again",
        ),
        *RPM_SYMPTOMS,
        symptom(
            r"(?:No provider of|Package) '(?P<found>kernel-\S*devel\S*)' (?:found|not found)|'(?P<found2>kernel-\S*devel\S*)' not found in package names",
            ExitCode.NO_HEADERS,
            "no repository has the headers of the running kernel",
            "zypper update, reboot into the new kernel, run this again; on SLES the module Development Tools has them",
        ),
        symptom(
            r"No provider of '(?P<found>\S+)' found|'(?P<found2>\S+)' not found in package names",
            ExitCode.FAILED,
            "no repository has the package {found}",
            "check zypper lr, or install without a network: --from DIR",
        ),
    )

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """uname -r leaves out the rebuild count, so the version cannot be named; what arrives is compared afterwards."""
        return (f"kernel-{kernel.flavour or 'default'}-devel",)

    python_path = "/usr/bin/python3.11"

    def python(self) -> tuple[str, ...]:
        """SLES 15's own python3 is 3.6."""
        return ("python311",)

    def refresh(self) -> tuple[Command, ...]:
        """zypper refresh."""
        return (("zypper", "--non-interactive", "refresh"),)

    def install(self, packages: Sequence[str]) -> Command:
        """Without recommendations."""
        return (*_INSTALL, *packages)

    def install_files(self, files: Sequence[str]) -> Command:
        """zypper 1.14.4 and later refuses files without a signature, unless told of them (openSUSE/zypper#158)."""
        return (*_INSTALL, "--allow-unsigned-rpm", *files)

    def remove(self, packages: Sequence[str]) -> Command:
        """Exactly these."""
        return ("zypper", "--non-interactive", "remove", "--no-clean-deps", *packages)

    def list_installed(self) -> Command:
        """With versions: there may be several kernel-devel."""
        return RPM_LIST

    def repository_files(self, repository: Repository, key: str) -> tuple[ConfigFile, ...]:
        """A .repo file."""
        return (rpm_repository(repository, key, "/etc/zypp/repos.d"),)

    def key_path(self) -> str:
        """SUSE has no directory for them; ours is next to the program's own files."""
        return "/etc/pki/trust/hotcopy.asc"

    def trust(self, path: str) -> tuple[Command, ...]:
        """For RPM's own database, too: nothing is asked then."""
        return (("rpm", "--import", path),)

    def distrust(self, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Command, ...]]:
        """Keys are no packages to anybody but rpm."""
        return split_keys(names)
