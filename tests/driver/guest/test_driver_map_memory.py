# SPDX-License-Identifier: GPL-2.0-or-later
"""The maps of a hot copy take little memory, however scattered the writes are, and next to none when they are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import MIB, OTHER_DISK, UNIT, filesystem, partitions
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import info, is_stored, remove
from tests.driver.guest.memory import quiet_memory

SIZE = 512 * MIB
WRITTEN = SIZE // 4
COPY = "/dev/hcp1"
SLABS = Path("/sys/kernel/slab")
NOISE = 128 << 10  # bytes of kernel memory that others take meanwhile: with joined writes 68 KiB were measured in all


@pytest.fixture(name="raw")
def fixture_raw() -> Iterator[str]:
    """A device with a hot copy, whose store is on another disk."""
    with partitions(SIZE) as (node,), filesystem("ext4", OTHER_DISK, path="/run/place") as place:
        run("wipefs", "-qa", node)
        hcp("--skip-mount", "--store-size", "600M", "-c", str(place.path), node)
        yield node
        remove(COPY)


def overwrite(node: str, *how: str) -> None:
    """A quarter of the device, no block twice."""
    job = (f"--filename={node}", f"--size={SIZE}", f"--io_size={WRITTEN}", "--direct=1", "--ioengine=libaio")
    run("fio", "--name=overwrite", *job, "--iodepth=16", "--randseed=1", *how, timeout=200)


def kernel_bytes() -> int:
    """What the kernel has allocated for itself, and cannot drop; without what its allocator keeps for later."""
    caches = list(SLABS.glob("*/shrink"))
    assert caches, "this kernel does not let its allocator be emptied"
    for cache in caches:
        cache.write_text("1", encoding="ascii")
    return quiet_memory()["SUnreclaim"] * 1024


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("how", "each"), [(("--rw=randwrite", "--bs=4k"), 32), (("--rw=write", "--bs=1m"), 1)], ids=["scattered", "joined"]
)
def test_memory_of_the_maps(raw: str, how: tuple[str, ...], each: int) -> None:
    before = kernel_bytes()
    overwrite(raw, *how)
    assert eventually(lambda: is_stored(COPY), 60)
    about = info(COPY)
    assert about.state == "active", about
    assert about.preserved_bytes >= WRITTEN, "each block was new"
    most = each * WRITTEN // UNIT + NOISE
    assert eventually(lambda: kernel_bytes() - before <= most, 20), (kernel_bytes() - before, most, about)
