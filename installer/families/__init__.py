# SPDX-License-Identifier: GPL-2.0-or-later
"""How the families of distributions name and install packages."""

from __future__ import annotations

from installer.families.amazon import Amazon
from installer.families.arch import Arch
from installer.families.base import Packager
from installer.families.debian import Debian
from installer.families.mageia import Mageia
from installer.families.openmandriva import OpenMandriva
from installer.families.redhat import RedHat
from installer.families.suse import Suse
from installer.matrix.model import Family

_PACKAGERS: dict[Family, Packager] = {
    Family.DEBIAN: Debian(),
    Family.REDHAT: RedHat(),
    Family.SUSE: Suse(),
    Family.AMAZON: Amazon(),
    Family.MAGEIA: Mageia(),
    Family.OPENMANDRIVA: OpenMandriva(),
    Family.ARCH: Arch(),
}


def packager(family: Family) -> Packager:
    """The one of this family."""
    return _PACKAGERS[family]
