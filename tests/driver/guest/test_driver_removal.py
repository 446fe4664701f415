# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of hot copies, and of the driver, while the origin is busy; and that nothing is left."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

import pytest

from tests.driver.guest.background import background, succeeds, under_way
from tests.driver.guest.commands import eventually, fails, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, ROOMY, SIZE, filesystem, partitions
from tests.driver.guest.faulty import faulty
from tests.driver.guest.hcp import impatient
from tests.driver.guest.hotcopies import attempt, copies, hot_copy, info, remove, remove_from_driver, take_bare
from tests.driver.guest.memory import quiet_memory
from tests.driver.guest.records import Writer
from tests.driver.guest.scene import changing, taken_with_truth

MODULE = "hcpdriver"
HOOK = Path("/sys/kernel/debug/tracing/enabled_functions")


def is_loaded() -> bool:
    """Whether the driver is in the kernel."""
    return Path(f"/sys/module/{MODULE}").exists()


@pytest.mark.parametrize("kind", ["ext4", pytest.param("xfs", marks=pytest.mark.one_kernel)])
def test_origin_remounted_read_only(kind: str) -> None:
    with changing(kind) as (fs, change):
        node = fs.node
        take_bare(node, *ROOMY)
        copy, truth = taken_with_truth(fs)
        change.every()
        store = fs.store_ranges()
        run("mount", "-o", "remount,ro", str(fs.path))
        truth.check(copy, store)
        for number in (1, 2):
            remove(f"/dev/hcp{number}")
        run("mount", "-o", "remount,rw", str(fs.path))
        # The store could not be deleted then; the next hcp does it.
        with hot_copy(node):
            assert len(fs.store_names()) == 1
        assert fs.store_names() == []


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("ext4", marks=(pytest.mark.quick, pytest.mark.two_kernels)),
        pytest.param("xfs", marks=pytest.mark.one_kernel),
    ],
)
def test_removal_and_unload_under_load(kind: str) -> None:
    with changing(kind) as (fs, change):
        node = fs.node
        records = Writer(fs.path / "records", 4096, direct=True)
        with background(change, records) as workers:
            for number in range(3):
                copy = take_bare(node, *ROOMY)
                fails("rmmod", MODULE)
                if number == 0:
                    with Direct(copy) as shown, impatient():
                        assert attempt("-r", copy)[0] == 1  # its device is open
                        shown.read(0, MIB)
                workers[0].wait_rounds(2)
                workers[1].wait_rounds(20)
                remove(copy)
                run("rmmod", MODULE)
                assert not is_loaded()
                workers[1].wait_rounds(20)


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
def test_memory_is_as_it_was() -> None:
    """Many hot copies under load leave nothing behind, but what the first ones left in caches."""
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        records = Writer(fs.path / "records", 4096, direct=True)

        def rounds(number: int) -> None:
            with background(records) as (worker,):
                for _ in range(number):
                    copy = take_bare(node, *ROOMY)
                    worker.wait_rounds(10)
                    remove(copy)

        gone: dict[str, int] = {}
        for _ in range(3):
            rounds(2)
            run("rmmod", MODULE)
            before = quiet_memory()
            rounds(8)
            run("rmmod", MODULE)
            # Others take memory, too, once; a leak of ours does so every time.
            eventually(functools.partial(is_back, before), 10)
            gone = lost(before)
            if not gone:
                break
        assert not gone
        assert not re.search("hcp", Path("/proc/slabinfo").read_text(encoding="ascii"))
        left = [line for line in run("ps", "-eo", "args").splitlines() if re.match(r"\[(kworker/R-)?hcp", line)]
        assert not left, left


def lost(before: dict[str, int]) -> dict[str, int]:
    """KiB that are missing, where they are too many."""
    now = quiet_memory()
    slab = now["SUnreclaim"] - before["SUnreclaim"]
    memory = before["MemAvailable"] - now["MemAvailable"]
    return {name: gone for name, gone, most in (("slab", slab, 1024), ("memory", memory, 16 * 1024)) if gone > most}


def is_back(before: dict[str, int]) -> bool:
    """Whether no more memory is gone than what comes and goes."""
    return not lost(before)


@pytest.mark.quick
def test_the_driver_cannot_be_unloaded_while_it_is_needed() -> None:
    with partitions(SIZE) as (node,), filesystem("ext4", node):
        with hot_copy(node) as copy:
            fails("rmmod", MODULE)
            assert info(copy).state == "active"
            assert "submit_bio_noacct" in hooked()
        assert copies() == ()
        assert "submit_bio_noacct" not in hooked()  # without a hot copy it costs nothing
        run("rmmod", MODULE)


def hooked() -> str:
    """The functions that are traced now."""
    if not HOOK.exists():
        run("mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing")
        return Path("/sys/kernel/tracing/enabled_functions").read_text(encoding="ascii")
    return HOOK.read_text(encoding="ascii")


@pytest.mark.one_kernel
def test_a_device_that_does_not_answer_holds_up_nobody_else() -> None:
    """Removal waits for a copy of it; the driver answers meanwhile, and the store of another device may grow."""
    with (
        partitions(SIZE, SIZE) as (below, other),
        faulty(below) as device,
        filesystem("ext4", device.node, path="/run/stuck") as fs,
        filesystem("ext4", other),
    ):
        path = fs.path / "file"
        path.write_bytes(bytes(MIB))
        fs.sync()
        stuck, copy = take_bare(device.node, *ROOMY), take_bare(other, *ROOMY)

        def write() -> None:
            with Direct(str(path), os.O_RDWR) as file:
                file.write(0, b"x" * 4096)

        def end() -> None:
            remove_from_driver(stuck)

        with device.silent(), under_way(write, end):
            try:
                assert eventually(lambda: not os.path.exists(f"/sys/block/{os.path.basename(stuck)}"))
                assert succeeds(lambda: info(copy), 10)
            finally:
                device.resume()
        assert info(copy).state == "active"
        assert len(copies()) == 1
