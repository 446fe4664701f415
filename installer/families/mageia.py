# SPDX-License-Identifier: GPL-2.0-or-later
"""Mageia, a successor of Mandriva."""

from __future__ import annotations

from installer.detect.kernel import Kernel
from installer.families.dnf import Dnf


class Mageia(Dnf):
    """dnf, and the names of Mageia's packages."""

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """6.6.22-desktop-1.mga9 is packaged as kernel-desktop-devel-6.6.22-1.mga9."""
        flavour = kernel.flavour or "desktop"
        return (f"kernel-{flavour}-devel-{kernel.release.replace(f'-{flavour}-', '-', 1)}",)
