# SPDX-License-Identifier: GPL-2.0-or-later
"""The files whose blocks keep the old data of changed blocks (design, 3.6): how large, making them, deleting them.

A file keeps size 0 with its blocks beyond the end, so a backup of the hot copy does not carry it; it has a name,
so fsck of the hot copy is clean; it is handed over read-only, so the origin can be remounted read-only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
import time

from hotcopy import abi, blocks, context, fiemap, libc
from hotcopy.devid import DevId
from hotcopy.errors import HcpError
from hotcopy.frozen import make_directory
from hotcopy.light import TYPE_CHECKING, NamedTuple, signal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Callable, TypeAlias

DIRECTORY = ".hotcopy"
PREFIX = "store-"
FLOOR_PERCENT = 5  # of the filesystem stays free, unless the user says otherwise
SMALLEST = 1 << 20  # bytes
LARGEST_FIRST = 64 << 20  # bytes: an idle disk's hot copy holds no more
_FIRST_SHARE = 100  # nor more than a hundredth of the filesystem
_SPARE = 1 << 20  # bytes that stay free above the floor: what an allocation itself takes, and not to be at the floor
_ALIGN = 1 << 20
_STEP = 16 << 20  # bytes that a store grows by at least: one that grows is not idle any more
_LARGEST_STEP = 4 << 30  # bytes, or an eighth of the store, so that HCP_MAX_SEGMENTS are enough for terabytes
_FILLED_STEP = 8 << 20  # bytes, or a quarter of the store, where they have to be written as zeros first: ready soon

_FROZEN_PATIENCE = 20.0  # seconds: a loaded disk can make mkdir wait for a journal commit
_LET_GO_PATIENCE = 5.0  # seconds: the driver's last reference to the file is dropped asynchronously
_MAKING_PATIENCE = 1.0  # seconds: the keeper makes a file, and is quick unless the filesystem is frozen
_HELD = (errno.EPERM, errno.ETXTBSY, errno.EBUSY)  # unlink of a file marked S_SWAPFILE gives EPERM

_FS_IOC_FSGETXATTR = 0x801C581F
_FS_IOC_FSSETXATTR = 0x401C5820
_FS_XFLAG_REALTIME = 0x1

InUse: TypeAlias = "Collection[tuple[DevId, int]]"


class Space(NamedTuple):
    """The free space that a store may be taken from, in bytes. ``usable`` is what is free above the floor."""

    total: int
    usable: int
    at_floor: bool = False

    @classmethod
    def of(cls, root: int | str, floor_percent: int = FLOOR_PERCENT) -> Space:
        """From statvfs; OSError.

        f_bavail, not f_bfree: the blocks reserved for root keep services alive on a full filesystem and are not
        ours to take.
        """
        status = os.statvfs(root)
        total = status.f_blocks * status.f_frsize
        floor = total * floor_percent // 100
        free = status.f_bavail * status.f_frsize
        return cls(total, max(0, free - floor - _SPARE), free <= floor)


class Store(NamedTuple):
    """A file of a store that was just made: open read-only, its extents in bytes of its device."""

    file_fd: int
    name: str
    extents: tuple[fiemap.Extent, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(extent.length for extent in self.extents)

    def close(self) -> None:
        """Gives up the file and its lease, which would outlive us with the driver's reference to it."""
        with context.suppress(OSError):
            fcntl.fcntl(self.file_fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(self.file_fd)


def plan_size(
    space: Space, origin_bytes: int, wanted: int | None, where: str, floor_percent: int = FLOOR_PERCENT
) -> int:
    """How large the first file of a store is made, in bytes: as wanted, or small, for it grows. HcpError."""
    remedy = f"delete something on {where}, or see df {where}"
    if space.usable < SMALLEST:
        raise HcpError(
            f"no free space for changed blocks on {where}: {space.usable >> 20} MiB above the floor of"
            f" {floor_percent} %, {SMALLEST >> 20} MiB needed",
            remedy,
        )
    if wanted is not None:
        if wanted > space.usable:
            raise HcpError(
                f"no free space for {wanted >> 20} MiB of changed blocks on {where}: {space.usable >> 20} MiB above"
                f" the floor of {floor_percent} %",
                f"give --store-size {space.usable >> 20}M or less",
            )
        return wanted
    size = min(LARGEST_FIRST, space.total // _FIRST_SHARE, space.usable // 2, origin_bytes)
    return max(SMALLEST, size - size % _ALIGN)


def next_size(space: Space, allocated: int, filled: bool) -> int:
    """How much a store of ``allocated`` bytes grows by: as much again, while there is room above the floor; 0: none.

    Near the floor half of what is left, so that the hot copy does not reach it by itself. ``filled``: the blocks have
    to be written first, while the rest of the store fills up: in smaller steps.
    """
    if filled:
        step = max(_FILLED_STEP, allocated // 4)
    else:
        step = min(max(_STEP, allocated), max(_LARGEST_STEP, allocated // 8))
    size = min(step, space.usable // 2)
    size -= size % _ALIGN
    return size if size >= SMALLEST else 0


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
    extents = blocks.extents_of(fd, size)
    if len(extents) > abi.MAX_EXTENTS:
        raise HcpError(
            f"the free space is too fragmented: {len(extents)} pieces, the driver takes {abi.MAX_EXTENTS}",
            "give a smaller --store-size, or defragment the filesystem",
        )
    return extents


def _explain(error: OSError, where: str) -> HcpError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HcpError(f"no free space for changed blocks on {where}", f"delete something on {where}")
    if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY):
        return HcpError(
            f"the filesystem on {where} does not tell where the blocks of a file are", "give another with -c"
        )
    if error.errno == errno.EROFS:
        return HcpError(f"{where} is read-only", f"mount -o remount,rw {where}")
    return HcpError(f"cannot make the store on {where}: {error.strerror}", "check the filesystem and the kernel log")


@context.contextmanager
def _making(directory: int) -> Iterator[None]:
    """Keeps clean() from taking the file for a leftover until the driver has it, whoever makes it."""
    fcntl.flock(directory, fcntl.LOCK_SH)
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


def _reserve(directory: int, size: int, fstype: str, settle: Callable[[int], None]) -> Store:
    """Makes, fills and maps the file. Leaves no file when it fails. OSError, HcpError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    name = PREFIX + os.urandom(6).hex()
    writable = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        _refuse_realtime(writable)
        blocks.allocate(writable, size, fstype)
        settle(writable)
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


def make(root: int, where: str, size: int, fstype: str = "") -> Store:
    """Makes a store of ``size`` bytes in the filesystem whose root directory ``root`` is open, seen at ``where``.

    ``fstype`` decides how blocks are got. The caller holds the lock of hcp, closes the store, and calls ``clean`` when
    the driver does not take it. HcpError; nothing is left then.
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

    def settle(file: int) -> None:
        os.fsync(file)
        os.fsync(directory)

    try:
        return _reserve(directory, size, fstype, settle)
    except OSError as error:
        remove_empty(root)
        raise _explain(error, where) from error
    except BaseException:
        remove_empty(root)
        raise
    finally:
        os.close(directory)


@context.contextmanager
def extending(root: int, where: str) -> Iterator[Extension]:
    """For one more file of a store that is in use, by the keeper, which does not hold the lock of hcp.

    Whoever is in here may sleep for long: the filesystem can be frozen. OSError, HcpError.
    """
    with context.suppress(FileExistsError):
        os.mkdir(DIRECTORY, 0o700, dir_fd=root)
    directory = _own_directory(root, where)
    try:
        with _making(directory):
            yield Extension(root, directory, where)
    finally:
        os.close(directory)


class Extension(NamedTuple):
    """Makes further files in the directory of a store; what the driver did not take has to be dropped."""

    root: int
    directory: int
    where: str

    def make(self, size: int, fstype: str, settled: bool) -> Store:
        """One more file. OSError, HcpError; it is not left then.

        ``settled``: the filesystem sees to it that a crash after this leaves nothing overwritten that comes back with
        the crash. That is so where blocks that were freed in a transaction are not used again before it is on the disk:
        ext4 with an ordered journal (ext4_mb_free_metadata) and XFS (busy extents). Our file may then be
        forgotten by a crash, its blocks were free before. Everything else is written back first.
        """

        def settle(file: int) -> None:
            if not settled:
                libc.syncfs(file)

        return _reserve(self.directory, size, fstype, settle)

    def drop(self, made: Store) -> None:
        """Deletes a file that the driver did not take. OSError."""
        made.close()
        os.unlink(made.name, dir_fd=self.directory)


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


@context.contextmanager
def _nobody_making(directory: int) -> Iterator[None]:
    """While nobody makes a file here. OSError: EAGAIN when somebody has for long."""
    deadline = time.monotonic() + _MAKING_PATIENCE
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise BlockingIOError(errno.EAGAIN, "the store is growing, or the filesystem is frozen") from error
            time.sleep(0.005)
    try:
        yield
    finally:
        fcntl.flock(directory, fcntl.LOCK_UN)


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
    holds the lock of hcp, so that only the keeper makes files meanwhile. Returns how many were deleted. Raises OSError:
    EROFS when the filesystem is read-only, EAGAIN when it is frozen.
    """
    try:
        directory = _own_directory(root, "")
    except FileNotFoundError:
        return 0
    except HcpError:
        return 0  # not made by hcp
    try:
        # Names are used once: what is stale now is stale for ever, and deleting it may take its time.
        with _nobody_making(directory):
            names = _stale(directory, in_use)
        if names and not make_directory(root, DIRECTORY, _FROZEN_PATIENCE):
            raise BlockingIOError(errno.EAGAIN, "the filesystem is frozen")
        for name in names:
            _unlink_patiently(name, directory)
    finally:
        os.close(directory)
    remove_empty(root)
    return len(names)
