# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian, Ubuntu and what derives from them."""

from __future__ import annotations

from collections.abc import Sequence

from installer.detect.kernel import Kernel
from installer.exitcodes import ExitCode
from installer.families.base import Command, ConfigFile, Packager, Repository
from installer.families.failures import symptom

WAIT = "DPkg::Lock::Timeout=120"  # seconds: unattended-upgrades is often at work when a machine has just started


class Debian(Packager):
    """apt and dpkg."""

    manager = "apt-get"
    suffix = ".deb"
    variables = (("DEBIAN_FRONTEND", "noninteractive"), ("NEEDRESTART_SUSPEND", "1"))
    symptoms = (
        symptom(
            r"Could not get lock (?P<found>\S+?)\.? |Unable to (?:acquire|lock)|(?:is|was) locked by another process"
            r"|Waiting for cache lock",
            ExitCode.LOCKED,
            "another program is installing packages (the lock {found} is held)",
            "wait for it (ps -C apt,apt-get,dpkg,unattended-upgr), then run this again",
        ),
        symptom(
            r"dpkg was interrupted",
            ExitCode.FAILED,
            "an earlier run of dpkg was interrupted",
            "dpkg --configure -a, then run this again",
        ),
        symptom(
            r"Unable to locate package (?P<found>(?:linux|proxmox|pve)-headers\S+)|Package '?(?P<found2>linux-headers\S+?)'? has no installation candidate",
            ExitCode.NO_HEADERS,
            "no repository has the headers of the running kernel any more ({found})",
            "the mirror keeps only newer kernels: apt-get dist-upgrade, reboot into the new kernel, run this again",
        ),
        symptom(
            r"Unable to locate package (?P<found>\S+)",
            ExitCode.FAILED,
            "no repository has the package {found}",
            "check /etc/apt/sources.list and apt-get update, or install without a network: --from DIR",
        ),
        symptom(
            r"Release file for (?P<found>\S+) is (?:expired|not valid yet)",
            ExitCode.FAILED,
            "a repository's lists are out of date, or this machine's clock is wrong ({found})",
            "date shows the clock; else whoever runs the repository has to sign it again (hotcopy-install publish)",
        ),
        symptom(
            r"Hash Sum mismatch|File has unexpected size|Hashes of expected file",
            ExitCode.FAILED,
            "what was downloaded is not what the repository's signed lists say",
            "nothing of it is installed; run this again later (a mirror may be changing), or look at the proxy between",
        ),
        symptom(
            r"is not signed|NO_PUBKEY|signatures (?:were|couldn't be) (?:invalid|verified)|EXPKEYSIG|BADSIG",
            ExitCode.FAILED,
            "a repository's signature does not fit its key",
            "nothing unsigned is installed; check the key and the sources in /etc/apt",
        ),
    )

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """linux-headers-RELEASE, but for Proxmox."""
        prefix = "proxmox-headers" if kernel.flavour == "pve" else "linux-headers"
        return (f"{prefix}-{kernel.release}",)

    def refresh(self) -> tuple[Command, ...]:
        """apt-get update."""
        return (("apt-get", "-q", "-o", WAIT, "update"),)

    def install(self, packages: Sequence[str]) -> Command:
        """Without recommendations: they would bring mail servers along."""
        return ("apt-get", "-q", "-y", "-o", WAIT, "--no-install-recommends", "install", *packages)

    def remove(self, packages: Sequence[str]) -> Command:
        """With their configuration."""
        return ("apt-get", "-q", "-y", "-o", WAIT, "purge", *packages)

    def list_installed(self) -> Command:
        """With the architecture, where there are several."""
        return ("dpkg-query", "-W", "-f", "${binary:Package}\n")

    def repair(self) -> tuple[Command, ...]:
        """Ends what was unpacked only, and completes what lacks a dependency."""
        fix = ("apt-get", "-q", "-y", "-o", WAIT, "--no-install-recommends", "--fix-broken", "install")
        return (("dpkg", "--configure", "-a", "--force-confdef"), fix)

    def half_installed(self) -> Command:
        """apt does nothing more where there is one that no repository has: a file that was given to it."""
        return ("dpkg-query", "-W", "-f", "${db:Status-Eflag} ${binary:Package}\n")

    def discard(self, packages: Sequence[str]) -> Command:
        """What depends on them is mended afterwards."""
        return ("dpkg", "--purge", "--force-remove-reinstreq", "--force-depends", *packages)

    def repository_files(self, repository: Repository, key: str) -> tuple[ConfigFile, ...]:
        """A deb822 source that trusts this key, and this key for nothing else."""
        lines = ("Types: deb", f"URIs: {repository.url}/apt/", "Suites: ./", f"Signed-By: {key}")
        return (ConfigFile("/etc/apt/sources.list.d/hotcopy.sources", "\n".join(lines) + "\n"),)

    def key_path(self) -> str:
        """Where deb822 sources keep keys that no package brought."""
        return "/etc/apt/keyrings/hotcopy.asc"
