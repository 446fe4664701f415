# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the distribution is one we know."""

from __future__ import annotations

from collections.abc import Iterator

from installer.checks.finding import Finding, ok, refuse, warn
from installer.context import Context
from installer.matrix.model import Tier

_ID = "HC-DISTRO"
_MATRIX = "matrix.yaml; hotcopy-install support-matrix prints it"


def distribution(context: Context) -> Iterator[Finding]:
    """Its row of the matrix."""
    title, row = context.system.distro.title, context.row
    if context.family is None:
        yield refuse(
            _ID,
            f"{title} is of no family of distributions that this installer knows",
            "hotcopy-install report prints what to send us; by hand: python3 -m hotcopy.setup --get-module",
            _MATRIX,
            forceable=False,  # there is no package manager to work with
        )
    elif row is None:
        yield warn(
            _ID,
            f"{title} is not in the matrix; it is treated as of the family {context.family.value}",
            "hotcopy-install report prints what to send us, so that it gets there",
            _MATRIX,
        )
    elif row.tier is Tier.RETIRED:
        yield refuse(_ID, f"{title} is retired", row.advice or "move to a supported release", _MATRIX)
    elif row.tier is Tier.PLANNED:
        yield refuse(_ID, f"{title} is not supported yet: {row.verified.reason}", row.advice or "", _MATRIX)
    elif row.tier is Tier.PREVIEW:
        yield warn(_ID, f"{title} moves on without notice", "try after each kernel upgrade: hotcopy-install doctor")
    elif context.derived:
        yield warn(_ID, f"{title} is treated as {row.title}, which it derives from", "", _MATRIX)
    else:
        yield ok(_ID, f"{title} is supported (verified: {row.verified.level.value})")


def end_of_life(context: Context) -> Iterator[Finding]:
    """Whether it still gets updates today."""
    row, today = context.row, context.today
    if row is None or row.end_of_life is None or row.tier in (Tier.RETIRED, Tier.PLANNED):
        return
    if row.end_of_life >= today:
        yield ok("HC-DISTRO-EOL", f"{row.title} gets updates until {row.end_of_life}")
        return
    paid = f" (paid or long-term ones until {row.extended_end})" if row.extended_end else ""
    yield warn(
        "HC-DISTRO-EOL",
        f"free updates of {row.title} ended on {row.end_of_life}{paid}",
        row.advice or "plan to move to a newer release",
        row.references[0] if row.references else _MATRIX,
    )
