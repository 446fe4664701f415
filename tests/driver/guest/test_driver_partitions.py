# SPDX-License-Identifier: GPL-2.0-or-later
"""Partitions: two with their own hot copies, the whole disk as another name of the same sectors, odd ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.direct import Direct, size_of
from tests.driver.guest.disks import DISK, MIB, ODD, file_ranges, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, info, remove, take_bare
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import BLKDISCARD, BLKZEROOUT, Changes, range_ioctl

pytestmark = pytest.mark.two_kernels

SMALL = 80 * MIB
STORE = ("--store-size", "32M")


@pytest.mark.parametrize("order", [(0, 1), pytest.param((1, 0), marks=pytest.mark.one_kernel)])
def test_two_partitions_each_with_its_own(order: tuple[int, int]) -> None:
    with (
        partitions(SMALL, SMALL, first=ODD) as nodes,
        filesystem("ext4", nodes[0], path="/run/one") as one,
        filesystem("xfs", nodes[1], path="/run/two") as two,
    ):
        changes = []
        for seed, fs in enumerate((one, two)):
            changes.append(Changes(fs.path / "a", seed))
            changes[-1].populate()
        keepers = [take_bare(node, *STORE) for node in nodes]
        truths, taken, start = [], [], 0
        for fs in (one, two):
            with fs.frozen():
                truths.append(Truth.of(fs.node, start))
                taken.append(take_bare(fs.node))
            start = truths[-1].behind
        stores = [one.store_ranges(), two.store_ranges()]
        with background(*changes) as workers:
            for worker in workers:
                worker.wait_rounds(15)
            first, second = order
            truths[first].check(taken[first], stores[first])
            remove(taken[first])
            remove(keepers[first])
            for worker in workers:
                worker.wait_rounds(5)
            truths[second].check(taken[second], stores[second])
        remove(taken[second])
        remove(keepers[second])


@pytest.mark.quick
def test_writes_through_the_whole_disk_are_seen() -> None:
    """Written, zeroed and discarded by its sectors on the disk; also across the border of two partitions."""
    length = 64 << 10
    with (
        partitions(SMALL + 512, SMALL, first=ODD) as nodes,
        filesystem("ext4", nodes[0], path="/run/one") as one,
        filesystem("ext4", nodes[1], path="/run/two") as two,
    ):
        data = bytes([1]) * MIB
        for fs in (one, two):
            (fs.path / "file").write_bytes(data)
            fs.sync()
        starts = [int(Path(f"/sys/class/block/{os.path.basename(node)}/start").read_text()) * 512 for node in nodes]
        copies = [take_bare(node) for node in nodes]
        places = [starts[number] + file_ranges(fs.path / "file")[0][0] for number, fs in enumerate((one, two))]
        with Direct(DISK, os.O_RDWR) as disk:
            for place in places:
                disk.write(place, bytes([2]) * length)
                range_ioctl(DISK, BLKZEROOUT, place + length, length)
                range_ioctl(DISK, BLKDISCARD, place + 2 * length, length)
            # One write to both: the end of the first, which is no block of ext4's, and the boot block of the second.
            border = starts[1] - 512
            around = disk.read(border, 1024)
            disk.write(border, bytes([3]) * 1024)
        for number, copy in enumerate(copies):
            with Direct(copy) as shown:
                assert shown.read(places[number] - starts[number], MIB) == data
        with Direct(copies[0]) as shown:
            assert shown.read(size_of(copies[0]) - 512, 512) == around[:512]
        with Direct(copies[1]) as shown:
            assert shown.read(0, 512) == around[512:]
        assert [info(copy).preserved_bytes >= 2 * length for copy in copies] == [True, True]


@pytest.mark.parametrize("extra", [1, *(pytest.param(number, marks=pytest.mark.one_kernel) for number in (3, 7))])
def test_a_device_that_does_not_end_with_a_whole_unit(extra: int) -> None:
    size = SMALL + extra * 512
    with partitions(size, first=ODD) as (node,), filesystem("ext4", node) as fs:
        (fs.path / "file").write_bytes(bytes(MIB))
        fs.sync()
        with Direct(node, os.O_RDWR) as device:
            device.write(size - 65536 - 512 * extra, bytes([1]) * (65536 + 512 * extra))
            with hot_copy(node, *STORE) as copy, fs.frozen():
                truth = Truth.of(node)
                second = take_bare(node)
            # hot_copy() has removed the first; its space is there for the second.
            with Direct(second, os.O_RDWR) as shown:
                assert size_of(second) == size
                for at in range(size - 512, size - 16384, -512):
                    device.write(at, bytes([2]) * 512)
                truth.check(second, fs.store_ranges())
                device.write(size - 8192, bytes([3]) * 8192)
                device.write(size - 1024, bytes([4]) * 1024)
                truth.check(second, fs.store_ranges())
                tail = bytearray(shown.read(size - 8192, 8192))
                shown.write(size - 512, bytes([5]) * 512)
                tail[-512:] = bytes([5]) * 512
                assert shown.read(size - 8192, 8192) == tail
                with pytest.raises(OSError):
                    shown.write(size, bytes(512))
            with Direct(node) as origin:
                assert origin.read(size - 512, 512) == bytes([4]) * 512
            assert copy != second
