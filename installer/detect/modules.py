# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this kernel loads modules, and which it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.detect import files


@dataclass(frozen=True)
class Modules:
    """What the kernel says of its modules."""

    supported: bool  # /proc/modules is there only with CONFIG_MODULES
    locked: bool  # the sysctl kernel.modules_disabled, which only a reboot undoes
    directory: bool  # /lib/modules/RELEASE
    loaded: tuple[str, ...]


def detect(root: Path, release: str) -> Modules:
    """Reads /proc and the module directory."""
    lines = files.text(root, "proc/modules").splitlines()
    return Modules(
        supported=files.exists(root, "proc/modules"),
        locked=files.text(root, "proc/sys/kernel/modules_disabled") == "1",
        directory=files.exists(root, f"lib/modules/{release}"),
        loaded=tuple(sorted(line.split(" ", 1)[0] for line in lines if line)),
    )
