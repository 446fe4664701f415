# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine and what the matrix says of it: what every check and every step looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from installer.detect.osrelease import OsRelease
from installer.detect.system import System
from installer.families import packager
from installer.families.base import Packager
from installer.matrix.distros import find_distro
from installer.matrix.model import Distro, Family, Matrix

# IDs that stand in ID_LIKE, and in no row of their own.
_LIKE = {"suse": Family.SUSE, "rhel": Family.REDHAT, "debian": Family.DEBIAN, "mandriva": Family.MAGEIA}
_REBUILT = ("rhel", "centos")  # whose versions their derivatives take over


@dataclass(frozen=True)
class Context:
    """A machine, its row of the matrix, and its family."""

    system: System
    matrix: Matrix
    row: Distro | None  # of this very release, or of the one that it rebuilds
    family: Family | None
    derived: bool  # the row or the family is that of what the distribution derives from
    today: date = field(default_factory=date.today)

    @property
    def packager(self) -> Packager | None:
        """The package manager; None where the family is unknown."""
        return packager(self.family) if self.family else None


def _values(distro: OsRelease) -> dict[str, str]:
    return {
        "ID": distro.os_id,
        "VERSION_ID": distro.version,
        "VERSION_CODENAME": distro.codename,
        "NAME": distro.name,
    }


def _family(matrix: Matrix, distro: OsRelease) -> Family | None:
    for name in (distro.os_id, *distro.like):
        for row in matrix.distros:
            if row.os_id == name:
                return row.family
        if name in _LIKE:
            return _LIKE[name]
    return None


def place(system: System, matrix: Matrix) -> Context:
    """Finds the machine's place in the matrix."""
    distro = system.distro
    row = find_distro(matrix, _values(distro))
    if row is not None:
        return Context(system, matrix, row, row.family, derived=False)
    for name in distro.like:
        if name in _REBUILT:
            row = find_distro(matrix, {"ID": name, "VERSION_ID": distro.version, "NAME": ""})
            if row is not None:
                return Context(system, matrix, row, row.family, derived=True)
    return Context(system, matrix, None, _family(matrix, distro), derived=True)
