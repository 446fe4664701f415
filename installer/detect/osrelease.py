# SPDX-License-Identifier: GPL-2.0-or-later
"""Which distribution this is."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

from distro import LinuxDistribution

from installer.detect import files

_TAKES_ROOT = "root_dir" in inspect.signature(LinuxDistribution).parameters


@dataclass(frozen=True)
class OsRelease:
    """os-release(5), or what stood in for it before there was one."""

    os_id: str  # "debian"; "" when nothing tells
    like: tuple[str, ...]  # what it derives from, the nearest first
    version: str  # VERSION_ID, "" where there is none
    codename: str
    name: str
    pretty: str

    @property
    def title(self) -> str:
        """What to call it to its owner."""
        return self.pretty or " ".join(part for part in (self.name or self.os_id, self.version) if part) or "unknown"


def _lsb(root: Path) -> dict[str, str]:
    # Ubuntu had no os-release before 12.04.
    pairs = (line.partition("=") for line in files.text(root, "etc/lsb-release").splitlines())
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _distribution(root: Path) -> LinuxDistribution:
    if _TAKES_ROOT:
        return LinuxDistribution(include_lsb=False, include_uname=False, root_dir=str(root))
    # distro 1.5, of Debian 11 and EL 9; what has no os-release is then looked for in /etc, whatever the root.
    return LinuxDistribution(include_lsb=False, include_uname=False, os_release_file=str(root / "etc/os-release"))


def detect(root: Path) -> OsRelease:
    """Reads os-release, and else the older /etc/*-release files."""
    found = _distribution(root)
    values = found.os_release_info()
    if not values and (lsb := _lsb(root)).get("DISTRIB_ID"):
        version, codename = lsb.get("DISTRIB_RELEASE", ""), lsb.get("DISTRIB_CODENAME", "")
        title = lsb.get("DISTRIB_DESCRIPTION", "")
        return OsRelease(lsb["DISTRIB_ID"].lower(), (), version, codename, lsb["DISTRIB_ID"], title)
    debian = files.text(root, "etc/debian_version")  # no release file before Debian 7
    if not values and not found.id() and debian:
        return OsRelease("debian", (), debian, "", "Debian GNU/Linux", f"Debian GNU/Linux {debian}")
    return OsRelease(
        os_id=values.get("id", "") or found.id(),
        like=tuple(values.get("id_like", "").split()),
        version=values.get("version_id", "") or ("" if values else found.version()),
        codename=values.get("version_codename", ""),
        name=found.name(),
        pretty=values.get("pretty_name", "") or found.name(pretty=True),
    )
