# SPDX-License-Identifier: GPL-2.0-or-later
"""Which blocks of a mounted filesystem are free: FS_IOC_GETFSMAP (ioctl_getfsmap(2)); ext4 and XFS have it.

Why its answer can be trusted, where the filesystem does not change under it (fs/ext4/fsmap.c, fs/xfs/xfs_fsmap.c):

- ext4 calls free only what the allocator itself would take: the buddy bitmaps, loaded with their checksums (an error
  ends the call), in which a group without an initialised bitmap (uninit_bg) gets its own metadata marked as used and a
  group that holds metadata of others (flex_bg) is never left uninitialised by mke2fs. With bigalloc a cluster is free as
  a whole. Everything between free extents is metadata or "unknown", that is: used. The reserved descriptor blocks, the
  block 0 of 1 KiB filesystems and what lies behind the filesystem's end are never free. The known mistakes of
  some kernels (reserved_gdt of length 0, the end with bigalloc) add used records, no free ones.
- XFS without rmapbt calls free what the tree of free extents holds; with rmapbt, what no record owns. AG headers, the
  free list's blocks (AGFL), whole inode chunks, leftover CoW extents and blocks of unlinked open files all have owners, or
  are not in the tree of free extents. Blocks freed in the journal only are not yet free there.
- The realtime device and external logs have records of their own devices, which are left out.
"""

from __future__ import annotations

import ctypes
import os
import struct

from hotcopy import libc
from hotcopy.devid import DevId
from hotcopy.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FS_IOC_GETFSMAP = 0xC0C0583B  # _IOWR('X', 59, struct fsmap_head), 192 bytes
_FMH_OF_DEV_T = 0x1
_FMR_OF_SPECIAL_OWNER = 0x10
_FMR_OF_LAST = 0x20
_FMR_OWN_FREE = 1  # FMR_OWNER(0, 1)
_HEAD = struct.Struct("=IIII48x64s64s")  # struct fsmap_head: flags in and out, room and records, the keys
_RECORD = struct.Struct("=IIQQQQ24x")  # struct fsmap
_LOWEST = bytes(_RECORD.size)
_HIGHEST = _RECORD.pack(*(2**32 - 1,) * 2, *(2**64 - 1,) * 3, 0)  # everything; XFS wants it to have no length
_FIRST_BATCH = 512  # records of one call: many filesystems have fewer, and more memory takes time to get
_BATCH = 8192  # 512 KiB


class Range(NamedTuple):
    """Bytes of a device."""

    start: int
    length: int


def encode_dev(dev: DevId) -> int:
    """The kernel's new_encode_dev()."""
    return dev.minor & 0xFF | dev.major << 8 | (dev.minor & ~0xFF) << 12


def free_among(records: bytes, device: int) -> list[Range]:
    """The free ones of these ``struct fsmap`` that are on ``device``."""
    return [
        Range._make((physical, length))
        for dev, flags, physical, owner, _offset, length in _RECORD.iter_unpack(records)
        if owner == _FMR_OWN_FREE and flags & _FMR_OF_SPECIAL_OWNER and dev == device
    ]


def free_ranges(fd: int, dev: DevId) -> Iterator[list[Range]]:
    """The free ranges of the filesystem that ``fd`` is on, in order, a batch at a time; ``dev`` is its data device.

    OSError: ENOTTY or EOPNOTSUPP where the filesystem cannot tell.
    """
    device = encode_dev(dev)
    low, room = _LOWEST, _FIRST_BATCH
    while True:
        answer = ctypes.create_string_buffer(_HEAD.size + _RECORD.size * room)
        _HEAD.pack_into(answer, 0, 0, 0, room, 0, low, _HIGHEST)
        libc.ioctl(fd, _FS_IOC_GETFSMAP, answer)
        _, flags, _, entries, _, _ = _HEAD.unpack_from(answer)
        if entries == 0:
            return
        if not flags & _FMH_OF_DEV_T:
            raise OSError(95, os.strerror(95))  # the device of a record is not a device number
        records = bytes(memoryview(answer)[_HEAD.size : _HEAD.size + _RECORD.size * entries])
        yield free_among(records, device)
        low = records[-_RECORD.size :]
        if _RECORD.unpack(low)[1] & _FMR_OF_LAST:
            return
        room = _BATCH
