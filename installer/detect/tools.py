# SPDX-License-Identifier: GPL-2.0-or-later
"""Which programs are here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from installer.detect import files

_DIRECTORIES = ("usr/bin", "usr/sbin", "bin", "sbin", "usr/local/bin", "usr/local/sbin")
_PYTHON = re.compile(r"python3\.(\d+)")
_OLDEST_MINOR = 9


@dataclass(frozen=True)
class Tools:
    """The programs by name, as a root with an ordinary PATH finds them."""

    programs: frozenset[str]
    python: str  # the path of the Python that runs hcp: "/usr/bin/python3"; "" when all are too old
    kernel_compiler: str  # "gcc" or "clang": what built the kernel


def _python(root: Path) -> str:
    """python3 itself where it is new enough, else the newest besides it."""
    for name in ("python3", *sorted(files.names(root, "usr/bin"), key=_minor, reverse=True)):
        if name != "python3" and _minor(name) < _OLDEST_MINOR:
            continue
        path = files.inside(root, f"usr/bin/{name}")
        if path.exists() and _minor(path.name) >= _OLDEST_MINOR:
            return f"/usr/bin/{name}"
    return ""


def _minor(name: str) -> int:
    match = _PYTHON.fullmatch(name)
    return int(match[1]) if match else -1


def _kernel_compiler(root: Path) -> str:
    return "clang" if "clang version" in files.text(root, "proc/version") else "gcc"


def detect(root: Path) -> Tools:
    """Looks through the directories where programs are."""
    programs = frozenset(name for directory in _DIRECTORIES for name in files.names(root, directory))
    return Tools(programs, _python(root), _kernel_compiler(root))
