# SPDX-License-Identifier: GPL-2.0-or-later
"""The file in the origin's own filesystem whose blocks keep the old data of changed blocks (design, 3.6).

The file keeps size 0 with its blocks beyond the end, so a backup of the hot copy does not carry it; it has a name,
so fsck of the hot copy is clean; it is handed over read-only, so the origin can be remounted read-only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import stat
import struct
import time
from collections.abc import Collection
from dataclasses import dataclass

from hotcopy import abi, fiemap, libc
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.frozen import make_directory

DIRECTORY = ".hotcopy"
PREFIX = "store-"
FLOOR_PERCENT = 5  # of the filesystem stays free
LARGEST = 64 << 30  # bytes, until the store grows by itself
SMALLEST = 4 << 20  # bytes
_ALIGN = 1 << 20

_FROZEN_PATIENCE = 20.0  # seconds: a loaded disk can make mkdir wait for a journal commit
_LET_GO_PATIENCE = 5.0  # seconds: the driver's last reference to the file is dropped asynchronously
_HELD = (errno.EPERM, errno.ETXTBSY, errno.EBUSY)  # unlink of a file marked S_SWAPFILE gives EPERM

_FS_IOC_FSGETXATTR = 0x801C581F
_FS_IOC_FSSETXATTR = 0x401C5820
_FS_XFLAG_REALTIME = 0x1

InUse = Collection[tuple[DevId, int]]


@dataclass(frozen=True)
class Space:
    """The free space that a store may be taken from, in bytes. ``usable`` is what is free above the floor."""

    total: int
    usable: int

    @classmethod
    def of(cls, root: int) -> Space:
        """From statvfs; OSError.

        f_bavail, not f_bfree: the blocks reserved for root keep services alive on a full filesystem and are not
        ours to take.
        """
        status = os.statvfs(root)
        total = status.f_blocks * status.f_frsize
        floor = total * FLOOR_PERCENT // 100
        return cls(total, max(0, status.f_bavail * status.f_frsize - floor))


@dataclass(frozen=True)
class Store:
    """A store that was just made: open read-only, its extents in bytes of its device."""

    file_fd: int
    name: str
    extents: tuple[fiemap.Extent, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(extent.length for extent in self.extents)

    def close(self) -> None:
        """Gives up the file and its lease, which would outlive us with the driver's reference to it."""
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.file_fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(self.file_fd)


