# SPDX-License-Identifier: GPL-2.0-or-later
"""What broke in other snapshot drivers, where no other test has it: the table is in docs/reliability.md."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.driver.guest.disks import MIB, UNIT, Filesystem, file_ranges, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy
from tests.driver.guest.scene import changing, known, taken_with_truth
from tests.driver.guest.workload import KEEP_SIZE, PUNCH_HOLE, Changes, fallocate

KILLS = 10
PIECES = 1500  # more than the 1024 that were too many for others
SMALL = 48 * MIB


def write_until_killed(directory: Path, seed: int, source: random.Random) -> None:
    """A process that overwrites, past the page cache and through it, and dies in the middle of it."""
    change = Changes(directory, seed)
    child = os.fork()
    if child == 0:
        try:
            while True:
                change.overwrite_direct()
                change.overwrite_cached()
        finally:
            os._exit(1)
    time.sleep(source.random() / 5)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself: {status}"


@pytest.mark.two_kernels
def test_writers_killed_while_they_wait() -> None:
    """A write whose writer is gone is still one: the copy is made before it, and the hot copy stays exact."""
    source = random.Random(5)
    with changing() as (fs, change), known(fs) as (copy, truth):
        for number in range(KILLS):
            write_until_killed(change.directory, 100 + number, source)
        fs.sync()
        truth.check(copy, fs.store_ranges())


def crumble(fs: Filesystem) -> None:
    """All that is free becomes single blocks: a file takes everything, and gives every second one back."""
    with open(fs.path / "crumbs", "wb") as file:
        stat = os.statvfs(fs.path)
        blocks = stat.f_bavail - 256  # what the file's own map will take is left
        fallocate(file.fileno(), 0, 0, blocks * UNIT)
        os.fsync(file.fileno())
        for block in range(0, blocks - 1, 2):
            fallocate(file.fileno(), PUNCH_HOLE | KEEP_SIZE, block * UNIT, UNIT)
    fs.sync()


@pytest.mark.one_kernel
def test_a_store_in_thousands_of_pieces() -> None:
    with partitions(SMALL) as (node,), filesystem("ext4", node, "-b", str(UNIT)) as fs:
        change = Changes(fs.path / "a", 1, trims=False)
        change.directory.mkdir()
        change.create(MIB)
        change.create(MIB)
        crumble(fs)
        with hot_copy(node, "--store-size", "8M"):
            pieces = sum(len(file_ranges(fs.path / ".hotcopy" / name)) for name in fs.store_names())
            assert pieces > PIECES, f"the store has {pieces} pieces only"
            copy, truth = taken_with_truth(fs)
            for _ in range(20):
                change.overwrite_direct()
            fs.sync()
            truth.check(copy, fs.store_ranges())
