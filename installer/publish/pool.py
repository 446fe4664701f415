# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages coming into a repository: what is published stays as it is."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from installer.errors import InstallError


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files are equal."""
    return filecmp.cmp(one, other, shallow=False)


def touch(path: Path) -> None:
    """Makes its age begin now; nothing where there is no such file."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)


def add(packages: Iterable[Path], pool: Path, is_same: Callable[[Path, Path], bool] = same_bytes) -> tuple[Path, ...]:
    """Copies the packages that are new into the pool, and returns where they are.

    InstallError for one that is there with other contents: machines that have it would never get the new one.
    """
    pool.mkdir(parents=True, exist_ok=True)
    added = []
    for package in sorted(packages):
        target = pool / package.name
        if target.exists():
            if not is_same(package, target):
                raise InstallError(
                    f"{target} is published already, with other contents", "raise the version, and build again"
                )
            continue
        new = target.with_name(f".{target.name}.new")
        shutil.copyfile(package, new)
        new.chmod(0o644)
        new.replace(target)
        added.append(target)
    return tuple(added)
