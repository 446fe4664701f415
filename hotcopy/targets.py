# SPDX-License-Identifier: GPL-2.0-or-later
"""A device to copy, and everything on it that matters for that: its filesystem, or those above it."""

from __future__ import annotations

from hotcopy import filesystems
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.filesystems import Filesystem
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.sysfs import Sysfs

if TYPE_CHECKING:
    from collections.abc import Sequence


class Target(NamedTuple):
    """One origin: ``filesystem`` is mounted directly from it; ``above`` are all it carries, in the order of freezing.

    A partition has its filesystem in both; a disk has only ``above``; a raw device has neither. ``carried`` are the
    device itself and everything built on it.
    """

    device: BlockDevice
    filesystem: Filesystem | None
    above: tuple[Filesystem, ...]
    carried: tuple[DevId, ...]

    @property
    def carries_others(self) -> bool:
        """A disk with partitions or a member of LVM or RAID: its filesystems are on other devices."""
        return self.filesystem is None and bool(self.above)


def of(device: BlockDevice, mounted: Sequence[Filesystem], sysfs: Sysfs) -> Target:
    """What there is on the device now."""
    carried = filesystems.carried([device.dev], mounted, sysfs)
    return Target(device, filesystems.on(mounted, device.dev), filesystems.writable(carried, mounted, sysfs), carried)
