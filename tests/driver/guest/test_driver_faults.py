# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks that fail: the hot copy ends with a reason or goes on, and the origin sees no error that is not its disk's."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.devices import raid, scsi_disk
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, UNIT, Filesystem, file_ranges, filesystem, partitions
from tests.driver.guest.faulty import WRITES_FAIL, bad_sectors, faulty
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import copies, hot_copy, info, remove_all, take_bare
from tests.driver.guest.plugin import KernelLog
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes

SMALL = 64 * MIB
FILE = 4 * MIB
STEP = 64 << 10
STORE = ("--store-size", "16M")
STALL = 4.0  # seconds of one write: the second that is allowed, and some for an emulation that others slow down
# udev and whoever else looks at a hot copy that has ended.
DEAD_READS = pytest.mark.kernel_log(allow=r"I/O error, dev hcp\d|Buffer I/O error on dev hcp\d")


def new_file(fs: Filesystem, value: int) -> tuple[Path, int]:
    """A file of one piece, on the disk, and where it is there."""
    path = fs.path / "file"
    path.write_bytes(bytes([value]) * FILE)
    fs.sync()
    ranges = file_ranges(path)
    assert len(ranges) == 1, ranges
    return path, ranges[0][0]


def overwrite(path: Path, value: int) -> None:
    """All of a file in place, past the cache; no write may fail, or take long."""
    longest = 0.0
    with Direct(str(path), os.O_RDWR) as file:
        for offset in range(0, FILE, STEP):
            begin = time.monotonic()
            file.write(offset, bytes([value]) * STEP)
            longest = max(longest, time.monotonic() - begin)
    assert longest < STALL


def holds(path: Path, value: int) -> bool:
    """Whether the file has this in every byte, on the disk."""
    with Direct(str(path)) as file:
        return all(file.read(offset, MIB) == bytes([value]) * MIB for offset in range(0, FILE, MIB))


def check_ended(nodes: list[str], reason: str, log: KernelLog) -> None:
    """They have failed for this reason, everywhere where that is told, and give no data any more."""
    assert eventually(lambda: all(info(node).state == "failed" for node in nodes))
    listed = json.loads(hcp("-l", "--json"))["hot_copies"]
    told = {copy["device"]: (copy["state"], copy["reason"]) for copy in listed}
    assert [told[node] for node in nodes] == [("failed", reason)] * len(nodes)
    text = hcp("-l")
    assert text.count("Reason:".ljust(23) + reason) == len(nodes), text
    lines = [line for line in log.read() if line.startswith("hcp: ")]
    assert len(lines) == len(nodes), lines
    for node, line in zip(nodes, lines):
        assert node[len("/dev/") :] in line, lines
        assert reason in line, lines
        with Direct(node) as device, pytest.raises(OSError) as caught:
            device.read(0, 4096)
        assert caught.value.errno == errno.EIO


def check_next(fs: Filesystem, path: Path, place: int, value: int) -> None:
    """Nothing of the failure is left: another hot copy is right, and the driver can go."""
    with hot_copy(fs.node) as node:
        overwrite(path, value + 1)
        with Direct(node) as device:
            assert device.read(place, MIB) == bytes([value]) * MIB
        assert info(node).state == "active"
    remove_all()
    assert copies() == ()
    assert fs.store_names() == []
    run("rmmod", "hcpdriver")


