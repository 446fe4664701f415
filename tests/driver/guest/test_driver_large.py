# SPDX-License-Identifier: GPL-2.0-or-later
"""An origin of more units than 32 bits count: as quick to copy as a small one, as cheap, and right at its end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.driver.guest.commands import eventually
from tests.driver.guest.direct import Direct, size_of
from tests.driver.guest.disks import MIB, UNIT, Filesystem, file_ranges, filesystem, loop
from tests.driver.guest.hotcopies import hot_copy, info, take_bare
from tests.driver.guest.memory import quiet_memory
from tests.driver.guest.workload import BLKDISCARD, range_ioctl

TIB = 1 << 40
LARGE = 17 * TIB  # 16 TiB are 2^32 units
SMALL = 384 * MIB
STORE = ("--store-size", "16M")
DIRECTORIES = 200
MORE = 8 * 1024  # KiB; a byte for every 2 MiB of the device would be more


def memory_now() -> int:
    """KiB that are available, or hold the image."""
    found = quiet_memory()
    return found["MemAvailable"] + found["Shmem"]


def cost_of(fs: Filesystem) -> tuple[int, float]:
    """What a hot copy costs: KiB of memory, and seconds to make it. The second one: the first loads the driver."""
    with hot_copy(fs.node, *STORE):
        pass
    before, begin = memory_now(), time.monotonic()
    with hot_copy(fs.node, *STORE) as copy:
        seconds = time.monotonic() - begin
        assert info(copy).nr_sectors == size_of(fs.node) // 512
        return before - memory_now(), seconds


def file_at_the_end(fs: Filesystem) -> tuple[Path, int]:
    """A file behind 16 TiB: XFS puts every new directory elsewhere."""
    for number in range(DIRECTORIES):
        directory = fs.path / f"dir-{number}"
        directory.mkdir()
        path = directory / "file"
        path.write_bytes(bytes([1]) * MIB)
        fs.sync()
        place = file_ranges(path)[0][0]
        if place > 16 * TIB:
            return path, place
    raise AssertionError("no directory was made at the end of the device")


@pytest.mark.one_kernel
@pytest.mark.timeout(240)
def test_seventeen_tebibytes() -> None:
    image = Path("/run/large.img")
    with loop(image, SMALL) as node, filesystem("xfs", node) as fs:
        small_memory, small_seconds = cost_of(fs)
    with loop(image, LARGE) as node, filesystem("xfs", node, "-K", "-l", "size=64m") as fs:
        memory, seconds = cost_of(fs)
        assert memory - small_memory < MORE, (memory, small_memory)
        assert seconds < 2 * small_seconds + 1, (seconds, small_seconds)
        path, place = file_at_the_end(fs)
        end = LARGE - 16 * UNIT  # nothing of the filesystem's
        with Direct(node, os.O_RDWR) as device:
            device.write(end, bytes([1]) * 16 * UNIT)
            with hot_copy(node, *STORE):
                copy = take_bare(node)
                with Direct(str(path), os.O_RDWR) as file:
                    file.write(0, bytes([2]) * MIB)
                device.write(end, bytes([2]) * 8 * UNIT)
                range_ioctl(node, BLKDISCARD, end + 8 * UNIT, 8 * UNIT)
                for settled in (False, True):
                    if settled:
                        assert eventually(lambda: not info(copy).in_flight_bytes)
                    with Direct(copy, os.O_RDWR) as shown:
                        assert shown.read(place, MIB) == bytes([1]) * MIB
                        assert shown.read(end, 16 * UNIT) == bytes([1]) * 16 * UNIT
                        assert shown.read(LARGE, UNIT) == b""
                with Direct(copy, os.O_RDWR) as shown:
                    shown.write(LARGE - 512, bytes([3]) * 512)
                    assert shown.read(LARGE - 1024, 1024) == bytes([1]) * 512 + bytes([3]) * 512
                with Direct("/dev/hcp1") as first:
                    assert first.read(end, 16 * UNIT) == bytes([1]) * 16 * UNIT
                assert info(copy).preserved_bytes >= MIB + 8 * UNIT
                assert device.read(end, UNIT) == bytes([2]) * UNIT
