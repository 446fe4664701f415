# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rows of the matrix a kernel, and a place, fall under."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from installer.matrix.identity import KernelIdentity
from installer.matrix.model import Affected, AppliesWhen, KnownBroken, Matrix, Virtualization
from installer.matrix.versions import VersionError, order

_FILESYSTEM = {AppliesWhen.EXT4_MOUNTED: "ext4", AppliesWhen.XFS_MOUNTED: "xfs"}


def known_broken(matrix: Matrix, kernel: KernelIdentity, filesystems: Collection[str]) -> tuple[KnownBroken, ...]:
    """The faults of ``kernel`` that matter with these types of filesystems mounted."""
    return tuple(
        row
        for row in matrix.known_broken
        if any(has_fault(affected, kernel) for affected in row.affected)
        and (row.applies_when is AppliesWhen.ANY or _FILESYSTEM[row.applies_when] in filesystems)
    )


def has_fault(affected: Affected, kernel: KernelIdentity) -> bool:
    """Whether ``kernel`` is among the affected."""
    version = kernel.versions.get(affected.scheme)
    if version is None or (affected.release and not fnmatchcase(kernel.release, affected.release)):
        return False
    try:
        place = order(affected.scheme, version)
    except VersionError:
        return False
    passed = [event for event in affected.events if order(affected.scheme, event.version) <= place]
    return bool(passed) and passed[-1].broken


def place_of(matrix: Matrix, detected: str) -> Virtualization | None:
    """The row for a name of systemd-detect-virt; None where it knows one that the matrix does not."""
    return next((row for row in matrix.virtualization if detected in row.detect), None)
