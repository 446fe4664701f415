# SPDX-License-Identifier: GPL-2.0-or-later
"""The mounted filesystems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hotcopy.mounts import Mount, parse_line
from installer.detect import files


@dataclass(frozen=True)
class Space:
    """How large a filesystem is, and how much of it is free for everybody, in bytes."""

    size: int
    free: int


SpaceOf = Callable[[str], "Space | None"]


@dataclass(frozen=True)
class Filesystem:
    """A filesystem on a block device, where it is mounted first."""

    place: str
    device: str
    fstype: str
    writable: bool
    space: Space | None


@dataclass(frozen=True)
class Mounts:
    """What matters of the mount table."""

    filesystems: tuple[Filesystem, ...]  # those on block devices
    usr_writable: bool
    image_based: bool  # an OSTree or transactional system: /usr changes only with a new image


def _containing(table: list[Mount], path: str) -> Mount | None:
    best = None
    for mount in table:
        place = mount.mount_point.rstrip("/")
        if (path == place or path.startswith(f"{place}/")) and (
            best is None or len(place) >= len(best.mount_point.rstrip("/"))
        ):
            best = mount
    return best


def detect(root: Path, space_of: SpaceOf) -> Mounts:
    """Reads the mount table of this process."""
    table = []
    for line in files.text(root, "proc/self/mountinfo").splitlines():
        try:
            table.append(parse_line(line))
        except ValueError:
            continue
    found: dict[str, Filesystem] = {}
    for mount in table:
        if mount.source.startswith("/dev/") and mount.source not in found and not mount.source.startswith("/dev/loop"):
            found[mount.source] = Filesystem(
                mount.mount_point, mount.source, mount.fstype, mount.writable, space_of(mount.mount_point)
            )
    usr = _containing(table, "/usr")
    return Mounts(
        filesystems=tuple(found.values()),
        usr_writable=usr is None or usr.writable,
        image_based=files.exists(root, "run/ostree-booted") or files.exists(root, "usr/sbin/transactional-update"),
    )
