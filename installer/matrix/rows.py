# SPDX-License-Identifier: GPL-2.0-or-later
"""What the rows of several tables have in common."""

from __future__ import annotations

from collections.abc import Sequence

from installer.matrix.model import Level, Verified
from installer.matrix.reader import Mapping, Value


def verified(row: Mapping) -> Verified:
    """How far a row was verified."""
    value = row["verified"].mapping()
    found = Verified(value["level"].one_of(Level), value["reason"].text())
    value.finish()
    return found


def unique(table: Value, names: Sequence[str]) -> None:
    """No name may be there twice."""
    for at, name in enumerate(names):
        if name in names[:at]:
            raise table.error(f"{name} is there twice")
