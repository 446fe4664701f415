# SPDX-License-Identifier: GPL-2.0-or-later
"""Every check, in the order in which people read them."""

from __future__ import annotations

from installer.checks import build, distro, hardware, kernel, modules, place, secureboot, space, userland
from installer.checks.finding import Check, Finding
from installer.context import Context

BEFORE: tuple[Check, ...] = (
    distro.distribution,
    distro.end_of_life,
    hardware.architecture,
    place.container,
    place.virtualization,
    kernel.series,
    kernel.faults,
    modules.loadable,
    modules.tracing,
    modules.others,
    secureboot.signatures,
    build.headers,
    build.compiler,
    build.dkms,
    userland.python,
    userland.commands,
    place.init,
    hardware.memory,
    space.usr,
    space.room,
    space.filesystems,
    space.changed_blocks,
)


def run(checks: tuple[Check, ...], context: Context) -> tuple[Finding, ...]:
    """What these checks find."""
    return tuple(finding for check in checks for finding in check(context))
