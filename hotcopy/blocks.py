# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks for a file of the store: allocating them, and where they are on the device."""

from __future__ import annotations

import errno
import fcntl
import os

from hotcopy import context, fiemap, libc
from hotcopy.errors import HcpError
from hotcopy.fiemap import Extent

_FAT = ("vfat", "msdos")
_NOT_THERE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS)
_PIECE = 1 << 20  # bytes
_WRITE_BACK = 16 << 20  # bytes


def get_ready() -> None:
    """Loads all that may be needed here: whoever has to be quick later, and must not read programs then."""
    import mmap

    from hotcopy import fibmap

    del mmap, fibmap


def _past_the_cache(fd: int, on: bool) -> None:
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)


def _write(fd: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(fd, piece) :]


def _zero_fill(fd: int, size: int) -> None:
    """Writes ``size`` zeros, past the cache where the filesystem can, else a little at a time. OSError."""
    import mmap  # where there is no fallocate

    with mmap.mmap(-1, _PIECE) as zeros, memoryview(zeros) as whole:
        with context.suppress(OSError):
            _past_the_cache(fd, True)
        for offset in range(0, size, _PIECE):
            with whole[: size - offset] as piece:
                try:
                    _write(fd, piece)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    _past_the_cache(fd, False)
                    _write(fd, piece)
            if (offset + _PIECE) % _WRITE_BACK == 0:
                os.fdatasync(fd)
    os.fsync(fd)
    with context.suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def allocate(fd: int, size: int, fstype: str) -> bool:
    """Gives an empty file ``size`` bytes of blocks; whether it had to be filled with zeros for that. OSError.

    Without that the file keeps size 0. The ext2 and ext3 formats have no fallocate; vfat's is undone when the file is
    closed. There the file has a size, and a backup of the hot copy carries that many zeros.
    """
    if fstype not in _FAT:
        try:
            libc.fallocate_keep_size(fd, size)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
        else:
            return False
    _zero_fill(fd, size)
    return True


def extents_of(fd: int, size: int) -> tuple[Extent, ...]:
    """Where the blocks of the file are. OSError, HcpError when there are fewer than ``size`` bytes of them."""
    try:
        extents = fiemap.extents_of(fd)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        from hotcopy import fibmap

        extents = fibmap.extents_of(fd)
    if sum(extent.length for extent in extents) < size:
        raise HcpError("the filesystem did not allocate the space for changed blocks as asked", "check it with fsck")
    return extents
