# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounts that only other processes see (containers, services): to be frozen like any other."""

from __future__ import annotations

import os

from hotcopy import mounts
from hotcopy.devid import DevId
from hotcopy.light import TYPE_CHECKING
from hotcopy.mounts import Mount

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def _others() -> Iterator[str]:
    """A process of every mount namespace but our own, as /proc/PID."""
    seen = {os.readlink("/proc/self/ns/mnt")}
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
        except OSError:
            continue  # it has ended
        if namespace not in seen:
            seen.add(namespace)
            yield f"/proc/{pid}"


def foreign_mounts(known: Collection[DevId]) -> tuple[Mount, ...]:
    """The mounts of filesystems that are not ``known``; their mount points lead through /proc/PID/root."""
    found: list[Mount] = []
    for process in _others():
        try:
            with open(f"{process}/mountinfo", "rb") as file:
                table = mounts.parse(os.fsdecode(file.read()))
        except (OSError, ValueError):
            continue
        found += [
            mount._replace(mount_point=f"{process}/root{mount.mount_point}")
            for mount in table
            if mount.dev not in known
        ]
    return tuple(found)
