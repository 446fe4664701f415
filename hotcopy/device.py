# SPDX-License-Identifier: GPL-2.0-or-later
"""From what the user typed to a block device: nodes, by-uuid links, /dev/mapper, LVM paths."""

from __future__ import annotations

import ctypes
import os
import stat

from hotcopy import filesystems, libc, mounts
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.light import NamedTuple
from hotcopy.sysfs import Sysfs, node

_BLKGETSIZE64 = 0x80081272  # linux/fs.h, _IOR(0x12, 114, size_t)
_BLKROGET = 0x125E  # linux/fs.h, _IO(0x12, 94)
_NETWORK_SOURCE = r"(//[^/]+/|(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+):/)"


class BlockDevice(NamedTuple):
    """A block device of this system. ``path`` is what the user calls it, absolute; ``node`` has no links."""

    path: str
    node: str
    dev: DevId
    name: str  # of the kernel: sda1, dm-0
    label: str  # for names derived from it: sda1, vg-root
    size: int  # bytes
    read_only: bool


def _refuse_file(path: str) -> HcpError:
    return HcpError(
        f"{path} is a regular file, not a block device",
        f"for a disk image, attach it first and give the loop device: losetup -f --show {path}",
    )


def _refuse_directory(path: str, dev: DevId) -> HcpError:
    what = f"{path} is a directory, not a block device"
    here = mounts.of_device(mounts.read(), dev)
    if not here:
        return HcpError(what, "give the block device of its filesystem; df shows it")
    mount = here[-1]
    if mount.fstype in mounts.NETWORK_TYPES:
        return HcpError(
            f"{path} is on a network filesystem ({mount.fstype} from {mount.source}), which has no local block device",
            "run hcp on the server that has the disk",
        )
    if mount.source.startswith("/"):
        return HcpError(what, f"give the device of its filesystem: hcp {mount.source}")
    return HcpError(f"{what}, and its filesystem ({mount.fstype}) has no block device", "give a block device")


def _missing(text: str, error: OSError) -> HcpError:
    import re  # for this message only

    if re.match(_NETWORK_SOURCE, text):
        return HcpError(
            f"{text} is a network filesystem, not a local block device", "run hcp on the server that has the disk"
        )
    if "/" not in text and os.path.exists(f"/dev/{text}"):
        return HcpError(f"there is no {text} here", f"did you mean /dev/{text}?")
    return HcpError(f"cannot look at {text}: {error.strerror}", "lsblk -p lists the block devices")


def _ask(node: str) -> tuple[int, bool]:
    """Size in bytes and whether the device is read-only."""
    fd = os.open(node, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = ctypes.c_uint64()
        libc.ioctl(fd, _BLKGETSIZE64, size)
        read_only = ctypes.c_int()
        libc.ioctl(fd, _BLKROGET, read_only)
        return size.value, bool(read_only.value)
    finally:
        os.close(fd)


def real_name(text: str) -> str:
    """``/dev/root``, which the kernel calls the root's device when it mounted it itself, is no node: its real one."""
    if text != "/dev/root" or os.path.exists(text):
        return text
    sysfs = Sysfs()
    for filesystem in filesystems.read(mounts.read(), sysfs):
        if any(mount.mount_point == "/" for mount in filesystem.mounts):
            return node(sysfs.name(filesystem.devices[0]))
    return text


def by_number(dev: DevId) -> BlockDevice:
    """The block device with this number, by its plain node. HcpError."""
    return resolve(node(Sysfs().name(dev)))


def resolve(text: str) -> BlockDevice:
    """The block device the user means. HcpError says what it is instead, and what to give."""
    text = real_name(text)
    try:
        status = os.stat(text)
    except (OSError, ValueError) as error:
        problem = error if isinstance(error, OSError) else OSError(22, "Invalid argument")
        raise _missing(text, problem) from error
    if stat.S_ISREG(status.st_mode):
        raise _refuse_file(text)
    if stat.S_ISDIR(status.st_mode):
        raise _refuse_directory(text, DevId.of(status.st_dev))
    if not stat.S_ISBLK(status.st_mode):
        raise HcpError(f"{text} is not a block device", "lsblk -p lists the block devices")
    dev = DevId.of(status.st_rdev)
    real = os.path.realpath(text)
    sysfs = Sysfs()
    name = sysfs.name(dev)
    try:
        size, read_only = _ask(real)
    except OSError as error:
        raise HcpError(f"cannot open {text}: {error.strerror}", "check that the device works") from error
    return BlockDevice(
        path=os.path.abspath(text),
        node=real,
        dev=dev,
        name=name,
        label=(sysfs.dm_name(dev) or name).replace("/", "!"),
        size=size,
        read_only=read_only,
    )
