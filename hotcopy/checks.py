# SPDX-License-Identifier: GPL-2.0-or-later
"""What hcp refuses to copy, and why: looked at before anything is made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from hotcopy import device as devices
from hotcopy import mounts as mount_table
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.driver import HotCopy
from hotcopy.errors import HcpError
from hotcopy.mounts import Mount
from hotcopy.run import run

SMALLEST = 16 << 20  # bytes: below it a filesystem has no room for changed blocks worth having
SUPPORTED = ("ext4", "xfs")

_ELSEWHERE = "keeping changed blocks elsewhere (-c) comes with a later version"
_MOVING = ("btrfs", "f2fs", "zfs", "bcachefs")  # their blocks move, or their addresses are not the device's


def need_root() -> None:
    """HcpError unless the effective user is root (the driver wants CAP_SYS_ADMIN)."""
    if os.geteuid() != 0:
        raise HcpError("hcp needs root", "run it with sudo")


def swap_devices(text: str) -> tuple[str, ...]:
    """The swap partitions in a /proc/swaps text, as paths."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return tuple(mount_table.unescape(row[0]) for row in rows if len(row) > 1 and row[1] == "partition")


def _in_swap(dev: DevId) -> bool:
    try:
        with open("/proc/swaps", encoding="utf-8", errors="surrogateescape") as file:
            paths = swap_devices(file.read())
    except OSError:
        return False
    for path in paths:
        try:
            if DevId.of(os.stat(path).st_rdev) == dev:
                return True
        except OSError:
            continue
    return False


def refuse_device(device: BlockDevice, hot_copies: Iterable[HotCopy]) -> None:
    """Refuses a device for what it is, whatever is on it. HcpError."""
    for copy in hot_copies:
        if copy.device == device.dev:
            raise HcpError(f"{device.path} is itself a hot copy", f"give its origin: hcp {copy.path}")
    if device.size < SMALLEST:
        raise HcpError(
            f"{device.path} is too small: {device.size} bytes, the least is {SMALLEST >> 20} MiB",
            "copy it with dd instead",
        )
    if device.read_only:
        raise HcpError(f"{device.path} is read-only, so it cannot change", f"blockdev --setrw {device.path}")
    if _in_swap(device.dev):
        raise HcpError(f"{device.path} is in use as swap space", "give a device with a filesystem")


def _content(device: BlockDevice) -> str:
    """What blkid sees on the device: ext4, swap, LVM2_member, or nothing."""
    return run("blkid", "-p", "-s", "TYPE", "-o", "value", device.node, timeout=30).out


def _not_mounted(device: BlockDevice, mounts: Sequence[Mount]) -> HcpError:
    above = devices.holders(device)
    if above:
        return HcpError(f"{device.path} is in use by {', '.join(above)}", f"give what is mounted: hcp {above[0]}")
    parts = devices.partitions(device)
    if parts:
        mounted = {mount.source for mount in mounts}
        best = next((part for part in parts if part in mounted), parts[0])
        return HcpError(f"{device.path} is a disk with partitions, not a filesystem", f"give one: hcp {best}")
    content = _content(device)
    if content in SUPPORTED:
        return HcpError(f"{device.path} holds an {content} filesystem that is not mounted", f"mount it; {_ELSEWHERE}")
    what = f"holds {content}" if content else "holds no filesystem"
    return HcpError(f"{device.path} {what}, so there is no place on it for changed blocks", _ELSEWHERE)


def _refuse_type(device: BlockDevice, mount: Mount) -> None:
    if mount.fstype in _MOVING:
        raise HcpError(
            f"{device.path} holds {mount.fstype}, which cannot hold its own changed blocks (its blocks move)",
            _ELSEWHERE,
        )
    if mount.fstype not in SUPPORTED:
        raise HcpError(
            f"{device.path} holds {mount.fstype}; hot copies of {' and '.join(SUPPORTED)} are supported so far",
            "other filesystems come with a later version",
        )
    if any(option in ("dax", "dax=always") for option in mount.super_options):
        raise HcpError(
            f"{device.path} is mounted with dax, whose writes no driver sees", "mount it without dax for hot copies"
        )


def filesystem_of(device: BlockDevice, mounts: Sequence[Mount]) -> Mount:
    """The mount of the device whose root is the filesystem's root and that can be written to. HcpError if none."""
    here = mount_table.of_device(mounts, device.dev)
    strange = here or mount_table.of_source(mounts, device.dev)
    if not strange:
        raise _not_mounted(device, mounts)
    _refuse_type(device, strange[0])
    best: Mount | None = mount_table.whole_and_writable(here)
    if best is not None:
        return best
    first = strange[0]
    if not any(mount.writable for mount in strange):
        raise HcpError(
            f"{device.path} is mounted read-only ({first.mount_point}), so it has no room for changed blocks",
            f"mount -o remount,rw {mount_table.escape(first.mount_point)}",
        )
    raise HcpError(
        f"only a part of {device.path} is visible and writable here ({first.root} at {first.mount_point}),"
        " and changed blocks go to the root of its filesystem",
        f"mount the whole filesystem somewhere too: mount {device.path} DIR",
    )
