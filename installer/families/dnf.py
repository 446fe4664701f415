# SPDX-License-Identifier: GPL-2.0-or-later
"""What the families with dnf share."""

from __future__ import annotations

from collections.abc import Sequence

from installer.exitcodes import ExitCode
from installer.families.base import Command, ConfigFile, Packager, Repository
from installer.families.failures import symptom

RPM_LIST: Command = ("rpm", "-qa", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n")
RPM_PREFIX = "gpg-pubkey-"  # RPM lists the keys that it trusts as packages of this name
RPM_KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-hotcopy"
RPM_SYMPTOMS = (
    symptom(
        r"Waiting for process with pid (?P<found>\d+)|can't create transaction lock|rpmdb open failed|database is locked"
        r"|Failed to obtain the transaction lock|(?:another|yum|dnf).{0,60}is (?:already )?running",
        ExitCode.LOCKED,
        "another program is installing packages, or the RPM database is locked",
        "wait for it (ps -C dnf,yum,rpm,packagekitd,zypper), then run this again",
    ),
    symptom(
        r"checksum doesn't match|[Cc]hecksum (?:error|mismatch|failed)|Digest verification failed",
        ExitCode.FAILED,
        "what was downloaded is not what the repository's signed lists say",
        "nothing of it is installed; run this again later (a mirror may be changing), or look at the proxy between",
    ),
    symptom(
        r"GPG check FAILED|is not signed|repomd\.xml\.asc|Bad GPG signature|signature verification error|(?:signature|key).{0,40}(?:not correct|verification failed|NOKEY|is not available)|NOKEY",
        ExitCode.FAILED,
        "a package or repository is not signed by the key it should be signed by",
        "nothing unsigned is installed; check the repository and its key",
    ),
)


def rpm_repository(repository: Repository, key: str, directory: str) -> ConfigFile:
    """A .repo whose packages and lists must both be signed."""
    lines = (
        "[hotcopy]",
        "name=Hot Copy",
        f"baseurl={repository.url}/yum/{repository.target}/",
        "enabled=1",
        "gpgcheck=1",
        "repo_gpgcheck=1",
        f"gpgkey=file://{key}",
    )
    return ConfigFile(f"{directory}/hotcopy.repo", "\n".join(lines) + "\n")


def split_keys(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Command, ...]]:
    """What of a list of RPM_LIST are packages, and the command that removes the keys among it."""
    keys = tuple(name.partition(".")[0] for name in names if name.startswith(RPM_PREFIX))
    packages = tuple(name for name in names if not name.startswith(RPM_PREFIX))
    return packages, (("rpm", "--erase", *keys),) if keys else ()


class Dnf(Packager):
    """dnf and rpm."""

    manager = "dnf"
    suffix = ".rpm"
    symptoms = (
        *RPM_SYMPTOMS,
        symptom(
            r"(?:No match for argument|No package|Unable to find a match):? *(?P<found>kernel\S*devel\S*)",
            ExitCode.NO_HEADERS,
            "no repository has the headers of the running kernel any more ({found})",
            "the mirror keeps only newer kernels: dnf upgrade kernel, reboot into the new kernel, run this again",
        ),
        symptom(
            r"(?:No match for argument|No package|Unable to find a match):? *(?P<found>\S+)",
            ExitCode.FAILED,
            "no repository has the package {found}",
            "check dnf repolist, or install without a network: --from DIR",
        ),
        symptom(
            r"This system is not registered",
            ExitCode.NO_NETWORK,
            "this system has no repositories: it is not registered",
            "subscription-manager register, or install without a network: --from DIR",
        ),
    )

    def refresh(self) -> tuple[Command, ...]:
        """It refreshes by itself."""
        return ()

    def install(self, packages: Sequence[str]) -> Command:
        """Without weak dependencies."""
        return ("dnf", "-y", "--setopt=install_weak_deps=False", "install", *packages)

    def remove(self, packages: Sequence[str]) -> Command:
        """Exactly these: what others left unneeded is not our business."""
        return ("dnf", "-y", "--setopt=clean_requirements_on_remove=False", "remove", *packages)

    def list_installed(self) -> Command:
        """With versions: there may be several kernel-devel."""
        return RPM_LIST

    def repository_files(self, repository: Repository, key: str) -> tuple[ConfigFile, ...]:
        """A .repo file."""
        return (rpm_repository(repository, key, "/etc/yum.repos.d"),)

    def key_path(self) -> str:
        """Where RPM's keys are."""
        return RPM_KEY

    def trust(self, path: str) -> tuple[Command, ...]:
        """For RPM's own database, too: nothing is asked then."""
        return (("rpm", "--import", path),)

    def distrust(self, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[Command, ...]]:
        """Keys are no packages to anybody but rpm."""
        return split_keys(names)
