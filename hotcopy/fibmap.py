# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the blocks of a file are on its device, one by one: FIBMAP, for filesystems without FIEMAP (vfat)."""

from __future__ import annotations

import ctypes
import errno
import os

from hotcopy import libc
from hotcopy.errors import HcpError
from hotcopy.fiemap import Extent, merge

_FIBMAP = 1  # linux/fs.h, _IO(0x00, 1): a block of the file in, a block of the device out, of FIGETBSZ bytes
_FIGETBSZ = 2


def _block_size(fd: int) -> int:
    """Bytes; for vfat the sector of its boot record, not the cluster. OSError."""
    size = ctypes.c_int()
    libc.ioctl(fd, _FIGETBSZ, size)
    return size.value


def _address(fd: int, block: int) -> int:
    number = ctypes.c_int(block)
    try:
        libc.ioctl(fd, _FIBMAP, number)
    except OSError as error:
        if error.errno != errno.ERANGE:
            raise
        raise HcpError("the filesystem gives no address for the blocks of the store beyond 2^31 sectors") from error
    if number.value <= 0:
        raise HcpError("the filesystem did not allocate the space for changed blocks as asked", "check it with fsck")
    return number.value


def extents_of(fd: int) -> tuple[Extent, ...]:
    """Every extent of a file without holes that has been written back, up to its size. OSError, HcpError."""
    block = _block_size(fd)
    # What is allocated as one is contiguous: vfat tells its cluster as f_bsize. One question for each is enough.
    cluster = max(block, os.fstatvfs(fd).f_bsize)
    if cluster % block:
        cluster = block
    size = os.fstat(fd).st_size
    found = [
        Extent(offset, _address(fd, offset // block) * block, min(cluster, -(-(size - offset) // block) * block))
        for offset in range(0, size, cluster)
    ]
    return merge(found)
