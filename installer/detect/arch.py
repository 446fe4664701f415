# SPDX-License-Identifier: GPL-2.0-or-later
"""The processor architecture, and whether the programs are of the same one as the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installer.detect import files

_ELF_CLASS = 4  # offset of EI_CLASS in an ELF file
_WIDTHS = {1: 32, 2: 64}
_SHELLS = ("usr/bin/sh", "bin/sh")


@dataclass(frozen=True)
class Architecture:
    """uname -m, and the width of the userland."""

    machine: str
    userland_bits: int  # 0 when there is no program to look at


def detect(root: Path, machine: str) -> Architecture:
    """Reads the width from the header of the shell."""
    for shell in _SHELLS:
        try:
            with files.inside(root, shell).open("rb") as file:
                head = file.read(_ELF_CLASS + 1)
        except OSError:
            continue
        if head.startswith(b"\x7fELF"):
            return Architecture(machine, _WIDTHS.get(head[_ELF_CLASS], 0))
    return Architecture(machine, 0)
