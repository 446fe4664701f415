# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether writes to a store come back to its own origin through other drivers, where hcp's does not know them.

The driver knows the blocks of every store by disk and sector: directly on the origin's disk they are never copied.
But what it writes to a logical volume arrives at the disk below as anybody's writes.
"""

from __future__ import annotations

import os
import stat

from hotcopy.devid import DevId
from hotcopy.light import TYPE_CHECKING
from hotcopy.sysfs import Sysfs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def _with_disk(dev: DevId, sysfs: Sysfs) -> set[DevId]:
    return {dev, sysfs.disk(dev)}


def _below(dev: DevId, sysfs: Sysfs) -> set[DevId]:
    """The devices that another driver writes to when ``dev`` is written."""
    disk = sysfs.disk(dev)
    found = set(sysfs.slaves(disk))
    file = sysfs.backing_file(disk)
    if file:
        try:
            status = os.stat(file)
        except OSError:
            return found
        found.add(DevId.of(status.st_rdev if stat.S_ISBLK(status.st_mode) else status.st_dev))
    return found


def indirect(dev: DevId, sysfs: Sysfs) -> frozenset[DevId]:
    """Every device that a write to ``dev`` reaches through other drivers, whole disks included."""
    reached: set[DevId] = set()
    todo = [dev]
    while todo:
        for lower in _below(todo.pop(), sysfs):
            if lower not in reached:
                reached |= _with_disk(lower, sysfs)
                todo.append(lower)
    return frozenset(reached)


def depth(dev: DevId, sysfs: Sysfs) -> int:
    """How many devices are below: more than below any of those."""
    return len(indirect(dev, sysfs))


def comes_back(origin: DevId, store: DevId, stores: Mapping[DevId, Collection[DevId]], sysfs: Sysfs) -> bool:
    """Whether what is written to ``store`` is seen at ``origin``, perhaps by way of other origins.

    ``stores`` are the origins that have hot copies, and the devices of their stores.
    """
    seen: set[DevId] = set()
    todo = [store]
    while todo:
        reached = indirect(todo.pop(), sysfs)
        if origin in reached:
            return True
        for other in reached & stores.keys() - seen:
            seen.add(other)
            todo += stores[other]
    return False
