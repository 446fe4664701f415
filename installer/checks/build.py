# SPDX-License-Identifier: GPL-2.0-or-later
"""What building the driver takes."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, warn
from installer.context import Context


def headers(context: Context) -> Iterator[Finding]:
    """The headers of the running kernel."""
    found, kernel = context.system.headers, context.system.kernel
    if found.present:
        yield ok("HC-HEADERS", f"the headers of kernel {kernel.release} are in {found.path}")
        return
    packages = " ".join(context.packager.headers(kernel)) if context.packager else "kernel headers"
    link = " (the link is there, what it points to is not)" if found.broken_link else ""
    yield warn(
        "HC-HEADERS", f"the headers of kernel {kernel.release} are missing{link}", f"the installer installs {packages}"
    )


def compiler(context: Context) -> Iterator[Finding]:
    """A compiler like the one that built the kernel."""
    tools = context.system.tools
    missing = [name for name in (tools.kernel_compiler, "make") if name not in tools.programs]
    if not missing:
        yield ok("HC-COMPILER", f"{tools.kernel_compiler} and make are here")
        return
    packages = " ".join(context.packager.compiler(tools.kernel_compiler)) if context.packager else " ".join(missing)
    yield warn(
        "HC-COMPILER", f"missing to build the driver: {', '.join(missing)}", f"the installer installs {packages}"
    )


def dkms(context: Context) -> Iterator[Finding]:
    """What builds the driver again for the next kernel."""
    if "dkms" in context.system.tools.programs:
        yield ok("HC-DKMS", "DKMS builds the driver for later kernels")
    else:
        yield warn(
            "HC-DKMS",
            "DKMS is missing, which builds the driver again for later kernels",
            "the installer installs it where a repository has it (EL: EPEL); else after each kernel upgrade: hcp-setup --get-module",
        )
