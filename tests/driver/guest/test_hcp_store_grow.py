# SPDX-License-Identifier: GPL-2.0-or-later
"""The store starts small, grows while it is needed, and stops at the floor; its keeper may be killed or stopped."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hotcopy.driver import Driver
from tests.driver.guest import keepers
from tests.driver.guest.background import Beat, background
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import DISK, MIB, OTHER_DISK, Filesystem, file_ranges, partitions
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import info, remove
from tests.driver.guest.keepers import hot_copy, take_bare
from tests.driver.guest.kinds import KINDS, usable_percent, variants

LARGE = 1536 * MIB
DIES = r"I/O error, dev hcp\d|Buffer I/O error on dev hcp\d|I/O error on dev hcp\d"


def fill(path: Path, value: int, size: int, pause: float = 0.0) -> None:
    """A file of one byte's repetition, each MiB numbered, on the disk; with a pause after each."""
    with Direct(str(path), os.O_RDWR | os.O_CREAT) as file:
        for number in range(size // MIB):
            time.sleep(pause)
            file.write(number * MIB, number.to_bytes(4, "little") + bytes([value]) * (MIB - 4))
        os.fsync(file.fd)


def has(path: Path, value: int, size: int) -> bool:
    """Whether fill() wrote this file; every byte is compared, on the disk, where Python need not hold it."""
    assert path.stat().st_size == size
    expected = (ctypes.c_char * MIB).from_buffer_copy(bytes([value]) * MIB)
    with Direct(str(path)) as file:
        for number in range(size // MIB):
            ctypes.memmove(expected, number.to_bytes(4, "little"), 4)
            if not file.holds(number * MIB, ctypes.addressof(expected), MIB):
                return False
    return True


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["ext4", pytest.param("xfs", marks=pytest.mark.one_kernel)])
def test_the_store_of_an_idle_disk_is_small(kind: str) -> None:
    with partitions(LARGE) as (node,), KINDS[kind].mounted(node) as fs:
        before = fs.free()
        with hot_copy(node) as copy:
            time.sleep(3)
            about = info(copy)
            assert about.growths == 0
            assert 0 < about.store_bytes <= min(64 * MIB, LARGE // 100)
            status = os.statvfs(fs.path)
            assert (before - status.f_bfree) * status.f_frsize <= LARGE // 100 + MIB
        assert fs.free() == before


def is_consistent(copy: str, fs: Filesystem) -> bool:
    """The driver's pieces, what it counts and the files are the same, unless the store is just growing."""
    about = info(copy)
    with Driver() as driver:
        segments = driver.stores(about.minor)
    names = len(fs.store_names())
    return len(segments) == about.growths + 1 == names and sum(part.size for part in segments) == about.store_bytes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", variants("ext4", "xfs", "xfs-rmapbt", "ext4-no-journal", "ext3", "vfat"))
def test_the_store_grows(kind: str) -> None:
    # Zeros cannot be written as fast as an emulated guest's whole processor overwrites.
    # And with other guests beside this one its keeper gets little of a processor, which no disk waits for here.
    size, pause = (60 * MIB, 0.1) if kind in ("ext3", "vfat") else (120 * MIB, 0.02)
    with partitions(LARGE) as (node,), KINDS[kind].mounted(node) as fs:
        path = fs.path / "file"
        fill(path, 1, size)
        copy = take_bare(node)
        first = info(copy).store_bytes
        fill(path, 2, size, pause)
        about = info(copy)
        assert about.state == "active", about
        assert about.growths > 0
        assert about.store_used_bytes < 1.3 * size, about
        assert size <= about.store_bytes <= 4 * about.store_used_bytes, about  # doubled when half of it was used
        assert first < about.store_bytes
        assert eventually(lambda: is_consistent(copy, fs)), (info(copy), fs.store_names())
        with KINDS[kind].copy_mounted(copy) as top:
            assert has(top / "file", 1, size)
        assert has(path, 2, size)
        KINDS[kind].check_copy(copy)

        # A second hot copy shares the store; what it needs is not overwritten by it.
        second = take_bare(node)
        fill(path, 3, size // 2, pause)
        with KINDS[kind].copy_mounted(second) as top:
            assert has(top / "file", 2, size)
        with KINDS[kind].copy_mounted(copy) as top:
            assert has(top / "file", 1, size)
        remove(copy)
        assert len(fs.store_names()) > 1
        remove(second)
        assert fs.store_names() == []
        assert not os.path.exists(fs.path / ".hotcopy")


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
@pytest.mark.kernel_log(allow=DIES)
def test_the_hot_copy_stops_before_the_floor() -> None:
    size = 200 * MIB
    with partitions(450 * MIB) as (node,), KINDS["ext4"].mounted(node) as fs:
        path = fs.path / "file"
        fill(path, 1, size)
        copy = take_bare(node, "-q", "20")
        fill(path, 2, size)
        assert eventually(lambda: info(copy).state == "overflow"), info(copy)
        assert info(copy).reason
        assert usable_percent(fs.path) > 19.5
        fill(path, 3, MIB)
        assert path.read_bytes()[4:MIB] == bytes([3]) * (MIB - 4)
        hot = json.loads(hcp("-l", "--json"))["hot_copies"][0]
        assert hot["state"] == "overflow"
        remove(copy)
        assert fs.store_names() == []


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
@pytest.mark.kernel_log(allow=DIES)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_others_fill_the_filesystem(kind: str) -> None:
    with partitions(450 * MIB) as (node,), KINDS[kind].mounted(node) as fs:
        copy = take_bare(node, "-q", "30%")
        other = take_bare(node, "-q", "3%")
        filler = fs.path / "filler"
        for number in range(1, 450, 10):
            with open(filler, "ab") as file:
                file.write(bytes(10 * MIB))
                os.fsync(file.fileno())
            if usable_percent(fs.path) <= 30:
                break
            assert info(copy).state == "active", number
        assert eventually(lambda: info(copy).state == "overflow", 5), info(copy)
        assert "at its floor of 30 % (hcp -q)" in info(copy).reason
        assert info(other).state == "overflow"  # they share the store
        filler.write_bytes(b"fine")
        assert filler.read_bytes() == b"fine"


@pytest.mark.one_kernel
def test_the_keeper_holds_nothing() -> None:
    with partitions(450 * MIB) as (node,), KINDS["ext4"].mounted(node) as fs, hot_copy(node, "--store-size", "16M"):
        pass
    with partitions(450 * MIB) as (node,), KINDS["ext4"].mounted(node) as fs:
        # Its output is a pipe, which ends when hcp does.
        done = subprocess.run(("hcp", "--skip-mount", node), capture_output=True, text=True, timeout=100, check=True)
        assert not done.stderr
        number = keepers.keeper()
        assert keepers.registered()
        held = {os.readlink(f"/proc/{number}/fd/{fd}") for fd in os.listdir(f"/proc/{number}/fd")}
        held = {name for name in held if not name.startswith(("socket:", "pipe:"))}
        assert held == {"/dev/null", "/dev/hcp"}
        for worker in set(keepers.processes()) - {number}:
            theirs = {os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")}
            assert {name for name in theirs if not name.startswith("pipe:")} == {"/dev/null"}
        assert os.readlink(f"/proc/{number}/cwd") == "/"
        assert os.readlink(f"/proc/{number}/ns/mnt") == os.readlink("/proc/1/ns/mnt")
        assert Path(f"/proc/{number}/oom_score_adj").read_text().strip() == "-1000"
        status = Path(f"/proc/{number}/status")
        assert eventually(lambda: "VmLck:\t       0 kB" not in status.read_text(), 10), "it gets ready in a second"
        run("mount", "-o", "remount,ro", str(fs.path))
        run("mount", "-o", "remount,rw", str(fs.path))
        os.kill(number, signal.SIGHUP)
        time.sleep(0.2)
        assert keepers.keeper() == number
        remove("/dev/hcp1")
        assert eventually(lambda: not keepers.processes(), 5)


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
def test_a_killed_keeper_comes_back() -> None:
    size = 100 * MIB
    with partitions(LARGE) as (node,), KINDS["ext4"].mounted(node) as fs:
        path = fs.path / "file"
        fill(path, 1, size)
        copy = take_bare(node)
        first = keepers.keeper()
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not keepers.processes())
        assert not keepers.registered()
        hcp("-l")
        assert keepers.registered()
        assert keepers.keeper() != first
        fill(path, 2, size)
        assert info(copy).state == "active"
        assert info(copy).growths
        with KINDS["ext4"].copy_mounted(copy) as top:
            assert has(top / "file", 1, size)


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
@pytest.mark.kernel_log(allow=DIES)
def test_a_stopped_keeper_stalls_the_origin_for_a_second_at_most() -> None:
    size = 300 * MIB
    with partitions(LARGE) as (node,), KINDS["ext4"].mounted(node) as fs:
        path = fs.path / "file"
        fill(path, 1, size)
        copy = take_bare(node)
        number = keepers.keeper()
        os.kill(number, signal.SIGSTOP)
        slowest = 0.0
        with Direct(str(path), os.O_RDWR) as file:
            for at in range(size // MIB):
                start = time.monotonic()
                file.write(at * MIB, bytes([2]) * MIB)
                slowest = max(slowest, time.monotonic() - start)
        assert info(copy).state == "overflow", info(copy)
        assert slowest < 3.0  # the disk itself is slow at times, emulated
        os.kill(number, signal.SIGCONT)
        assert path.read_bytes()[:MIB] == bytes([2]) * MIB
        remove(copy)
        # And the next one is well.
        with hot_copy(node) as again:
            fill(path, 4, size)
            assert info(again).state == "active"


@pytest.mark.kernel_independent
@pytest.mark.timeout(300)
def test_a_frozen_filesystem_does_not_hold_up_another() -> None:
    size = 100 * MIB
    with contextlib.ExitStack() as stack:
        (node,) = stack.enter_context(partitions(450 * MIB))
        (other,) = stack.enter_context(partitions(600 * MIB, disk=OTHER_DISK))
        fs = stack.enter_context(KINDS["ext4"].mounted(node))
        second = stack.enter_context(KINDS["ext4"].mounted(other, "/run/second"))
        fill(fs.path / "file", 1, 8 * MIB)
        fill(second.path / "file", 1, size)
        place = file_ranges(fs.path / "file")[0][0]
        held, free = take_bare(node), take_bare(other)
        with fs.frozen():
            # Not through the filesystem, which is frozen; the store is not full, but wants to grow.
            with Direct(node, os.O_RDWR) as device:
                for at in range(0, 3 * MIB, MIB):
                    device.write(place + at, bytes(MIB))
            assert eventually(lambda: info(held).wants_space or info(held).state != "active", 5)
            fill(second.path / "file", 2, size)
            assert info(free).state == "active"
            assert info(free).growths
        if info(held).state == "active":
            assert eventually(lambda: info(held).growths > 0), info(held)


def overwrite_for_ever(path: Path, size: int, beat: Beat) -> None:
    """A steady write load."""
    with Direct(str(path), os.O_RDWR) as file:
        number = 0
        while beat():
            file.write(number * MIB % size, bytes([number % 255]) * MIB)
            number += 1
            time.sleep(0.06)  # emulated, hcp takes a second until the free blocks are known


@pytest.mark.one_kernel
@pytest.mark.timeout(600)
def test_growth_under_load_is_exact() -> None:
    """New hot copies while everything is being overwritten; the older ones stay as they were."""
    size = 100 * MIB
    with partitions(LARGE) as (node,), KINDS["xfs-reflink"].mounted(node) as fs:
        still = fs.path / "still"
        fill(still, 9, 40 * MIB)
        path = fs.path / "file"
        fill(path, 1, size)
        with background(lambda beat: overwrite_for_ever(path, size, beat)) as (worker,):
            taken = []
            for round_ in range(3):
                worker.wait_rounds(size // MIB // 2)
                taken.append(take_bare(node))
                fill(still, round_, 40 * MIB, 0.04)
                worker.wait_rounds(size // MIB)
                assert info(taken[-1]).state == "active", info(taken[-1])
        with KINDS["xfs"].copy_mounted(taken[0]) as top:
            assert has(top / "still", 9, 40 * MIB)
        for copy in taken:
            with KINDS["xfs"].copy_mounted(copy):
                pass
            KINDS["xfs"].check_copy(copy)
    assert DISK
