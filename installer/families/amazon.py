# SPDX-License-Identifier: GPL-2.0-or-later
"""Amazon Linux."""

from __future__ import annotations

from installer.detect.kernel import Kernel
from installer.families.dnf import Dnf

UNNUMBERED = "6.1"  # the kernel that Amazon Linux 2023 came with is plain "kernel", later ones are "kernel6.12"


class Amazon(Dnf):
    """dnf, and the names of Amazon's packages."""

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """The name has the series of a later kernel in it."""
        series = "" if kernel.series == UNNUMBERED else kernel.series
        return (f"kernel{series}-devel-{kernel.release}",)

    def compiler(self, kernel_compiler: str) -> tuple[str, ...]:
        """objtool wants libelf."""
        return (*super().compiler(kernel_compiler), "elfutils-libelf-devel")
