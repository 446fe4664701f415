# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel runs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files
from installer.matrix.identity import KernelIdentity, identify

_WORD = re.compile(r"[a-z][a-z0-9]*")


@dataclass(frozen=True)
class Uname:
    """uname(2)."""

    system: str
    release: str
    version: str
    machine: str

    @classmethod
    def of_host(cls) -> Uname:
        """The running kernel's."""
        own = os.uname()
        return cls(own.sysname, own.release, own.version, own.machine)


@dataclass(frozen=True)
class Kernel:
    """The running kernel."""

    identity: KernelIdentity
    flavour: str  # "generic", "default", "amd64", "uek"; "" where there is only one

    @property
    def release(self) -> str:
        """uname -r."""
        return self.identity.release

    @property
    def series(self) -> str:
        """Such as "6.12"; nothing when the release is of no known form."""
        return self.identity.series or ""


def _flavour(uname: Uname) -> str:
    if "uek" in uname.release:
        return "uek"
    for word in uname.release.split("-")[1:]:  # 6.1.0-56-cloud-amd64, 6.6.22-desktop-1.mga9
        if _WORD.fullmatch(word) and word != uname.machine:
            return word
    return ""


def detect(root: Path, uname: Uname) -> Kernel:
    """What uname says, taken apart."""
    signature = files.text(root, "proc/version_signature") or files.text(root, "proc/version")
    return Kernel(identify(uname.release, uname.version, signature), _flavour(uname))
