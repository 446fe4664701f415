# SPDX-License-Identifier: GPL-2.0-or-later
"""Mounted filesystems and the block devices they are on."""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat

from hotcopy import context, libc, mounts
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.mounts import Mount
from hotcopy.sysfs import Sysfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# They hold the changed blocks of hot copies: their blocks stay where they are, at addresses of their device.
HOLDING = ("ext2", "ext3", "ext4", "xfs", "vfat")
# These do not: their blocks move, or their addresses are not the device's.
MOVING = ("btrfs", "f2fs", "zfs", "bcachefs")

_BTRFS_IOC_FS_INFO = 0x8400941F  # linux/btrfs.h; the fsid is at byte 16
_FS_INFO_SIZE = 1024
_EXT4_IOC_CHECKPOINT = 0x4004662B  # linux/ext4.h, _IOW('f', 43, __u32), 5.14


class Filesystem(NamedTuple):
    """A mounted filesystem: the devices it is on (several only for btrfs and its like) and every mount of it."""

    fstype: str
    devices: tuple[DevId, ...]
    mounts: tuple[Mount, ...]

    @property
    def is_dax(self) -> bool:
        """Programs write past every driver."""
        return any(option in ("dax", "dax=always") for mount in self.mounts for option in mount.super_options)

    @property
    def place(self) -> str:
        """A mount point, for messages."""
        return self.mounts[0].mount_point


def _block(path: str) -> DevId | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return DevId.of(status.st_rdev) if stat.S_ISBLK(status.st_mode) else None


def _btrfs(mount: Mount, sysfs: Sysfs) -> tuple[DevId, ...]:
    """By the filesystem's id: the source of the mount names one device, or /dev/root, which is none."""
    import uuid  # only here

    info = ctypes.create_string_buffer(_FS_INFO_SIZE)
    try:
        fd = os.open(mount.mount_point, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        libc.ioctl(fd, _BTRFS_IOC_FS_INFO, info)
    except OSError:
        return ()  # covered by another mount
    finally:
        os.close(fd)
    directory = f"{sysfs.root}/fs/btrfs/{uuid.UUID(bytes=info.raw[16:32])}/devices"
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return ()
    return tuple(dev for dev in (sysfs.by_name(name) for name in names) if dev is not None)


def _needs_device(text: str) -> frozenset[str]:
    """The filesystem types of a /proc/filesystems text that are on block devices."""
    rows = [line.split("\t") for line in text.splitlines()]
    return frozenset(row[1] for row in rows if len(row) == 2 and row[0] == "")


def _devices(mount: Mount, on_devices: frozenset[str], sysfs: Sysfs) -> tuple[DevId, ...]:
    if mount.dev.major != 0:
        return (mount.dev,)
    if mount.fstype not in on_devices:
        return ()
    found = _btrfs(mount, sysfs) if mount.fstype == "btrfs" else ()
    return found or tuple(dev for dev in map(_block, mount.source.split(":")) if dev is not None)


def read(table: Iterable[Mount], sysfs: Sysfs) -> tuple[Filesystem, ...]:
    """Every mounted filesystem on a block device."""
    try:
        with open("/proc/filesystems", encoding="utf-8") as file:
            on_devices = _needs_device(file.read())
    except OSError:
        on_devices = frozenset()
    grouped: dict[DevId, list[Mount]] = {}
    for mount in table:
        grouped.setdefault(mount.dev, []).append(mount)
    found = []
    for same in grouped.values():
        for mount in same:
            devices = _devices(mount, on_devices, sysfs)
            if devices:
                found.append(Filesystem(mount.fstype, devices, tuple(same)))
                break
    return tuple(found)


def on(filesystems: Iterable[Filesystem], dev: DevId) -> Filesystem | None:
    """The filesystem directly on this device."""
    for filesystem in filesystems:
        if dev in filesystem.devices:
            return filesystem
    return None


def _above(dev: DevId, filesystem: Filesystem | None, sysfs: Sysfs) -> tuple[DevId, ...]:
    """What is built directly on a device: partitions, holders, and loop devices on files of its filesystem."""
    above = sysfs.partitions(dev) + sysfs.holders(dev)
    if filesystem is None:
        return above
    numbers = {mount.dev for mount in filesystem.mounts}
    return above + tuple(loop for loop, file in sysfs.loops().items() if _device_of_file(file) in numbers)


def _device_of_file(path: str) -> DevId | None:
    try:
        return DevId.of(os.stat(path).st_dev)
    except OSError:
        return None


def carried(devices: Sequence[DevId], filesystems: Sequence[Filesystem], sysfs: Sysfs) -> tuple[DevId, ...]:
    """These devices and all that is built on them, each before those it is built on."""
    seen: set[DevId] = set()
    order: list[DevId] = []

    def visit(dev: DevId) -> None:
        if dev in seen:
            return
        seen.add(dev)
        for upper in _above(dev, on(filesystems, dev), sysfs):
            visit(upper)
        order.append(dev)

    for dev in devices:
        visit(dev)
    return tuple(order)


def writable(devices: Iterable[DevId], filesystems: Sequence[Filesystem], sysfs: Sysfs) -> tuple[Filesystem, ...]:
    """The filesystems directly on these devices, in their order, each once; not those that cannot be written."""
    order: list[Filesystem] = []
    for dev in devices:
        filesystem = on(filesystems, dev)
        if filesystem is not None and filesystem not in order and not sysfs.is_read_only(dev):
            order.append(filesystem)
    return tuple(order)


def in_freeze_order(
    devices: Sequence[DevId], filesystems: Sequence[Filesystem], sysfs: Sysfs
) -> tuple[Filesystem, ...]:
    """Every filesystem on these devices, whatever is in between, each before those it is built on.

    Frozen in this order none waits for a write to one that is frozen already. What cannot be written is left out.
    """
    return writable(carried(devices, filesystems, sysfs), filesystems, sysfs)


def open_any(filesystem: Filesystem) -> int:
    """An open directory (or file) of the filesystem, by whichever of its mounts is not covered. HcpError."""
    for mount in filesystem.mounts:
        try:
            mode = os.stat(mount.mount_point).st_mode
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                continue
            fd = os.open(mount.mount_point, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        if _is_mounted_here(fd, mount):
            return fd
        os.close(fd)
    raise HcpError(
        f"the filesystem mounted on {filesystem.place} cannot be reached there, so it cannot be frozen",
        "unmount what covers it, or mount it somewhere else too",
    )


def _is_mounted_here(fd: int, mount: Mount) -> bool:
    """Whether this mount is what was opened; btrfs gives every subvolume a device number of its own."""
    if DevId.of(os.fstat(fd).st_dev) == mount.dev:
        return True
    return mount.dev.major == 0 and mounts.at(mounts.read(), os.path.realpath(mount.mount_point)) == mount


def write_back(root: int, fstype: str) -> None:
    """Writes back the filesystem that ``root`` is open on, and empties its journal where it can be asked to. OSError.

    A freeze does both. What is done before takes its time while others may go on with writing to their files.
    """
    libc.syncfs(root)
    if fstype in ("ext3", "ext4"):
        with context.suppress(OSError):
            fcntl.ioctl(root, _EXT4_IOC_CHECKPOINT, bytes(4))
