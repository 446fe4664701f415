# SPDX-License-Identifier: GPL-2.0-or-later
"""Raw devices: a write under way at the instant is waited for, one that comes after it is not in the hot copy."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Callable

import pytest

from hotcopy.driver import Driver, Origin, Segment
from hotcopy.fiemap import Extent
from tests.driver.guest.background import Beat, background
from tests.driver.guest.commands import run
from tests.driver.guest.devices import queue_of
from tests.driver.guest.direct import Direct, size_of
from tests.driver.guest.disks import DISK, MIB, OTHER_DISK, SECTOR, UNIT, filesystem, mapped, partitions
from tests.driver.guest.hotcopies import info, remove_all

SIZE = 32 * MIB
DELAY = 0.6  # seconds that every write takes


@contextlib.contextmanager
def requests(below: str) -> Iterator[str]:
    """A loop device, which has a request queue, whose writes take long."""
    run("modprobe", "-a", "dm_delay", "loop")
    table = f"0 {size_of(below) // SECTOR} delay {below} 0 0 {below} 0 {int(DELAY * 1000)}\n"
    with mapped(table, "hcpslow") as slow:
        node = run("losetup", "--find", "--show", "--direct-io=on", slow).strip()
        try:
            yield node
        finally:
            run("losetup", "-d", node)


@contextlib.contextmanager
def counted(below: str) -> Iterator[str]:
    """A device mapper device on that, which has no request queue and counts what is under way."""
    with requests(below) as slow, mapped(f"0 {size_of(slow) // SECTOR} linear {slow} 0\n") as node:
        yield node


def write(node: str, offset: int, data: bytes) -> None:
    """One write, past the page cache."""
    with Direct(node, os.O_RDWR) as device:
        device.write(offset, data)


def read(node: str, *offsets: int) -> list[bytes]:
    """A unit at each offset."""
    with Direct(node) as device:
        return [device.read(offset, UNIT) for offset in offsets]


def create(stores: Mapping[str, str], is_first: bool = True, frozen: Path | None = None) -> list[str]:
    """Hot copies of raw devices (origin: store) at one instant, as quickly as the driver makes them; a filesystem is frozen for it."""
    with contextlib.ExitStack() as end:

        def opened(node: str, flags: int) -> int:
            fd = os.open(node, flags)
            end.callback(os.close, fd)
            return fd

        origins = []
        for origin, store in stores.items():
            segment = None
            if is_first:
                fd = opened(store, os.O_RDWR | os.O_EXCL)
                segment = Segment(fd, fd, [Extent(0, 0, size_of(store))])
            fd = opened(origin, os.O_RDONLY)
            origins.append(Origin(fd, origin, store, False, segment, uncounted=frozen is not None))
        freeze = [opened(str(frozen), os.O_RDONLY)] if frozen else []
        made = end.enter_context(Driver()).create(origins, freeze)
    return [f"/dev/hcp{minor}" for minor in made.minors]


def keep_writing(node: str, offset: int, beat: Beat) -> None:
    """One write after the other to the same unit."""
    number = 0
    while beat():
        write(node, offset, number.to_bytes(8, "big") * (UNIT // 8))
        number += 1


@contextlib.contextmanager
def kept_writing(node: str, offsets: Sequence[int]) -> Iterator[None]:
    """A writer for each offset, their writes spread over the time that one takes."""
    with contextlib.ExitStack() as writers:
        for offset in offsets:
            writers.enter_context(background(functools.partial(keep_writing, node, offset)))
            time.sleep(DELAY / len(offsets))
        yield


@pytest.mark.parametrize("device", [requests, counted])
def test_writes_under_way(device: Callable[[str], contextlib.AbstractContextManager[str]]) -> None:
    """There are always some; what the hot copy shows must not change when they end, and each is there or not."""
    run("modprobe", "hcpdriver")
    offsets = [number * UNIT for number in range(4)]
    with (
        partitions(SIZE, SIZE, disk=OTHER_DISK) as (below, store),
        device(below) as origin,
        contextlib.ExitStack() as end,
    ):
        end.callback(remove_all)
        for is_first in (True, False):
            with kept_writing(origin, offsets):
                started = time.monotonic()
                (node,) = create({origin: store}, is_first)
                took = time.monotonic() - started
                assert not info(node).changed_lost
                assert took > DELAY / 2, "the writes under way were not waited for"
                shown = read(node, *offsets)
                time.sleep(2 * DELAY)
                assert read(node, *offsets) == shown
            assert read(node, *offsets) == shown != read(origin, *offsets)


@pytest.mark.one_kernel
def test_writes_under_way_beside_a_frozen_filesystem() -> None:
    """Nobody holds them, but those of before the instant are there when the hot copy can be read."""
    run("modprobe", "hcpdriver")
    offsets = [number * UNIT for number in range(4)]
    with (
        partitions(SIZE, SIZE, disk=OTHER_DISK) as (below, store),
        requests(below) as origin,
        filesystem("ext4", DISK) as fs,
        contextlib.ExitStack() as end,
    ):
        end.callback(remove_all)
        for is_first in (True, False):
            with kept_writing(origin, offsets):
                (node,) = create({origin: store}, is_first, fs.path)
                assert info(node).changed_lost
                shown = read(node, *offsets)
                time.sleep(2 * DELAY)
                assert read(node, *offsets) == shown
            assert read(node, *offsets) == shown != read(origin, *offsets)


def test_a_write_that_is_submitted_in_pieces() -> None:
    """Whoever waits for room in the queue with half of his write has passed the hook, but is in no queue."""
    run("modprobe", "hcpdriver")
    step = 64 * 1024
    offsets = [number * step for number in range(16)]
    with (
        partitions(SIZE, SIZE, disk=OTHER_DISK) as (below, store),
        requests(below) as origin,
        contextlib.ExitStack() as end,
    ):
        end.callback(remove_all)
        queue = queue_of(origin)
        (queue / "nr_requests").write_text("4", encoding="ascii")
        (queue / "max_sectors_kb").write_text(str(step // 1024), encoding="ascii")
        before = read(origin, *offsets)

        def overwrite(beat: Beat) -> None:
            data = b"new " * (len(offsets) * step // 4)
            while beat():
                write(origin, 0, data)

        with background(overwrite):
            time.sleep(DELAY / 2)
            (node,) = create({origin: store})
            shown = read(node, *offsets)
            time.sleep(4 * DELAY)
            assert read(node, *offsets) == shown
            assert not info(node).changed_lost
        assert read(node, *offsets) == shown
        assert read(origin, *offsets) != before


def test_a_device_and_the_one_below() -> None:
    """What the upper one has taken still gets through to the lower one, which is held after it."""
    run("modprobe", "hcpdriver")
    offsets = [number * UNIT for number in range(4)]
    with (
        partitions(SIZE, SIZE, SIZE, disk=OTHER_DISK) as (below, one, two),
        requests(below) as lower,
        mapped(f"0 {size_of(lower) // SECTOR} linear {lower} 0\n") as upper,
        contextlib.ExitStack() as end,
    ):
        end.callback(remove_all)
        with kept_writing(upper, offsets):
            nodes = create({upper: one, lower: two})
            shown = [read(node, *offsets) for node in nodes]
            assert shown[0] == shown[1]
            time.sleep(2 * DELAY)
            assert [read(node, *offsets) for node in nodes] == shown
        assert read(upper, *offsets) != shown[0]
