# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that are slow: a store that cannot keep up bounds memory, not truth; a slow origin is no error."""

from __future__ import annotations

import os

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, file_ranges, filesystem, partitions
from tests.driver.guest.faulty import faulty
from tests.driver.guest.hotcopies import hot_copy, info, is_stored

SMALL = 48 * MIB
FILE = 6 * MIB
STORE = ("--store-size", "16M")


@pytest.mark.one_kernel
@pytest.mark.parametrize("where", ["store", "origin"])
def test_slow_disks(where: str) -> None:
    """Every I/O there takes 150 ms longer; the hot copy is right while its copies are on their way and afterwards."""
    run("modprobe", "dm_delay")
    with partitions(SMALL) as (below,), faulty(below) as device, filesystem("ext4", device.node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes([1]) * FILE)
        fs.sync()
        ranges = file_ranges(path)
        with hot_copy(device.node, *STORE) as copy:
            slow = fs.store_ranges() if where == "store" else ranges
            with device.failing(slow, "delay {} {} 150"), Direct(str(path), os.O_RDWR) as file, Direct(copy) as shown:
                for offset in range(0, FILE, MIB):
                    file.write(offset, bytes([2]) * MIB)
                for first, behind in ranges:
                    for at in range(first, behind, MIB):
                        length = min(MIB, behind - at)
                        assert shown.read(at, length) == bytes([1]) * length
                assert eventually(lambda: is_stored(copy), 60)
            assert info(copy).state == "active"
            with Direct(copy) as shown:
                assert shown.read(ranges[0][0], MIB) == bytes([1]) * MIB
        with Direct(str(path)) as file:
            assert all(file.read(offset, MIB) == bytes([2]) * MIB for offset in range(0, FILE, MIB))
