# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of device as the origin: a mounted filesystem with a writer, an exact hot copy, a clean end."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import run
from tests.driver.guest.devices import (
    SPARE,
    block_size,
    encrypted,
    nvme_disk,
    raid,
    scsi_disk,
    thin_volume,
)
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import DISK, MIB, filesystem, loop, partitions
from tests.driver.guest.hotcopies import copies, hot_copy, info, remove, take, take_bare
from tests.driver.guest.records import Writer
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes, trim

pytestmark = pytest.mark.two_kernels

SMALL = 60 * MIB
HEADER = 16 * MIB  # of LUKS


@contextlib.contextmanager
def striped(level: int, *sizes: int) -> Iterator[str]:
    """A RAID of partitions of one disk."""
    with partitions(*sizes) as members, raid(level, *members) as node:
        yield node


@contextlib.contextmanager
def luks() -> Iterator[str]:
    """An encrypted partition."""
    with partitions(SMALL + HEADER) as (node,), encrypted(node) as opened:
        yield opened


KINDS: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "raid0": lambda: striped(0, SMALL // 2, SMALL // 2),
    "raid5": lambda: striped(5, *(SMALL // 2,) * 3),
    "crypt": luks,
    "thin": lambda: thin_volume(DISK, SMALL),
    "loop": lambda: loop(Path("/run/origin.img"), SMALL),
    "nvme": lambda: contextlib.nullcontext(nvme_disk()),
    "virtio": lambda: contextlib.nullcontext(SPARE),
    "scsi": lambda: scsi_disk(SMALL),
    "scsi4096": lambda: scsi_disk(SMALL, "sector_size=4096"),
}


@pytest.mark.parametrize(
    ("kind", "fstype"),
    [
        ("raid0", "ext4"),
        ("raid5", "xfs"),
        ("crypt", "ext4"),
        ("thin", "xfs"),
        ("loop", "xfs"),
        ("nvme", "ext4"),
        ("virtio", "xfs"),
        ("scsi", "ext4"),
        ("scsi4096", "xfs"),
    ],
)
def test_exact(kind: str, fstype: str) -> None:
    with KINDS[kind]() as node, filesystem(fstype, node) as fs:
        change = Changes(fs.path / "a", 1, trims=can_trim(fs.path), block=block_size(node))
        change.populate()
        with hot_copy(node, "--store-size", "16M"):
            with fs.frozen():
                truth = Truth.of(node)
                copy = take_bare(node)
            with background(change) as (worker,):
                worker.wait_rounds(10)
            change.every()
            fs.sync()
            assert info(copy).state == "active"
            assert info(copy).preserved_bytes > MIB
            truth.check(copy, fs.store_ranges())
            write_somewhere(copy, change)
            remove(copy)
        assert copies() == ()
        assert fs.store_names() == []


def can_trim(path: Path) -> bool:
    """Whether the device beneath knows discards; its limits in sysfs do not always tell."""
    try:
        trim(path)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return False
        raise
    return True


def write_somewhere(copy: str, change: Changes) -> None:
    """A hot copy takes writes of its own, as small as its device has blocks."""
    with Direct(copy, os.O_RDWR) as device:
        for offset, length in ((SMALL // 3 // 4096 * 4096, 100 << 10), (4096, block_size(copy))):
            data = change.data(length)
            device.write(offset, data)
            assert device.read(offset, length) == data


@pytest.mark.one_kernel
def test_a_device_of_large_blocks_takes_no_smaller_ones() -> None:
    """The hot copy has its origin's block size, or a filesystem on it would not be mounted the same way."""
    with scsi_disk(SMALL, "sector_size=4096") as node, filesystem("ext4", node), hot_copy(node) as copy:
        assert block_size(copy) == block_size(node) == 4096
        with Direct(copy, os.O_RDWR) as device:
            for offset, length in ((512, 4096), (0, 512)):
                with pytest.raises(OSError, match="Invalid argument"):
                    device.read(offset, length)
                with pytest.raises(OSError, match="Invalid argument"):
                    device.write(offset, bytes(length))
            assert len(device.read(4096, 8192)) == 8192


def test_root_filesystem() -> None:
    """The machine runs from it while it is frozen; its hot copy has what was acknowledged, and is sound."""
    root = run("findmnt", "-n", "-o", "SOURCE", "/").strip()
    place, shown = Path("/origin-test"), Path("/run/copy-of-root")
    place.mkdir()
    try:
        writer = Writer(place / "records", 4096, direct=True)
        with background(writer) as (worker,):
            worker.wait_rounds(100)
            copy = take(root, "--store-size", "32M", "-o", "-m", str(shown))
            worker.wait_rounds(100)
            writer.check(shown / "origin-test/records", info(copy).created_ns)
        run("cmp", "/usr/bin/python3", str(shown / "usr/bin/python3"))
        run("umount", str(shown))
        run("e2fsck", "-fn", copy, timeout=100)
        run("hcp", "-r", copy)
    finally:
        run("rm", "-r", str(place))
    assert copies() == ()
    assert not Path("/.hotcopy").exists()
