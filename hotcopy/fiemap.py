# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the blocks of a file are on its device: FS_IOC_FIEMAP (Documentation/filesystems/fiemap.rst)."""

from __future__ import annotations

import ctypes
import struct

from hotcopy import libc
from hotcopy.errors import HcpError
from hotcopy.light import NamedTuple

_FS_IOC_FIEMAP = 0xC020660B  # _IOWR('f', 11, struct fiemap), 32 bytes
_FLAG_SYNC = 0x1
_EXTENT_LAST = 0x1
_HEAD = struct.Struct("=QQIIII")  # struct fiemap: start, length, flags, extents mapped, room for extents
_EXTENT = struct.Struct("=QQQ16xI12x")  # struct fiemap_extent: logical, physical, length, flags
_BATCH = 512  # extents of one call: 28 KiB

# Flags of extents whose address is unknown, shared, or not a plain address on the device.
_UNUSABLE = {
    0x0002: "unknown",
    0x0004: "delayed allocation",
    0x0008: "encoded",
    0x0080: "encrypted",
    0x0100: "not aligned",
    0x0200: "inline",
    0x0400: "tail-packed",
    0x2000: "shared",
}


class Extent(NamedTuple):
    """A run of a file: offset in the file, address on the device and length, all in bytes."""

    logical: int
    physical: int
    length: int


def merge(extents: list[Extent]) -> tuple[Extent, ...]:
    """Joins neighbours that continue each other on the device (ext4 cuts unwritten runs every 128 MiB)."""
    merged: list[Extent] = []
    for extent in extents:
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.physical + last.length == extent.physical
            and last.logical + last.length == extent.logical
        ):
            merged[-1] = Extent(last.logical, last.physical, last.length + extent.length)
        else:
            merged.append(extent)
    return tuple(merged)


def extents_of(fd: int) -> tuple[Extent, ...]:
    """Every extent of the file, blocks beyond its size included, unwritten ones too, neighbours joined.

    Raises OSError (EOPNOTSUPP: no FIEMAP on this filesystem), HcpError for an extent without a plain address.
    """
    found: list[Extent] = []
    start = 0
    while True:
        answer = ctypes.create_string_buffer(_HEAD.size + _EXTENT.size * _BATCH)
        _HEAD.pack_into(answer, 0, start, 2**64 - 1 - start, _FLAG_SYNC, 0, _BATCH, 0)
        libc.ioctl(fd, _FS_IOC_FIEMAP, answer)
        mapped = _HEAD.unpack_from(answer)[3]
        records = memoryview(answer)[_HEAD.size : _HEAD.size + _EXTENT.size * mapped]
        for logical, physical, length, flags in _EXTENT.iter_unpack(records):
            for flag, name in _UNUSABLE.items():
                if flags & flag:
                    raise HcpError(
                        f"the filesystem gives no plain address for the blocks of the store (extent is {name})",
                        "this kind of filesystem cannot hold its own changed blocks",
                    )
            found.append(Extent(logical, physical, length))
            if flags & _EXTENT_LAST:
                return merge(found)
        if mapped == 0:
            return merge(found)
        start = found[-1].logical + found[-1].length
