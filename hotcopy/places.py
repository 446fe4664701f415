# SPDX-License-Identifier: GPL-2.0-or-later
"""Where changed blocks go: the origin's own filesystem, another one (-c), or a block device (-c)."""

from __future__ import annotations

import os
import stat

from hotcopy import checks, cycles, filesystems, store
from hotcopy import device as devices
from hotcopy import mounts as mount_table
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.driver import HotCopy
from hotcopy.errors import HcpError
from hotcopy.filesystems import HOLDING, MOVING, Filesystem
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.mounts import NETWORK_TYPES, Mount
from hotcopy.sysfs import Sysfs, node
from hotcopy.targets import Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

ELSEWHERE = "name a place for them with -c: a mounted device, a directory on another disk, or an unmounted device"


class FilesystemPlace(NamedTuple):
    """Files in ``.hotcopy/`` at the root of a mounted filesystem; ``shown`` is what the user is told."""

    mount: Mount
    device: BlockDevice
    shown: str


class DevicePlace(NamedTuple):
    """A block device that nobody uses, all of it."""

    device: BlockDevice

    @property
    def shown(self) -> str:
        """What the user is told."""
        return self.device.path


Place: TypeAlias = "FilesystemPlace | DevicePlace"


class Surroundings(NamedTuple):
    """What there is on this machine: looked at once, so that all decisions are about one state.

    ``filesystems`` may have some that are mounted for other processes only, and not in ``table``.
    """

    table: Sequence[Mount]
    filesystems: Sequence[Filesystem]
    hot_copies: Sequence[HotCopy]
    sysfs: Sysfs


def _refuse_type(fstype: str, what: str) -> None:
    """Refuses to put a store on this kind of filesystem."""
    if fstype in MOVING:
        raise HcpError(
            f"{what} holds {fstype}, which cannot hold changed blocks: its blocks move, or are on other devices",
            ELSEWHERE,
        )
    if fstype in NETWORK_TYPES:
        raise HcpError(f"{what} is a network filesystem ({fstype}), which has no block device here", ELSEWHERE)
    if fstype not in HOLDING:
        raise HcpError(f"{what} holds {fstype}, which cannot hold changed blocks; {', '.join(HOLDING)} can", ELSEWHERE)


def _root_of(mounts: Sequence[Mount], path: str) -> Mount:
    """The mount that shows the root of the filesystem and can be written to. HcpError if none."""
    best = mount_table.whole_and_writable(mounts)
    if best is not None:
        return best
    first = mounts[0]
    if not any(mount.writable for mount in mounts):
        raise HcpError(
            f"{path} is mounted read-only ({first.mount_point}), so it has no room for changed blocks",
            f"mount -o remount,rw {mount_table.escape(first.mount_point)}, or {ELSEWHERE}",
        )
    raise HcpError(
        f"only a part of {path} is visible and writable here ({first.root} at {first.mount_point}),"
        " and changed blocks go to the root of its filesystem",
        f"mount the whole filesystem somewhere too: mount {path} DIR",
    )


def _in_filesystem(filesystem: Filesystem, path: str, around: Surroundings) -> FilesystemPlace:
    _refuse_type(filesystem.fstype, path)
    if filesystem.mounts[0] not in around.table:
        raise HcpError(
            f"{path} is mounted only where this process does not see it ({filesystem.place}), so it cannot take changed"
            " blocks",
            f"mount it here too, or {ELSEWHERE}",
        )
    mount = _root_of(filesystem.mounts, path)
    return FilesystemPlace(mount, devices.by_number(filesystem.devices[0]), mount.mount_point)


def _own(target: Target, filesystem: Filesystem, around: Surroundings) -> FilesystemPlace:
    """The place that needs no -c."""
    place = _in_filesystem(filesystem, target.device.path, around)
    return FilesystemPlace(place.mount, place.device, os.path.join(place.mount.mount_point, store.DIRECTORY))


def _free(place: FilesystemPlace) -> int:
    try:
        status = os.statvfs(place.mount.mount_point)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def _on_partition(target: Target, around: Surroundings) -> FilesystemPlace:
    """The roomiest filesystem directly on a partition of the disk: there the driver knows its own writes."""
    found = []
    for partition in around.sysfs.partitions(target.device.dev):
        filesystem = filesystems.on(around.filesystems, partition)
        if filesystem is not None and filesystem.fstype in HOLDING and filesystem.mounts[0] in around.table:
            mount = mount_table.whole_and_writable(filesystem.mounts)
            if mount is not None:
                shown = os.path.join(mount.mount_point, store.DIRECTORY)
                found.append(FilesystemPlace(mount, devices.by_number(partition), shown))
    if not found:
        above = ", ".join(filesystem.place for filesystem in target.above)
        raise HcpError(
            f"there is no place on {target.device.path} for changed blocks: its filesystems ({above}) are not directly"
            f" on partitions of it, or not of a kind that can hold them ({', '.join(HOLDING)})",
            ELSEWHERE,
        )
    return max(found, key=_free)


