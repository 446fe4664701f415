# SPDX-License-Identifier: GPL-2.0-or-later
"""Which package has a kernel's headers, by the family of the distribution."""

from __future__ import annotations

import shlex

from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def os_release(root: Path) -> dict[str, str]:
    """The values of os-release(5); nothing when there is none."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            lines = (root / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
        return {key.strip(): " ".join(shlex.split(value)) for key, value in pairs}
    return {}


def install_command(system: Mapping[str, str], release: str) -> str:
    """What the user types to get the headers of kernel ``release``; a sentence where the family is unknown."""
    family = {system.get("ID", ""), *system.get("ID_LIKE", "").split()}
    if family & {"debian", "ubuntu"}:
        return f"apt-get install linux-headers-{release}"
    if family & {"rhel", "fedora", "centos"}:
        return f"dnf install kernel-devel-{release}"
    if any("suse" in name for name in family):
        flavour = release.rsplit("-", 1)[-1]  # 6.4.0-150600.23.7-default
        return f"zypper install kernel-{flavour if flavour.isalpha() else 'default'}-devel"
    if "arch" in family:
        return "pacman -S linux-headers"
    return f"install the headers (development files) of kernel {release}"
