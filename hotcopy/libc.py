# SPDX-License-Identifier: GPL-2.0-or-later
"""The few system calls that Python's standard library does not offer, called through the C library."""

from __future__ import annotations

import ctypes
import os

from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

FALLOC_FL_KEEP_SIZE = 0x01  # linux/falloc.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
_libc.ioctl.restype = ctypes.c_int
_libc.syncfs.argtypes = [ctypes.c_int]
_libc.syncfs.restype = ctypes.c_int

# fallocate takes a 32-bit off_t on 32-bit glibc; fallocate64 is the same call there with 64 bits.
_fallocate = getattr(_libc, "fallocate64", None) or _libc.fallocate
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_fallocate.restype = ctypes.c_int


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def ioctl(fd: int, request: int, argument: Any) -> int:
    """Call a driver on a ctypes object in place, so that outputs are there after a failure too.

    fcntl.ioctl copies small buffers, and whether it copies them back on failure is not promised.
    Raises OSError (not retried on EINTR).
    """
    return _check(_libc.ioctl(fd, request, ctypes.addressof(argument)))


def syncfs(fd: int) -> None:
    """Writes back the one filesystem that ``fd`` is on; OSError."""
    _check(_libc.syncfs(fd))


def fallocate_keep_size(fd: int, length: int) -> None:
    """Allocates ``length`` bytes from offset 0 without changing the file's size.

    os.posix_fallocate cannot keep the size, and writes zeros where the filesystem has no fallocate.
    Raises OSError: ENOSPC, EOPNOTSUPP (ext3 format), EFBIG...
    """
    _check(_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, length))


CLONE_NEWNS = 0x00020000  # linux/sched.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8  # linux/mount.h
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
MCL_CURRENT, MCL_FUTURE = 1, 2
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_IO_FLUSHER = 1, 15, 57  # linux/prctl.h

_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_libc.prctl.restype = ctypes.c_int
_libc.unshare.argtypes = [ctypes.c_int]
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.mlockall.argtypes = [ctypes.c_int]
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]


def prctl(option: int, value: int) -> None:
    """One of the PR_SET_* calls that take a number or an address; OSError."""
    _check(_libc.prctl(option, value, 0, 0, 0))


def set_name(name: bytes) -> None:
    """The name of this process in ps and in the kernel's messages; OSError."""
    buffer = ctypes.create_string_buffer(name[:15])
    prctl(PR_SET_NAME, ctypes.addressof(buffer))


def unshare(flags: int) -> None:
    """Gives this process namespaces of its own; OSError."""
    _check(_libc.unshare(flags))


def enter_namespace(fd: int, kind: int) -> None:
    """Joins the namespace that ``fd`` (of /proc/PID/ns) stands for; OSError."""
    _check(_libc.setns(fd, kind))


def lock_memory() -> None:
    """Keeps all memory of this process, now and later, from being paged out; OSError."""
    _check(_libc.mlockall(MCL_CURRENT | MCL_FUTURE))


def mount(source: str, target: str, fstype: str | None, flags: int, options: str) -> None:
    """mount(2), without the helpers and the records of mount(8); OSError."""
    kind = None if fstype is None else os.fsencode(fstype)
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), kind, flags, os.fsencode(options)))


def unmount(target: str) -> None:
    """umount2(2); OSError."""
    _check(_libc.umount2(os.fsencode(target), 0))
