# SPDX-License-Identifier: GPL-2.0-or-later
"""The few system calls that Python's standard library does not offer, called through the C library."""

from __future__ import annotations

import ctypes
import os
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
