# SPDX-License-Identifier: GPL-2.0-or-later
"""RHEL, its rebuilds, CentOS Stream and Fedora."""

from __future__ import annotations

from installer.detect.kernel import Kernel
from installer.families.dnf import Dnf

_FLAVOURS = {"uek": "kernel-uek", "rt": "kernel-rt", "64k": "kernel-64k"}


class RedHat(Dnf):
    """dnf, and the names of Red Hat's packages."""

    def headers(self, kernel: Kernel) -> tuple[str, ...]:
        """kernel-devel of exactly this release; it names the architecture already."""
        release, _, variant = kernel.release.partition("+")
        name = _FLAVOURS.get(variant or kernel.flavour, "kernel")
        return (f"{name}-devel-{release}",)

    def compiler(self, kernel_compiler: str) -> tuple[str, ...]:
        """objtool of these kernels wants libelf."""
        return (*super().compiler(kernel_compiler), "elfutils-libelf-devel")

    python_path = "/usr/bin/python3.9"

    def python(self) -> tuple[str, ...]:
        """EL 8's own python3 is 3.6."""
        return ("python39",)
