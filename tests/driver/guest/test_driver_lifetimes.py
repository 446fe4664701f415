# SPDX-License-Identifier: GPL-2.0-or-later
"""What outlives a hot copy must not point to it. Freed memory is poisoned where this counts: tests/driver/test_poisoned.py."""

from __future__ import annotations

import os
import time

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, partitions
from tests.driver.guest.faulty import faulty
from tests.driver.guest.hotcopies import info, is_stored, remove_from_driver, take_bare

UNIT = 4096
REGION = 2 * MIB
BATCH = 256  # units of one write to the store
DELAY = 6  # seconds
PATIENCE = 30.0


@pytest.mark.one_kernel
def test_a_copy_that_was_cut_outlives_both_hot_copies() -> None:
    """Two units copied at once, the second for the newer hot copy only; its write to the store ends when both have gone.

    The store takes 256 units at a time, so 255 others are before them: the first unit ends in one write, the second in the next.
    """
    run("modprobe", "dm_delay")
    size = 12 * REGION
    with partitions(size, size) as (node, below), faulty(below) as device, Direct(node, os.O_RDWR) as origin:
        old = os.urandom(2 * UNIT)
        origin.write(0, old)
        older = take_bare(node, "-c", device.node)
        origin.write(UNIT, b"1" * UNIT)
        assert eventually(lambda: is_stored(older))
        first = _place_of(old[UNIT:], device.node)
        newer = take_bare(node)

        with device.silent():
            for region in (1, 2):  # both writes to the store that may be under way
                origin.write(region * REGION, b"2" * UNIT)
                time.sleep(1)
            for region, units in enumerate((64, 64, 64, 63), 3):  # few of a region, so that nothing is read around them
                origin.write(region * REGION, b"3" * units * UNIT)
            origin.write(0, b"4" * 2 * UNIT)
            assert info(newer).in_flight_bytes == (2 + 255 + 2) * UNIT
            remove_from_driver(newer)
            # Its second unit comes after its old one there, the two under way, and a whole write.
            last = first + (1 + 2 + BATCH) * UNIT
            slow = "delay {} {} " + str(DELAY * 1000)
            with device.failing([(last, last + UNIT)], slow):
                assert eventually(lambda: info(older).in_flight_bytes == 2 * UNIT, PATIENCE)
                with Direct(older) as shown:
                    assert shown.read(0, 2 * UNIT) == old
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