def plan_size(space: Space, origin_bytes: int, wanted: int | None, where: str) -> int:
    """How large the store is made, in bytes: as wanted, or a quarter of what is usable. HcpError when it cannot be."""
    remedy = f"delete something on {where}, or see df {where}"
    if space.usable < SMALLEST:
        raise HcpError(
            f"no free space for changed blocks on {where}: {space.usable >> 20} MiB above the floor of"
            f" {FLOOR_PERCENT} %, {SMALLEST >> 20} MiB needed",
            remedy,
        )
    if wanted is not None:
        if wanted > space.usable:
            raise HcpError(
                f"no free space for {wanted >> 20} MiB of changed blocks on {where}: {space.usable >> 20} MiB above"
                f" the floor of {FLOOR_PERCENT} %",
                f"give --store-size {space.usable >> 20}M or less",
            )
        return wanted
    size = min(space.usable // 4, origin_bytes, LARGEST)
    return max(SMALLEST, size - size % _ALIGN)


def _own_directory(root: int, where: str) -> int:
    """Opens the store's directory, having made sure that it is root's own and nobody's link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    path = os.path.join(where, DIRECTORY)
    try:
        fd = os.open(DIRECTORY, flags, dir_fd=root)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise HcpError(f"{path} is not a directory", f"remove it: rm {path}") from error
        raise
    status = os.fstat(fd)
    if status.st_uid != 0 or status.st_dev != os.fstat(root).st_dev:
        os.close(fd)
        raise HcpError(f"{path} belongs to somebody else", f"remove it: rm -r {path}")
    return fd


def _refuse_realtime(fd: int) -> None:
    """Takes a new file off XFS's realtime device, whose addresses FIEMAP does not tell from the data device's."""
    buffer = ctypes.create_string_buffer(28)
    try:
        libc.ioctl(fd, _FS_IOC_FSGETXATTR, buffer)
    except OSError:
        return  # no such attributes here
    flags = struct.unpack_from("=I", buffer.raw)[0]
    if flags & _FS_XFLAG_REALTIME:
        struct.pack_into("=I", buffer, 0, flags & ~_FS_XFLAG_REALTIME)
        libc.ioctl(fd, _FS_IOC_FSSETXATTR, buffer)


def _lease(fd: int) -> None:
    """Keeps everybody from opening the file for writing until it is closed: no defragmenter moves it. OSError.

    The driver marks it S_SWAPFILE, which is for good; the lease spans the time from FIEMAP to then.
    """
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # the default, SIGIO, would end us
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def _mapped(fd: int, size: int) -> tuple[fiemap.Extent, ...]:
    extents = fiemap.extents_of(fd)
    if sum(extent.length for extent in extents) < size:
        raise HcpError("the filesystem did not allocate the space for changed blocks as asked", "check it with fsck")
    if len(extents) > abi.MAX_EXTENTS:
        raise HcpError(
            f"the free space is too fragmented: {len(extents)} pieces, the driver takes {abi.MAX_EXTENTS}",
            "give a smaller --store-size, or defragment the filesystem",
        )
    return extents


def _explain(error: OSError, where: str) -> HcpError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HcpError(f"no free space for changed blocks on {where}", f"delete something on {where}")
    if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
        return HcpError(
            f"the filesystem on {where} cannot reserve space (ext2 or ext3 format has no fallocate)",
            "this comes with a later version",
        )
    if error.errno == errno.EROFS:
        return HcpError(f"{where} is read-only", f"mount -o remount,rw {where}")
    return HcpError(f"cannot make the store on {where}: {error.strerror}", "check the filesystem and the kernel log")


def _reserve(directory: int, name: str, size: int) -> Store:
    """Makes, fills and maps the file. Leaves no file when it fails. OSError, HcpError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    writable = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        _refuse_realtime(writable)
        libc.fallocate_keep_size(writable, size)
        os.fsync(writable)
        os.fsync(directory)
        read_only = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except BaseException:
        os.unlink(name, dir_fd=directory)
        raise
    finally:
        os.close(writable)
    try:
        _lease(read_only)
        return Store(read_only, name, _mapped(read_only, size))
    except BaseException:
        os.close(read_only)
        os.unlink(name, dir_fd=directory)
        raise


def make(root: int, where: str, size: int) -> Store:
    """Makes a store of ``size`` bytes in the filesystem whose root directory ``root`` is open, seen at ``where``.

    The caller closes it, and calls ``clean`` when the driver does not take the store. HcpError; nothing is left then.
    """
    try:
        if not make_directory(root, DIRECTORY, _FROZEN_PATIENCE):
            raise HcpError(
                f"the filesystem on {where} has not accepted a write for {_FROZEN_PATIENCE:.0f} seconds; it seems frozen",
                f"thaw it (fsfreeze -u {where}), or take a first hot copy before it is frozen",
            )
        directory = _own_directory(root, where)
        os.fchmod(directory, 0o700)
    except OSError as error:
        raise _explain(error, where) from error
    try:
        return _reserve(directory, PREFIX + os.urandom(6).hex(), size)
    except OSError as error:
        remove_empty(root)
        raise _explain(error, where) from error
    except BaseException:
        remove_empty(root)
        raise
    finally:
        os.close(directory)


def remove_empty(root: int) -> None:
    """Removes the store's directory if nothing is in it; otherwise does nothing."""
    try:
        if os.stat(DIRECTORY, dir_fd=root, follow_symlinks=False).st_uid == 0:
            os.rmdir(DIRECTORY, dir_fd=root)
    except OSError:
        pass  # not there, not empty, or not ours to remove


def _unlink_patiently(name: str, directory: int) -> None:
    deadline = time.monotonic() + _LET_GO_PATIENCE
    while True:
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _HELD or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _stale(directory: int, in_use: InUse) -> list[str]:
    dev = DevId.of(os.fstat(directory).st_dev)
    found = []
    for name in sorted(os.listdir(directory)):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if name.startswith(PREFIX) and stat.S_ISREG(status.st_mode) and (dev, status.st_ino) not in in_use:
            found.append(name)
    return found


def clean(root: int, in_use: InUse) -> int:
    """Deletes every store in the filesystem that no hot copy uses, and the directory when it is empty then.

    The one place where stores are deleted: after a removal, after a failure, before a creation, and at boot.
    ``root`` is the open root directory; ``in_use`` the (device, inode) of the stores the driver holds. The caller
    holds the lock, so no store is in the making. Returns how many were deleted. Raises OSError: EROFS when the
    filesystem is read-only, EAGAIN when it is frozen.
    """
    try:
        directory = _own_directory(root, "")
    except FileNotFoundError:
        return 0
    except HcpError:
        return 0  # not made by hcp
    try:
        names = _stale(directory, in_use)
        if names and not make_directory(root, DIRECTORY, _FROZEN_PATIENCE):
            raise BlockingIOError(errno.EAGAIN, "the filesystem is frozen")
        for name in names:
            _unlink_patiently(name, directory)
    finally:
        os.close(directory)
    remove_empty(root)
    return len(names)
