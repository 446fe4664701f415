# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp -l`` as text (its labels are an interface, see docs) and as JSON (docs/hcp-json.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Union

from hotcopy import mounting, mounts
from hotcopy.dates import iso_date, local_date
from hotcopy.devid import DevId
from hotcopy.driver import HotCopy
from hotcopy.light import NamedTuple
from hotcopy.mounts import Mount

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE = "No Hot Copy sessions"
NOT_MOUNTED = "-"  # one word, and no path: "$(awk …)/" in a script must not become "/"
JSON_FORMAT = 1
_VALUE_COLUMN = 24  # characters before every value

JsonValue = Union[str, int, bool, list[str], None]


class Session(NamedTuple):
    """A hot copy and where it is mounted."""

    copy: HotCopy
    mounted: tuple[str, ...]
    grows: bool  # its store, as it is needed


def _stuck(copies: Sequence[HotCopy]) -> set[DevId]:
    """Origins whose stores do not grow: a store on its own origin takes blocks that are known to be free in all."""
    return {
        copy.origin
        for copy in copies
        if copy.fixed_store or (copy.store == copy.origin and copy.state == "active" and not copy.free_known)
    }


def sessions(copies: Sequence[HotCopy], table: Sequence[Mount]) -> tuple[Session, ...]:
    """Joins what the driver says with what is mounted."""
    stuck = _stuck(copies)
    return tuple(
        Session(copy, mounting.mounted_at(copy.device, table), copy.state == "active" and copy.origin not in stuck)
        for copy in copies
    )


def mebibytes(number: int) -> str:
    """``0.25 MiB (262144 bytes)``."""
    return f"{number / (1 << 20):.2f} MiB ({number} bytes)"


def record(session: Session) -> tuple[str, ...]:
    """The lines of one hot copy."""
    copy = session.copy
    rows = [
        ("Real Device", copy.path),
        ("Virtual Device", copy.node),
        ("Changed Blocks Stored", copy.store_path),
        ("Mounted", mounts.escape(session.mounted[0]) if session.mounted else NOT_MOUNTED),
        ("Time Created", local_date(copy.created_ns)),
        ("Changed Blocks", mebibytes(copy.preserved_bytes)),
        ("State", copy.state),
    ]
    if copy.reason:
        rows.append(("Reason", copy.reason))
    rows += [
        ("Access", "read-only" if copy.read_only else "read-write"),
        ("Written To Hot Copy", mebibytes(copy.private_bytes)),
        ("Store Allocated", mebibytes(copy.store_bytes)),
        ("Store Used", mebibytes(copy.store_used_bytes)),
        ("Free Space Floor", f"{copy.floor_percent} %"),
        ("Store Grows", "yes" if session.grows else "no"),
    ]
    return (f"****** {copy.name} ******", *(f" {label}:".ljust(_VALUE_COLUMN) + value for label, value in rows))


def text(found: Sequence[Session]) -> tuple[str, ...]:
    """Every line of ``hcp -l``: the records with an empty line between them."""
    if not found:
        return (NONE,)
    lines: list[str] = []
    for session in found:
        if lines:
            lines.append("")
        lines += record(session)
    return tuple(lines)


def as_json(found: Sequence[Session]) -> str:
    """The document of ``hcp -l --json``."""
    documents: list[dict[str, JsonValue]] = [
        {
            "name": session.copy.name,
            "number": session.copy.minor,
            "device": session.copy.node,
            "device_number": str(session.copy.device),
            "origin": session.copy.path,
            "origin_number": str(session.copy.origin),
            "state": session.copy.state,
            "reason": session.copy.reason or None,
            "read_only": session.copy.read_only,
            "open": session.copy.is_open,
            "mount_points": list(session.mounted),
            "created": iso_date(session.copy.created_ns),
            "sequence": session.copy.sequence,
            "frozen_us": session.copy.frozen_ns // 1000,
            "sectors": session.copy.nr_sectors,
            "changed_bytes": session.copy.preserved_bytes,
            "private_bytes": session.copy.private_bytes,
            "in_flight_bytes": session.copy.in_flight_bytes,
            "store": session.copy.store_path,
            "store_device_number": str(session.copy.store),
            "store_bytes": session.copy.store_bytes,
            "store_used_bytes": session.copy.store_used_bytes,
            "store_fixed": session.copy.fixed_store,
            "store_grows": session.grows,
            "growths": session.copy.growths,
            "floor_percent": session.copy.floor_percent,
            "free_known": session.copy.free_known,
            "free_bytes": session.copy.free_bytes,
            "changed_known": not session.copy.changed_lost,
        }
        for session in found
    ]
    return json.dumps({"format": JSON_FORMAT, "hot_copies": documents}, indent=2)
