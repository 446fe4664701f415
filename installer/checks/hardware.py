# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine itself."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context

_DRIVER = ("x86_64",)  # what the driver is built and tested on
_WIDTH = 64


def architecture(context: Context) -> Iterator[Finding]:
    """What the driver is made for."""
    found = context.system.architecture
    known = context.row.architectures if context.row else _DRIVER
    if found.machine not in known:
        yield refuse(
            "HC-ARCH",
            f"the architecture {found.machine} is not supported (supported: {', '.join(known)})",
            "use Hot Copy on a machine of a supported architecture",
            forceable=False,
        )
    elif found.userland_bits not in (0, _WIDTH):
        yield refuse(
            "HC-ARCH",
            f"the kernel is {found.machine}, but the programs are of {found.userland_bits} bits",
            "install a distribution of 64 bits",
            forceable=False,
        )
    else:
        yield ok("HC-ARCH", f"{found.machine}")


def memory(context: Context) -> Iterator[Finding]:
    """What copies in flight need."""
    have, want = context.system.memory_mib, context.matrix.requirements.memory_mib
    # A machine of 512 MiB has less than that left when its kernel has booted.
    if 0 < have < want * 7 // 8:
        yield warn(
            "HC-MEMORY", f"{have} MiB of memory; {want} MiB are asked for", "hot copies may end for lack of memory"
        )
    else:
        yield ok("HC-MEMORY", f"{have} MiB of memory" if have else "how much memory there is cannot be seen")
