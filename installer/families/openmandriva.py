# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenMandriva."""

from __future__ import annotations

from installer.detect.kernel import Kernel
from installer.families.dnf import Dnf


class OpenMandriva(Dnf):
    """dnf, and the names of OpenMandriva's packages."""

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """A package for each flavour; what arrives is compared with the running kernel afterwards."""
        return (f"kernel-{kernel.flavour or 'desktop'}-devel",)
