# SPDX-License-Identifier: GPL-2.0-or-later
"""What outlives a hot copy must not point to it. Freed memory is poisoned where this counts: tests/driver/test_poisoned.py."""

from __future__ import annotations

import os
import time

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, UNIT, partitions
from tests.driver.guest.faulty import faulty
from tests.driver.guest.hotcopies import info, is_stored, remove_from_driver, take_bare

REGION = 2 * MIB
BATCH = 256  # units of one write to the store
AROUND = 64  # units read at once around a write, where many are written
DENSE = 200  # units of a region, after which that is done
DELAY = 6  # seconds
PATIENCE = 30.0


@pytest.mark.one_kernel
def test_a_copy_that_was_cut_outlives_both_hot_copies() -> None:
    """Units read at once, of which the older hot copy lacks the first only; what it has is on its way to the store when both have gone.

    The store takes 256 units at a time, so 255 others are before them: the first unit ends in one write, the others in the next.
    """
    run("modprobe", "dm_delay")
    size = 12 * REGION
    with partitions(size, size) as (node, below), faulty(below) as device, Direct(node, os.O_RDWR) as origin:
        old = os.urandom(AROUND * UNIT)
        origin.write(0, old)
        run("wipefs", "-qa", device.node)  # what an earlier test may have left there
        older = take_bare(node, "-c", device.node)
        origin.write(UNIT, b"1" * (AROUND - 1) * UNIT)
        assert eventually(lambda: is_stored(older))
        first = _place_of(old[UNIT : 2 * UNIT], device.node)
        newer = take_bare(node)
        origin.write(REGION // 2, b"2" * DENSE * UNIT)
        assert eventually(lambda: is_stored(older))

        with device.silent():
            for region in (1, 2):  # both writes to the store that may be under way
                origin.write(region * REGION, b"3" * UNIT)
                time.sleep(1)
            for region, units in enumerate((64, 64, 64, 63), 3):  # too few of a region for more to be read
                origin.write(region * REGION, b"4" * units * UNIT)
            origin.write(0, b"5" * UNIT)
            assert info(newer).in_flight_bytes == (2 + BATCH - 1 + AROUND) * UNIT
            remove_from_driver(newer)
            behind = first + (AROUND - 1 + DENSE + 2 + BATCH) * UNIT  # what comes before the others
            others = (behind, behind + (AROUND - 1) * UNIT)
            with device.failing([others], f"delay {{}} {{}} {DELAY * 1000}"):
                assert eventually(lambda: info(older).in_flight_bytes == AROUND * UNIT, PATIENCE), info(older)
                with Direct(older) as shown:
                    assert shown.read(0, AROUND * UNIT) == old
                begin = time.monotonic()
                remove_from_driver(older)
                assert time.monotonic() - begin > DELAY / 3, "nothing was under way any more"


def _place_of(data: bytes, node: str) -> int:
    """Where on the device this is."""
    with Direct(node) as device:
        for offset in range(0, MIB, UNIT):
            if device.read(offset, UNIT) == data:
                return offset
    raise AssertionError(f"it is not in the first MiB of {node}")
