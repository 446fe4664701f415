# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of dm-log-writes: every write to a device, in the order in which it was safe (drivers/md/dm-log-writes.c)."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.driver.guest.commands import run
from tests.driver.guest.direct import LARGEST, Direct, size_of
from tests.driver.guest.disks import SECTOR, mapped

DISCARD, MARK = 1 << 2, 1 << 3
_MAGIC = 0x6A736677736872
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
NAME = "hcplogged"


@dataclass(frozen=True)
class Entry:
    """One write: bytes and where they went; ``mark`` is what mark() said, and then there is no write."""

    first: int
    data: bytes
    mark: str = ""


@contextlib.contextmanager
def logged(below: str, log: str) -> Iterator[str]:
    """A device that is another one, its writes logged on a third; when it is gone, the log is complete."""
    run("modprobe", "dm_log_writes")
    with mapped(f"0 {size_of(below) // SECTOR} log-writes {below} {log}\n", NAME) as node:
        yield node


def mark(word: str) -> None:
    """A place in the log: what was safe before this call is in front of it."""
    run("dmsetup", "message", NAME, "0", "mark", word)


def contents(node: str) -> bytes:
    """Every byte of a device."""
    size = size_of(node)
    with Direct(node) as device:
        return b"".join(device.read(at, min(LARGEST, size - at)) for at in range(0, size, LARGEST))


def entries(log: str) -> Iterator[Entry]:
    """The log from its beginning. AssertionError when it is none, or has what a replay cannot know."""
    with Direct(log) as device:
        magic, version, count, sector_size = _SUPER.unpack_from(device.read(0, SECTOR))
        assert (magic, version, sector_size) == (_MAGIC, 1, SECTOR), "no log of dm-log-writes"
        at = SECTOR
        for _ in range(count):
            head = device.read(at, SECTOR)
            sector, sectors, flags, length = _ENTRY.unpack_from(head)
            at += SECTOR
            assert not flags & DISCARD, "a discard, of which nobody knows what it leaves"
            if flags & MARK:
                yield Entry(0, b"", head[_ENTRY.size : _ENTRY.size + length].decode().rstrip("\0"))
                continue
            end = at + sectors * SECTOR
            data = b"".join(device.read(part, min(LARGEST, end - part)) for part in range(at, end, LARGEST))
            yield Entry(sector * SECTOR, data)
            at = end


class Difference:
    """In which sectors what is being replayed is not yet, or no longer, a given content."""

    def __init__(self, begin: bytes, wanted: bytes) -> None:
        self._wanted = wanted
        self.sectors: set[int] = set()
        for first in range(0, len(begin), LARGEST):
            self.write(first, begin[first : first + LARGEST])

    def write(self, first: int, data: bytes) -> None:
        """These bytes are there now."""
        begin, end = first // SECTOR, (first + len(data)) // SECTOR
        if data == self._wanted[first : first + len(data)]:
            self.sectors.difference_update(range(begin, end))
            return
        for sector in range(begin, end):
            at = sector * SECTOR
            if data[at - first : at - first + SECTOR] == self._wanted[at : at + SECTOR]:
                self.sectors.discard(sector)
            else:
                self.sectors.add(sector)
