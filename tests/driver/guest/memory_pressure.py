# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of tests/driver/test_memory_pressure.py in the guest: more writes than memory, and hot copies all along."""

from __future__ import annotations

import contextlib
import mmap
import subprocess
from collections.abc import Iterator

from tests.driver.guest.background import background
from tests.driver.guest.disks import MIB, Filesystem, filesystem, partitions
from tests.driver.guest.hcp import patient
from tests.driver.guest.hotcopies import copies, info, remove, take_bare
from tests.driver.guest.memory import quiet_memory
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes

ORIGIN = 512 * MIB
STORE = ("--store-size", "200M")
# Of the memory, for the page cache, the keeper and its worker (some 40 MiB, locked), and all else: with 144 MiB and no
# swap, the kernel finds nothing but dirty pages when the host is slow, and kills whoever has most.
LEFT = 192 * MIB
PATIENCE = (
    300.0  # seconds for hcp: it shares what memory there is with 60 MiB of dirty pages, on hosts three times slower
)


@contextlib.contextmanager
def hog() -> Iterator[None]:
    """Most of the memory belongs to somebody who uses it."""
    size = quiet_memory()["MemAvailable"] * 1024 - LEFT
    memory = mmap.mmap(-1, size)
    memory.madvise(mmap.MADV_DONTFORK)  # the keeper, forked from here, would lock it
    for offset in range(0, size, mmap.PAGESIZE):
        memory[offset] = 1
    yield
    memory.close()


@contextlib.contextmanager
def writing(fs: Filesystem) -> Iterator[None]:
    """Cached writes of three processes, as fast as they can."""
    job = (
        *("fio", "--name=load", f"--directory={fs.path}", "--rw=randwrite", "--bs=64k", "--size=20m"),
        *("--numjobs=3", "--time_based", "--runtime=1d", "--fallocate=none", "--ioengine=psync", "--end_fsync=0"),
    )
    with subprocess.Popen(job, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            assert process.poll() is None, "fio ended early"
        finally:
            process.terminate()


def main() -> None:
    """Hot copies come and go; the last one is compared."""
    with partitions(ORIGIN) as (node,), filesystem("xfs", node) as fs:
        change = Changes(fs.path / "a", 1)
        change.populate()
        with hog(), writing(fs), background(change) as (worker,):
            taken = [take_bare(node, *STORE), take_bare(node)]
            worker.wait_rounds(2)
            for copy in taken:
                assert info(copy).state == "active", info(copy)
                remove(copy)
        with hog():
            keeper = take_bare(node, *STORE)
            with fs.frozen():
                truth = Truth.of(node)
                copy = take_bare(node)
            with writing(fs), background(change) as (worker,):
                worker.wait_rounds(4)
            assert info(copy).state == "active", info(copy)
            truth.check(copy, fs.store_ranges())
            remove(keeper)
            remove(copy)
        assert copies() == ()


if __name__ == "__main__":
    with patient(PATIENCE):
        main()
