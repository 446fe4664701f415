# SPDX-License-Identifier: GPL-2.0-or-later
"""Far more writes than there is memory for copies: they go on at the pace of the store, whose writes wait for none of them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.driver.guest.devices import queue_of
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import DISK, MIB, file_ranges, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, info, load_driver, unload_driver

PAGE = 4096
FILE = 16 * MIB
PATIENCE = 60.0  # seconds; each write that waits before a store's cost 20 ms, for every 2 MiB of the store


@pytest.fixture
def little_memory() -> Iterator[None]:
    """The driver with the least memory for copies, and a disk that takes no more than 64 KiB at once: our writes are split."""
    load_driver("copy_memory_mib=1")
    limit = queue_of(DISK) / "max_sectors_kb"
    before = limit.read_text(encoding="ascii")
    limit.write_text("64", encoding="ascii")
    yield
    limit.write_text(before, encoding="ascii")
    unload_driver()


def test_store_writes_wait_for_no_others(little_memory: None) -> None:
    places = list(range(0, FILE, 2 * PAGE))
    random.Random(1).shuffle(places)
    with partitions(96 * MIB) as (node,), filesystem("ext4", node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes([1]) * FILE)
        fs.sync()
        place, length = file_ranges(path)[0]
        with hot_copy(node, "--store-size", "40M") as copy:
            fd = os.open(path, os.O_RDWR)
            try:
                for offset in places:
                    os.pwrite(fd, bytes([2]) * PAGE, offset)
                begin = time.monotonic()
                os.fsync(fd)
                taken = time.monotonic() - begin
            finally:
                os.close(fd)
            assert info(copy).state == "active"
            assert info(copy).preserved_bytes >= FILE // 2
            with Direct(copy) as shown:
                assert shown.read(place, min(length, MIB)) == bytes([1]) * min(length, MIB)
            assert taken < PATIENCE