@pytest.mark.scsi_debug
@pytest.mark.kernel_log(allow=r"critical medium error, dev sd")
@DEAD_READS
def test_old_data_that_cannot_be_read() -> None:
    """A bad sector: what replaces it can be written, what was there cannot be kept."""
    with scsi_disk(SMALL) as node, filesystem("xfs", node) as fs:
        path, place = new_file(fs, 1)
        log = KernelLog()
        taken = [take_bare(node, *STORE), take_bare(node)]
        with bad_sectors((place + FILE // 2 + 8192, place + FILE // 2 + 12288)):
            overwrite(path, 2)
        assert holds(path, 2)
        check_ended(taken, "the origin's old data could not be read", log)
        check_next(fs, path, place, 2)


@pytest.mark.scsi_debug
@pytest.mark.kernel_log(allow=r"critical medium error, dev sd")
def test_bad_sector_beside_what_is_written() -> None:
    """What is read around writes when they are dense, but nobody writes, need not be readable."""
    with scsi_disk(SMALL) as node, filesystem("xfs", node) as fs:
        path, place = new_file(fs, 1)
        bad = FILE // 2 + 50 * UNIT
        log = KernelLog()
        with hot_copy(node, *STORE) as copy:
            with bad_sectors((place + bad, place + bad + UNIT)), Direct(str(path), os.O_RDWR) as file:
                for offset in range(0, FILE, UNIT):
                    if offset != bad:
                        file.write(offset, bytes([2]) * UNIT)
            assert any("critical medium error" in line for line in log.read()), "nothing was read around the writes"
            assert info(copy).state == "active", info(copy)
            with Direct(copy) as shown:
                assert all(shown.read(place + at, MIB) == bytes([1]) * MIB for at in range(0, FILE, MIB))
        check_next(fs, path, place, 2)


@DEAD_READS
def test_store_that_cannot_be_written() -> None:
    with partitions(SMALL) as (below,), faulty(below) as device, filesystem("ext4", device.node) as fs:
        path, place = new_file(fs, 1)
        log = KernelLog()
        taken = [take_bare(device.node, *STORE), take_bare(device.node)]
        with device.failing(fs.store_ranges()):
            overwrite(path, 2)
            check_ended(taken, "writing to the space for changed blocks failed", log)
            overwrite(path, 3)
        assert holds(path, 3)
        check_next(fs, path, place, 3)


@pytest.mark.one_kernel
@DEAD_READS
def test_store_that_fails_for_a_while() -> None:
    """Who reads or writes the hot copy there gets the error; it goes on, and is right when the store works again."""
    with partitions(SMALL) as (below,), faulty(below) as device, filesystem("ext4", device.node) as fs:
        still = fs.path / "unchanged"
        still.write_bytes(bytes([5]) * MIB)
        path, place = new_file(fs, 1)
        with hot_copy(device.node, *STORE) as copy:
            overwrite(path, 2)
            assert eventually(lambda: not info(copy).in_flight_bytes)
            # Frozen, so that the filesystem itself does not change anything.
            with fs.frozen(), Direct(copy, os.O_RDWR) as shown:
                with device.failing(fs.store_ranges()):
                    for attempt in (lambda: shown.read(place, 4096), lambda: shown.write(place, bytes(4096))):
                        with pytest.raises(OSError) as caught:
                            attempt()
                        assert caught.value.errno == errno.EIO
                    # Not its first unit, which may hold blocks of something else as well.
                    unchanged = file_ranges(still)[0][0] // UNIT * UNIT + UNIT
                    assert shown.read(unchanged, STEP) == bytes([5]) * STEP
                for offset in range(0, FILE, MIB):
                    assert shown.read(place + offset, MIB) == bytes([1]) * MIB
            assert info(copy).state == "active"
            overwrite(path, 3)
            with Direct(copy) as shown:
                assert shown.read(place, MIB) == bytes([1]) * MIB
        assert holds(path, 3)


@pytest.mark.one_kernel
def test_origin_that_cannot_be_written() -> None:
    """The disk's own error comes to who writes, and the hot copy is as right as ever."""
    with partitions(SMALL) as (below,), faulty(below) as device, filesystem("xfs", device.node) as fs:
        _, place = new_file(fs, 1)
        with hot_copy(device.node, *STORE) as copy:
            # Beneath the frozen filesystem, which would not bear an error of its own writes.
            with fs.frozen(), Direct(device.node, os.O_RDWR) as raw:
                with device.failing([(place, place + FILE)], WRITES_FAIL):
                    with pytest.raises(OSError) as caught:
                        raw.write(place, bytes([2]) * MIB)
                    assert caught.value.errno == errno.EIO
                assert raw.read(place, MIB) == bytes([1]) * MIB
                raw.write(place + MIB, bytes([2]) * MIB)
            assert info(copy).state == "active"
            with Direct(copy) as shown:
                assert shown.read(place, MIB) == shown.read(place + MIB, MIB) == bytes([1]) * MIB


@pytest.mark.one_kernel
def test_mirror_that_loses_a_disk() -> None:
    """Half of a RAID 1 fails beneath a busy origin: nobody notices, neither does the hot copy."""
    with (
        partitions(SMALL, SMALL) as members,
        raid(1, *members) as node,
        filesystem("xfs", node) as fs,
    ):
        change = Changes(fs.path / "a", 1, trims=False)
        change.populate()
        with hot_copy(node, "--store-size", "20M"):
            with fs.frozen():
                truth = Truth.of(node)
                copy = take_bare(node)
            with background(change) as (worker,):
                worker.wait_rounds(3)
                run("mdadm", node, "--fail", members[0])
                worker.wait_rounds(5)
            assert info(copy).state == "active"
            assert info(copy).preserved_bytes > MIB
            truth.check(copy, fs.store_ranges())
