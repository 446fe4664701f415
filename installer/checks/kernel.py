# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the kernel is one the driver works with."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context
from installer.matrix.match import known_broken
from installer.matrix.model import Severity, Tier

_ID = "HC-KERNEL"


def _numbers(series: str) -> tuple[int, ...]:
    return tuple(int(part) for part in series.split("."))


def series(context: Context) -> Iterator[Finding]:
    """Its place in the range of supported series."""
    kernels, kernel = context.matrix.kernels, context.system.kernel
    named = f"kernel {kernel.release}"
    if not kernel.series:
        yield warn(
            _ID, f"{named} is not of a form that tells its version", "hotcopy-install report prints what to send us"
        )
        return
    own = _numbers(kernel.series)
    row = next((row for row in kernels.series if row.series == kernel.series), None)
    if row is not None and row.tier is Tier.PLANNED:
        yield refuse(_ID, f"{named} is not supported yet: {row.verified.reason}", kernels.older)
    elif own < _numbers(kernels.oldest):
        yield refuse(_ID, f"{named} is older than {kernels.oldest}, the oldest that is supported", kernels.older)
    elif own > _numbers(kernels.newest):
        yield warn(_ID, f"{named} is newer than {kernels.newest}, the newest that was tested", kernels.newer)
    elif row is None:
        yield warn(
            _ID,
            f"{named} is within the supported range, but its series was not tested",
            "the driver is tried, and says so if it does not build",
        )
    else:
        yield ok(_ID, f"{named} is supported (verified: {row.verified.level.value})")


def faults(context: Context) -> Iterator[Finding]:
    """Known faults of this kernel that a hot copy would run into."""
    system = context.system
    mounted = {filesystem.fstype for filesystem in system.mounts.filesystems}
    found = known_broken(context.matrix, system.kernel.identity, mounted)
    for row in found:
        where = ", ".join(reference.url for reference in row.references)
        yield Finding(
            id=f"HC-BROKEN-{row.key.upper()}",
            severity=row.severity,
            cause=f"kernel {system.kernel.release} ({system.kernel.identity.version}) has a known fault: {row.title}",
            remedy=row.remedy,
            reference=where,
            forceable=row.forceable and row.severity is Severity.REFUSE,
        )
    if not found:
        yield ok("HC-BROKEN", f"no known fault of kernel {system.kernel.release} matters to hot copies")