def default(target: Target, around: Surroundings) -> FilesystemPlace:
    """The place without -c: on the origin itself. HcpError when there is none."""
    checks.refuse_small(target.device)
    if target.filesystem is not None:
        return _own(target, target.filesystem, around)
    if target.carries_others:
        return _on_partition(target, around)
    device = target.device
    holders = [node(around.sysfs.name(dev)) for dev in around.sysfs.holders(device.dev)]
    seen = checks.content(device)
    if holders:
        what = f"{device.path} is in use by {', '.join(holders)}, with no filesystem mounted"
    elif around.sysfs.partitions(device.dev):
        what = f"{device.path} is a disk with partitions, none of them mounted"
    elif seen in HOLDING:
        raise HcpError(
            f"{device.path} holds an {seen} filesystem that is not mounted, so there is no place on it for changed blocks",
            f"mount it, or {ELSEWHERE}",
        )
    else:
        what = f"{device.path} holds {seen}" if seen else f"{device.path} holds no filesystem"
    raise HcpError(f"{what}, so there is no place on it for changed blocks", ELSEWHERE)


def _of_directory(where: str, around: Surroundings) -> FilesystemPlace:
    """By the filesystem that the directory is in."""
    real = os.path.realpath(where)
    dev = DevId.of(os.stat(real).st_dev)
    here = mount_table.of_device(around.table, dev)
    if not here:  # btrfs numbers its subvolumes itself
        holding = [
            mount
            for mount in around.table
            if real == mount.mount_point or real.startswith(mount.mount_point.rstrip("/") + "/")
        ]
        here = tuple(holding[-1:])
    if not here:
        raise HcpError(f"it cannot be told which filesystem {where} is in", ELSEWHERE)
    mount = here[-1]
    filesystem = filesystems.on(around.filesystems, mount.dev)
    if filesystem is None:
        _refuse_type(mount.fstype, where)
        raise HcpError(f"{where} is on {mount.fstype}, which has no block device", ELSEWHERE)
    return _in_filesystem(filesystem, where, around)


def _unused(device: BlockDevice, force: bool, around: Surroundings) -> DevicePlace:
    """A whole block device; refuses everything that somebody else uses or may want to keep. HcpError."""
    other = "give a device that nobody uses"
    if any(copy.store == device.dev for copy in around.hot_copies):
        return DevicePlace(
            device
        )  # a further hot copy shares it; it is not free for another origin, as opening it tells
    if device.read_only:
        raise HcpError(f"{device.path} is read-only, so it cannot take changed blocks", other)
    if around.sysfs.is_zoned(device.dev):
        raise HcpError(f"{device.path} is a zoned device, which cannot take changed blocks", other)
    carried = filesystems.carried([device.dev], around.filesystems, around.sysfs)
    if checks.in_swap(carried) is not None:
        raise HcpError(f"{device.path} is in use as swap space", other)
    above = [node(around.sysfs.name(dev)) for dev in carried if dev != device.dev]
    if above:
        raise HcpError(f"{device.path} is not free for changed blocks: {', '.join(above)} is on it", other)
    for copy in around.hot_copies:
        if copy.origin in (device.dev, around.sysfs.disk(device.dev)):
            raise HcpError(f"{device.path} belongs to {copy.path}, which has hot copies", other)
    seen = checks.content(device)
    if seen and not force:
        raise HcpError(
            f"{device.path} holds {seen}, which changed blocks would overwrite", "give --force too if nobody needs it"
        )
    return DevicePlace(device)


def _named(where: str, force: bool, around: Surroundings) -> Place:
    try:
        mode = os.stat(where).st_mode
    except (OSError, ValueError):
        mode = stat.S_IFBLK  # resolve() says what is wrong
    if stat.S_ISDIR(mode):
        return _of_directory(where, around)
    device = devices.resolve(where)
    filesystem = filesystems.on(around.filesystems, device.dev)
    if filesystem is not None:
        return _in_filesystem(filesystem, device.path, around)
    return _unused(device, force, around)


def _refuse_hot_copy(place: Place, around: Surroundings) -> None:
    touched = cycles.indirect(place.device.dev, around.sysfs) | {place.device.dev}
    for copy in around.hot_copies:
        if copy.device in touched:
            raise HcpError(
                f"{place.shown} is on the hot copy {copy.node}, which is no place for changed blocks", ELSEWHERE
            )


def named(where: str, force: bool, around: Surroundings) -> Place:
    """The place that -c names. HcpError says why it cannot be."""
    place = _named(where, force, around)
    _refuse_hot_copy(place, around)
    return place
