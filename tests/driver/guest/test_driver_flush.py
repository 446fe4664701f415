# SPDX-License-Identifier: GPL-2.0-or-later
"""A write that asks for the disk's cache to be written back still does when it had to wait for a copy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import DISK, MIB, UNIT, file_ranges, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, info

FLUSHES = 15  # which number of /sys/block/DISK/stat: Documentation/block/stat.rst
WRITES = 16


def flushes() -> int:
    """How often the disk has been told to write its cache back."""
    words = Path(f"/sys/block/{os.path.basename(DISK)}/stat").read_text(encoding="ascii").split()
    return int(words[FLUSHES])


@pytest.mark.quick
@pytest.mark.two_kernels
def test_flush_and_fua_of_writes_that_waited() -> None:
    """As many flushes for the first writes, which wait for copies, as for the second ones, which do not."""
    with partitions(32 * MIB) as (node,), filesystem("ext4", node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes(WRITES * 2 * UNIT))
        fs.sync()
        place = file_ranges(path)[0][0]
        with hot_copy(node) as copy, fs.frozen(), Direct(node, os.O_RDWR | os.O_DSYNC) as device:
            counts = []
            for value in (1, 2):
                before = flushes()
                for number in range(WRITES):
                    device.write(place + number * 2 * UNIT, bytes([value]) * UNIT)
                counts.append(flushes() - before)
            assert info(copy).preserved_bytes >= WRITES * UNIT
    first, second = counts
    assert second >= WRITES, "the disk tells of no flushes, so that this test is none"
    assert first >= second, f"{first} flushes for {WRITES} writes that waited, {second} for as many that did not"
