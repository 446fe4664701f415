# SPDX-License-Identifier: GPL-2.0-or-later
"""What of Hot Copy is on the machine already, whoever put it there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hotcopy import __version__
from hotcopy.attach import MODULE
from installer.detect import files

_PLACES = ("updates", "extra", "weak-updates", "updates/dkms", "updates/hotcopy")
# What only the packages have: dpkg's list of files, and a file of the RPMs'.
_OF_PACKAGES = ("var/lib/dpkg/info/hotcopy.list", "usr/lib/systemd/system-preset/80-hotcopy.preset")

_COMMAND = "usr/lib/hotcopy/hotcopy/__init__.py"
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


@dataclass(frozen=True)
class Installed:
    """The parts, each "" or False when it is missing."""

    command: str  # the path of hcp
    module_file: str  # for the running kernel
    loaded_version: str  # of the driver in the kernel
    control_node: bool  # /dev/hcp
    units_enabled: bool
    rules: bool
    packaged: bool  # hcp came as a package
    driver_version: str  # that belongs here: that of the packages, which may be another than this installer's


def _module_file(root: Path, release: str) -> str:
    for place in _PLACES:
        directory = f"lib/modules/{release}/{place}"
        for name in files.names(root, directory):
            if name.startswith(f"{MODULE}.ko"):
                return f"/{directory}/{name}"
    return ""


def _is_enabled(root: Path, unit: str, target: str) -> bool:
    return any(
        (root / directory / f"{target}.wants" / unit).is_symlink()
        for directory in ("etc/systemd/system", "usr/lib/systemd/system")
    )


def _driver_version(root: Path, *, packaged: bool) -> str:
    found = _VERSION.search(files.text(root, _COMMAND)) if packaged else None
    return found[1] if found else __version__


def detect(root: Path, release: str) -> Installed:
    """Looks where packages, and this installer, put things."""
    command = next((f"/{path}" for path in ("usr/sbin/hcp", "usr/bin/hcp") if files.exists(root, path)), "")
    version = files.text(root, f"sys/module/{MODULE}/version")
    if not version and files.exists(root, f"sys/module/{MODULE}"):
        version = "unknown"
    packaged = bool(command) and any(files.exists(root, path) for path in _OF_PACKAGES)
    return Installed(
        command=command,
        module_file=_module_file(root, release),
        loaded_version=version,
        control_node=files.exists(root, "dev/hcp"),
        units_enabled=_is_enabled(root, "hotcopy.service", "sysinit.target")
        and _is_enabled(root, "hotcopy-clean.service", "multi-user.target"),
        rules=any(files.exists(root, f"{place}/udev/rules.d/59-hotcopy.rules") for place in ("etc", "usr/lib", "lib")),
        packaged=packaged,
        driver_version=_driver_version(root, packaged=packaged),
    )
