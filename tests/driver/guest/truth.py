# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device held at one moment, to compare with what a hot copy shows of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.driver.guest.direct import LARGEST, Direct, size_of
from tests.driver.guest.disks import OTHER_DISK, UNIT

SHOWN = 8  # differing units listed in a failure

Range = tuple[int, int]  # first byte, first byte behind


@dataclass(frozen=True)
class Truth:
    """A copy of a device on the second disk, ``start`` bytes from its beginning."""

    start: int
    size: int

    @classmethod
    def of(cls, node: str, start: int = 0) -> Truth:
        """Copies a device that nothing changes meanwhile."""
        size = size_of(node)
        with Direct(node) as source, Direct(OTHER_DISK, os.O_RDWR) as target:
            for offset in range(0, size, LARGEST):
                target.copy_from(source, offset, start + offset, min(LARGEST, size - offset))
        return cls(start, size)

    @property
    def behind(self) -> int:
        """Where on the second disk another truth may begin."""
        return -(-(self.start + self.size) // LARGEST) * LARGEST

    def part(self, offset: int, length: int) -> bytes:
        """Some of it; for few reads, each opens the disk."""
        with Direct(OTHER_DISK) as disk:
            return disk.read(self.start + offset, length)

    def check(self, node: str, store: Sequence[Range] = ()) -> None:
        """The device has these bytes, every one; those of the store are zeros."""
        assert size_of(node) == self.size
        different: list[int] = []
        with Direct(node) as shown, Direct(OTHER_DISK) as kept:
            for offset, length, is_store in pieces(self.size, store):
                if is_store:
                    same = shown.is_zero(offset, length)
                else:
                    same = shown.equals(offset, kept, self.start + offset, length)
                if not same:
                    was = bytes(length) if is_store else kept.held(length)
                    different += different_units(shown.held(length), was, offset)
        assert not different, (
            f"{node} differs from the origin's state in {len(different)} units, at {different[:SHOWN]} first"
        )


def pieces(size: int, store: Sequence[Range]) -> Iterator[tuple[int, int, bool]]:
    """Offset and length of what can be read at once, from the first byte to the last, and whether it is the store's."""
    at = 0
    for first, behind in (*sorted(store), (size, size)):
        for begin, end, is_store in ((at, first, False), (first, behind, True)):
            for offset in range(begin, end, LARGEST):
                yield offset, min(LARGEST, end - offset), is_store
        at = behind


def blanked(data: bytes, offset: int, ranges: Sequence[Range]) -> bytes:
    """The data, which begins at this offset, with zeros in these ranges."""
    changed = bytearray(data)
    for first, behind in ranges:
        begin, end = max(first - offset, 0), min(behind - offset, len(data))
        if begin < end:
            changed[begin:end] = bytes(end - begin)
    return bytes(changed)


def different_units(one: bytes, other: bytes, offset: int) -> list[int]:
    """The byte offsets of the units that differ."""
    return [offset + at for at in range(0, len(one), UNIT) if one[at : at + UNIT] != other[at : at + UNIT]]
