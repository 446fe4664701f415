# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk's partitions, written and read again without programs: sfdisk and wipefs take a second under emulation."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Sequence

from tests.driver.guest.commands import eventually
from tests.driver.guest.direct import size_of

BLKRRPART = 0x125F
WIPED = 1 << 20  # bytes at either end: every signature of a filesystem, LVM, RAID or partition table is there
_SIGNATURE = 440
_ENTRIES = 446
_ENTRY = struct.Struct("<B3sB3sII")
_FAR = b"\xfe\xff\xff"  # the address in cylinders of what has none
_LINUX = 0x83


def wipe(node: str) -> None:
    """Nobody recognises what was there."""
    size = size_of(node)
    fd = os.open(node, os.O_WRONLY)
    try:
        for offset in (0, size - WIPED):
            os.pwrite(fd, bytes(WIPED), offset)
        os.fsync(fd)
    finally:
        os.close(fd)


def partition(disk: str, parts: Sequence[tuple[int, int]]) -> None:
    """At most four partitions, (first sector, sectors) each, in the kernel's mind too; none clears the disk."""
    table = bytearray(512)
    for number, (first, count) in enumerate(parts):
        _ENTRY.pack_into(table, _ENTRIES + number * _ENTRY.size, 0, _FAR, _LINUX, _FAR, first, count)
    if parts:
        table[_SIGNATURE : _SIGNATURE + 4] = os.urandom(4)  # what udev's by-partuuid is made of
        table[510:] = b"\x55\xaa"
    wipe(disk)
    fd = os.open(disk, os.O_RDWR)
    try:
        os.pwrite(fd, table, 0)
        os.fsync(fd)
        assert eventually(lambda: _is_read_again(fd)), f"{disk} is busy"
    finally:
        os.close(fd)


def _is_read_again(fd: int) -> bool:
    """Busy while udev looks at a partition that goes."""
    try:
        fcntl.ioctl(fd, BLKRRPART)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True
