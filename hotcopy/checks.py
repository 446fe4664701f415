# SPDX-License-Identifier: GPL-2.0-or-later
"""What hcp refuses to copy, and why: looked at before anything is made."""

from __future__ import annotations

import os

from hotcopy import cycles
from hotcopy import mounts as mount_table
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.driver import HotCopy
from hotcopy.errors import HcpError
from hotcopy.filesystems import Filesystem
from hotcopy.light import TYPE_CHECKING
from hotcopy.run import run
from hotcopy.sysfs import Sysfs, node
from hotcopy.targets import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SMALLEST = 16 << 20  # bytes: below it a filesystem has no room for changed blocks worth having
_AMBIVALENT = 8  # blkid's exit status


def need_root() -> None:
    """HcpError unless the effective user is root (the driver wants CAP_SYS_ADMIN)."""
    if os.geteuid() != 0:
        raise HcpError("hcp needs root", "run it with sudo")


def swap_devices(text: str) -> tuple[str, ...]:
    """The swap partitions in a /proc/swaps text, as paths."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return tuple(mount_table.unescape(row[0]) for row in rows if len(row) > 1 and row[1] == "partition")


def in_swap(devices: Collection[DevId]) -> DevId | None:
    """The first of these devices that is swap space in use."""
    try:
        with open("/proc/swaps", encoding="utf-8", errors="surrogateescape") as file:
            paths = swap_devices(file.read())
    except OSError:
        return None
    for path in paths:
        try:
            dev = DevId.of(os.stat(path).st_rdev)
        except OSError:
            continue
        if dev in devices:
            return dev
    return None


def content(device: BlockDevice) -> str:
    """What blkid sees on the device: ext4, swap, LVM2_member, a partition table, or nothing ("")."""
    seen = run("blkid", "-p", "-o", "export", device.node, timeout=30)
    if seen.status == _AMBIVALENT:
        return "several things at once"
    tags = dict(line.split("=", 1) for line in seen.out.splitlines() if "=" in line)
    if "TYPE" in tags:
        return tags["TYPE"]
    return f"a partition table ({tags['PTTYPE']})" if "PTTYPE" in tags else ""


def _refuse_hot_copy(device: BlockDevice, hot_copies: Sequence[HotCopy], sysfs: Sysfs) -> None:
    below = cycles.indirect(device.dev, sysfs)
    for copy in hot_copies:
        if device.dev == copy.device:
            raise HcpError(f"{device.path} is itself a hot copy", f"give its origin: hcp {copy.path}")
        if copy.device in below:
            raise HcpError(f"{device.path} is built on the hot copy {copy.node}", f"give its origin: hcp {copy.path}")


def _refuse_swap(target: Target, sysfs: Sysfs) -> None:
    swap = in_swap(target.carried)
    if swap is None:
        return
    path = target.device.path
    if swap == target.device.dev:
        raise HcpError(f"{path} is in use as swap space", "give a device with a filesystem")
    name = node(sysfs.name(swap))
    raise HcpError(
        f"{path} has swap space in use on it ({name})", f"swapoff {name}, or give the devices of its filesystems"
    )


def refuse_device(target: Target, hot_copies: Sequence[HotCopy], sysfs: Sysfs) -> None:
    """Refuses a device for what it is, whatever is on it. HcpError."""
    device = target.device
    _refuse_hot_copy(device, hot_copies, sysfs)
    if device.read_only:
        raise HcpError(f"{device.path} is read-only, so it cannot change", f"blockdev --setrw {device.path}")
    if sysfs.is_zoned(device.dev):
        raise HcpError(
            f"{device.path} is a zoned device, whose blocks cannot be written in place", "copy its files instead"
        )
    for holder in sysfs.holders(device.dev):
        if sysfs.is_multipath(holder):
            whole = f"/dev/mapper/{sysfs.dm_name(holder)}"
            raise HcpError(
                f"{device.path} is one of several paths to {whole}, so it does not see all writes", f"hcp {whole}"
            )
    for dev in (device.dev, *sysfs.partitions(device.dev)):
        for holder in sysfs.holders(dev):
            if sysfs.mends_by_discards(holder):
                array = node(sysfs.name(holder))
                raise HcpError(
                    f"{device.path} belongs to {array}, which needs every discard (raid456.devices_handle_discard_safely), and a"
                    " hot copy leaves those out that would destroy what it has to keep",
                    f"hcp {array}",
                )
    _refuse_swap(target, sysfs)


def refuse_small(device: BlockDevice) -> None:
    """Refuses to keep changed blocks on a device with no room for them. HcpError."""
    if device.size < SMALLEST:
        raise HcpError(
            f"{device.path} is too small: {device.size} bytes, the least is {SMALLEST >> 20} MiB",
            "copy it with dd instead, or keep its changed blocks elsewhere (-c)",
        )


def _refuse_filesystem(filesystem: Filesystem, path: str) -> None:
    if filesystem.is_dax:
        raise HcpError(
            f"{path} is mounted with dax ({filesystem.place}), whose writes no driver sees",
            "mount it without dax for hot copies",
        )


def refuse_filesystems(target: Target) -> None:
    """Refuses a device for a filesystem on it. HcpError."""
    path = target.device.path
    for filesystem in target.above:
        _refuse_filesystem(filesystem, path)
    own = target.filesystem
    if own is None:
        return
    _refuse_filesystem(own, path)
    if len(own.devices) > 1:
        raise HcpError(
            f"{path} is one of {len(own.devices)} devices of the {own.fstype} on {own.place}, and a hot copy of one"
            " is no copy of it",
            "hot copies are for filesystems on one device",
        )
    others = [
        option for mount in own.mounts for option in mount.super_options if option.startswith(("logdev=", "rtdev="))
    ]
    if others:
        raise HcpError(
            f"{path} is only a part of the {own.fstype} on {own.place} ({others[0]})",
            "hot copies are for filesystems on one device",
        )


def refuse_unmountable(filesystem: Filesystem, device: BlockDevice, sysfs: Sysfs) -> None:
    """Refuses to promise the mount of a hot copy beside its origin where the kernel cannot do it. HcpError."""
    if filesystem.fstype == "btrfs" and not os.path.exists(f"{sysfs.root}/fs/btrfs/features/temp_fsid"):
        raise HcpError(
            f"this kernel cannot mount the hot copy of a btrfs ({device.path}) beside it: both have one identity",
            "give --skip-mount, and change the hot copy's with btrfstune -m /dev/hcpN before mounting it",
        )
