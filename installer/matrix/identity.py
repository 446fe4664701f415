# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose kernel this is, and which version in the words of its vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from installer.matrix.model import Scheme

# The first numbers of a release: 6.1.0-56-amd64, 2.6.32-24-generic, 6.13-rc3-amd64, 6.13.0-0.rc3.20241220git.fc42.
_BASE = re.compile(r"(?P<base>\d+\.\d+(\.\d+)*)(?:-(?:0\.)?rc(?P<candidate>\d+))?")
_DEBIAN = re.compile(r"\bDebian (?P<version>\d[^\s)]*)")
# Further on in /proc/version stands the compiler's own version: (gcc (Debian 12.2.0-14) 12.2.0).
_DEBIAN_SIGNATURE = re.compile(r"Linux version \S+ \(Debian (?P<version>\d[^\s)]*)")
_UBUNTU_SIGNATURE = re.compile(r"Ubuntu (?P<base>[^- ]+)-(?P<abi>\d+)[.-](?P<upload>[^- ]+)")
_UBUNTU_BUILD = re.compile(r"#(?P<upload>\S+)-Ubuntu\b")
_UBUNTU_RELEASE = re.compile(r"(?P<base>\d+\.\d+\.\d+)-(?P<abi>\d+)-[a-z]")
_ARCHITECTURE = re.compile(r"\.(x86_64|aarch64|ppc64le|s390x|i[3-6]86|riscv64)\b.*")
_RPM = re.compile(r"\.(el\d|amzn\d|fc\d)")
# SLES 12 (4.12.14-122.1-default), SLES 15 (6.4.0-150600.21-default), Tumbleweed (6.17.1-1-default).
_SUSE = re.compile(r"(?P<version>\d+\.\d+\.\d+-\d+(\.\d+)*)-(default|azure|rt|kvmsmall|longterm|pae|xen|desktop)")
_SUSE_ENTERPRISE = re.compile(r"-\d+(\.\d+)+-")
# Debian's name of a kernel, and those of Proxmox, say nothing of its version when uname -v does not, either.
_ABI_NAME = re.compile(r"\d+\.\d+\.\d+-(trunk|\d+)-((cloud-|rt-)?amd64|arm64|686(-\w+)?|pve)$")
# Vendors of RPMs whose kernels are upstream's stable ones with little on top.
_FOLLOWERS = re.compile(r"\.(fc\d|amzn2023)")


@dataclass(frozen=True)
class KernelIdentity:
    """A kernel, with its version in each scheme that holds for it: upstream's not where a vendor ports fixes back."""

    release: str  # uname -r
    version: str  # uname -v
    series: str | None  # "6.12"
    versions: Mapping[Scheme, str]


def identify(release: str, version: str, signature: str = "") -> KernelIdentity:
    """The kernel with this uname -r and uname -v.

    Where they do not say all, ``signature`` may: Ubuntu's /proc/version_signature, or /proc/version (Debian up to 6).
    """
    found = _BASE.match(release)
    parts = found["base"].split(".") if found else []
    # Until 3.0 a series had three numbers.
    series = ".".join(parts[: 3 if parts[0] == "2" else 2]) if parts else None
    return KernelIdentity(release, version, series, dict(_versions(release, version, signature)))


def _versions(release: str, version: str, signature: str) -> list[tuple[Scheme, str]]:
    if debian := _DEBIAN.search(version) or _DEBIAN_SIGNATURE.match(signature):
        return [(Scheme.DEBIAN, debian["version"])]
    if ubuntu := _ubuntu(release, version, signature):
        return [(Scheme.UBUNTU, ubuntu)]
    if _RPM.search(release):
        rpm = (Scheme.RPM, _ARCHITECTURE.sub("", release))
        return [rpm, *_upstream(release)] if _FOLLOWERS.search(release) else [rpm]
    if suse := _SUSE.match(release):
        versions = (Scheme.SUSE, suse["version"])
        return [versions] if _SUSE_ENTERPRISE.search(release) else [versions, *_upstream(release)]
    return [] if _ABI_NAME.match(release) else _upstream(release)


def _ubuntu(release: str, version: str, signature: str) -> str | None:
    if found := _UBUNTU_SIGNATURE.match(signature):
        return f"{found['base']}-{found['abi']}.{found['upload']}"
    build, name = _UBUNTU_BUILD.match(version), _UBUNTU_RELEASE.match(release)
    return f"{name['base']}-{name['abi']}.{build['upload']}" if build and name else None


def _upstream(release: str) -> list[tuple[Scheme, str]]:
    found = _BASE.match(release)
    if not found:
        return []
    # 6.13.0-rc3 is what a build calls upstream's 6.13-rc3.
    return [(Scheme.UPSTREAM, found["base"] + (f"-rc{found['candidate']}" if found["candidate"] else ""))]
