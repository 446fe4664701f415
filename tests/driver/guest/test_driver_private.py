# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes to a hot copy are its own; those to the origin are the origin's."""

from __future__ import annotations

import os
import random
from typing import Callable

import pytest

from tests.driver.guest.background import Beat, background
from tests.driver.guest.commands import run
from tests.driver.guest.direct import Direct, size_of
from tests.driver.guest.disks import MIB, ODD, ROOMY, SIZE, check_filesystem, file_ranges, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, info, take_bare
from tests.driver.guest.scene import changing
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import BLKZEROOUT, Changes, noise, range_ioctl

AREA = 256 << 10
STRIPE = 3 * 512  # each writer's own sectors, so that neighbours share units


@pytest.mark.parametrize("kind", [pytest.param("ext4", marks=pytest.mark.quick), "xfs"])
def test_neither_sees_the_writes_of_the_other(kind: str) -> None:
    with changing(kind) as (fs, change):
        node = fs.node
        with hot_copy(node, *ROOMY):
            with fs.frozen():
                truth = Truth.of(node)
                copy, other = take_bare(node), take_bare(node)
            run("mkdir", "-p", "/run/copy")
            run("mount", "-t", kind, *(["-o", "nouuid"] if kind == "xfs" else []), copy, "/run/copy")
            inside = Changes(fs.path.parent / "copy" / "a", 2, trims=False)
            with background(inside) as (worker,):
                worker.wait_rounds(20)
            run("umount", "/run/copy")
            assert info(copy).private_bytes > MIB
            with fs.frozen():
                truth_with_store = fs.store_ranges()
                now = Truth.of(node, truth.behind)
            truth.check(other, truth_with_store)
            # The origin's own files are as they were: the writes above went elsewhere.
            for path in sorted(fs.path.glob("a/file-*")):
                for first, behind in file_ranges(path):
                    assert now.part(first, min(MIB, behind - first)) == truth.part(first, min(MIB, behind - first)), (
                        path
                    )
            with Direct(copy) as shown:
                private = [shown.read(at, MIB) for at in range(0, size_of(copy), 8 * MIB)]
            change.every()
            fs.sync()
            with Direct(copy) as shown:
                assert private == [shown.read(at, MIB) for at in range(0, size_of(copy), 8 * MIB)]
            check_filesystem(kind, copy)
            truth.check(other, truth_with_store)


def sector_writer(node: str, lane: int, lanes: int, area: int, seed: int) -> Callable[[Beat], None]:
    """Writes single sectors and a few of a lane that is its own; what it wrote last is in the sector itself."""

    def task(beat: Beat) -> None:
        source = random.Random(seed)
        with Direct(node, os.O_RDWR) as device:
            held: dict[int, bytes] = {}
            while beat():
                stripe = source.randrange(area // (STRIPE * lanes))
                offset = (stripe * lanes + lane) * STRIPE + source.randrange(3) * 512
                data = noise(source, 512)
                device.write(offset, data)
                held[offset] = data
                at = source.choice(sorted(held))
                assert device.read(at, 512) == held[at], f"sector at {at} of {node}"
            for at, data in held.items():
                assert device.read(at, 512) == data, f"sector at {at} of {node}"

    return task


@pytest.mark.parametrize("first", [2048, ODD])
def test_single_sectors_written_side_by_side(first: int) -> None:
    """Several writers share every 4 KiB unit of the hot copy, while its origin is being changed."""
    with changing(first=first) as (fs, change), hot_copy(fs.node, *ROOMY) as copy:
        writers = [sector_writer(copy, lane, 4, AREA, lane) for lane in range(4)]
        with background(change, *writers) as workers:
            for worker in workers[1:]:
                worker.wait_rounds(60)
        assert info(copy).private_bytes <= AREA + 4096


def test_a_model_of_every_write() -> None:
    """Writes of any sector length at any sector over one another, direct and cached, against a model in memory."""
    area = 2 * MIB
    with changing() as (fs, change), hot_copy(fs.node, *ROOMY) as copy, background(change):
        source = random.Random(1)
        pool = noise(source, area)
        with Direct(copy, os.O_RDWR) as device:
            model = bytearray(device.read(0, MIB) + device.read(MIB, MIB))
            for number in range(250):
                length = source.randrange(512, 200_000, 512) if number % 3 else 512
                at = source.randrange(0, area - length, 512)
                begin = source.randrange(area - length)
                data = pool[begin : begin + length]
                if number % 5 == 0:
                    with open(copy, "r+b") as cached:
                        cached.seek(at + 1)
                        cached.write(data[1:])
                        cached.flush()
                        os.fsync(cached.fileno())
                    model[at + 1 : at + length] = data[1:]
                else:
                    device.write(at, data)
                    model[at : at + length] = data
                if number % 10 == 0:
                    assert device.read(0, MIB) + device.read(MIB, MIB) == model
            assert device.read(0, MIB) + device.read(MIB, MIB) == model


def test_a_file_system_of_1_kib_blocks_in_a_hot_copy() -> None:
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        (fs.path / "file").write_bytes(b"origin" * 1000)
        with hot_copy(node, *ROOMY) as copy:
            run("mkfs.ext4", "-q", "-F", "-b", "1024", copy, "32M")
            run("mkdir", "-p", "/run/copy")
            run("mount", copy, "/run/copy")
            inside = Changes(fs.path.parent / "copy" / "a", 2, trims=False)
            inside.populate()
            inside.every()
            (inside.directory / "known").write_bytes(inside.pool)
            run("umount", "/run/copy")
            check_filesystem("ext4", copy)
            run("mount", copy, "/run/copy")
            assert (inside.directory / "known").read_bytes() == inside.pool
            run("umount", "/run/copy")
        assert (fs.path / "file").read_bytes() == b"origin" * 1000


def test_a_read_only_hot_copy_takes_no_writes() -> None:
    with partitions(SIZE) as (node,), filesystem("ext4", node), hot_copy(node, "-o") as copy:
        assert info(copy).read_only
        fd = os.open(copy, os.O_RDWR)  # the kernel lets it be opened
        try:
            with pytest.raises(PermissionError):
                os.pwrite(fd, bytes(4096), 0)
            with pytest.raises(OSError):
                range_ioctl(copy, BLKZEROOUT, 0, 4096)
        finally:
            os.close(fd)
