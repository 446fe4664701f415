# SPDX-License-Identifier: GPL-2.0-or-later
"""Which clusters of a FAT filesystem are free, read from its file allocation tables: it has no GETFSMAP.

Only for a filesystem that does not change, and that was written back when it was frozen.
"""

from __future__ import annotations

import os
import struct

from hotcopy.fsmap import Range
from hotcopy.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_CLUSTER = 2
_MOST_FAT12 = 4084  # clusters, as the kernel decides (fs/fat/fat.h)
_MOST_FAT16 = 65524
_BATCH = 1 << 16  # clusters of one batch
_LOOK = 256  # clusters looked at in one go


class Layout(NamedTuple):
    """Where things are, in bytes; ``bits`` is the width of a table's entry."""

    tables: tuple[int, ...]
    bits: int
    data: int
    cluster: int
    clusters: int


def layout(boot: bytes) -> Layout:
    """From the boot sector. ValueError when it is none that the kernel would mount."""
    if len(boot) < 512:
        raise ValueError("the boot sector cannot be read")
    sector, per_cluster, reserved, tables, entries, total16, _media, short16 = struct.unpack_from("<HBHBHHBH", boot, 11)
    total32, length32 = struct.unpack_from("<I", boot, 32)[0], struct.unpack_from("<I", boot, 36)[0]
    total, length = total16 or total32, short16 or length32
    power = per_cluster and per_cluster & (per_cluster - 1) == 0
    if sector not in (512, 1024, 2048, 4096) or not power or not tables or not reserved or not length:
        raise ValueError("the boot sector is not one of a FAT filesystem")
    data = reserved + tables * length + -(-entries * 32 // sector)
    clusters = max(0, total - data) // per_cluster
    bits = 32 if short16 == 0 else 12 if clusters <= _MOST_FAT12 else 16
    # The kernel takes the smaller of what the sectors and what the table have room for.
    clusters = min(clusters, length * sector * 8 // bits - _FIRST_CLUSTER)
    if clusters <= 0 or (bits == 16 and clusters > _MOST_FAT16):
        raise ValueError("the number of clusters is not possible")
    starts = tuple((reserved + number * length) * sector for number in range(tables))
    return Layout(starts, bits, data * sector, per_cluster * sector, clusters)


def _entries(fd: int, table: int, bits: int, first: int, count: int) -> list[int]:
    """The entries of so many clusters, from cluster ``first`` on (even, for 12 bits). OSError, ValueError."""
    data = os.pread(fd, count * bits // 8 + 4, table + first * bits // 8)
    if len(data) * 8 < count * bits:
        raise ValueError("the file allocation table cannot be read")
    if bits == 12:
        pairs = (data[at] | data[at + 1] << 8 | data[at + 2] << 16 for at in range(0, -(-count // 2) * 3, 3))
        return [entry for pair in pairs for entry in (pair & 0xFFF, pair >> 12)][:count]
    if bits == 16:
        return list(struct.unpack_from(f"<{count}H", data))
    entries = struct.unpack_from(f"<{count}I", data)
    if max(entries) <= 0x0FFFFFFF:
        return list(entries)
    return [entry & 0x0FFFFFFF for entry in entries]


def _free_in(shape: Layout, first: int, entries: list[int]) -> list[Range]:
    """Runs of zeros among the entries."""
    found = []
    start: int | None = None
    for at in range(0, len(entries), _LOOK):
        part = entries[at : at + _LOOK]
        # Most are all alike, which is seen faster than one by one.
        alike = not any(part) if part[0] == 0 else 0 not in part
        for number, entry in enumerate(part[:1] if alike else part, at):
            if entry == 0:
                start = number if start is None else start
            elif start is not None:
                found.append((start, number))
                start = None
    if start is not None:
        found.append((start, len(entries)))
    data = shape.data + (first - _FIRST_CLUSTER) * shape.cluster
    return [Range._make((data + one * shape.cluster, (two - one) * shape.cluster)) for one, two in found]


def free_ranges(fd: int) -> Iterator[list[Range]]:
    """The free ranges of the FAT filesystem on device ``fd``, in order, a batch at a time. OSError, ValueError.

    Free is what every table calls free: where they differ, something is wrong.
    """
    shape = layout(os.pread(fd, 512, 0))
    for first in range(_FIRST_CLUSTER, shape.clusters + _FIRST_CLUSTER, _BATCH):
        count = min(_BATCH, shape.clusters + _FIRST_CLUSTER - first)
        tables = [_entries(fd, table, shape.bits, first, count) for table in shape.tables]
        entries = tables[0]
        for other in tables[1:]:
            if other != entries:
                entries = [one | two for one, two in zip(entries, other)]
        yield _free_in(shape, first, entries)
