# SPDX-License-Identifier: GPL-2.0-or-later
"""A hot copy is the origin at the freeze in every byte, whatever happens to the origin afterwards."""

from __future__ import annotations

import mmap
import os
import random
from contextlib import ExitStack
from multiprocessing.sharedctypes import RawValue

import pytest

from tests.driver.guest.background import Beat, background
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, ODD, ROOMY, SIZE, file_ranges, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, info, take_bare
from tests.driver.guest.racing import reader
from tests.driver.guest.scene import changing, known, taken_with_truth
from tests.driver.guest.workload import BLKDISCARD, BLKZEROOUT, Changes, range_ioctl

ROUNDS = 40


@pytest.mark.parametrize(
    ("kind", "first", "mount"),
    [
        pytest.param("ext4", 2048, "defaults", marks=pytest.mark.quick, id="ext4"),
        pytest.param("xfs", 2048, "defaults", id="xfs"),
        pytest.param("ext4", ODD, "discard", id="ext4-odd-discard"),
        pytest.param("xfs", ODD, "discard", id="xfs-odd-discard"),
    ],
)
def test_exact_while_everything_changes(kind: str, first: int, mount: str) -> None:
    """Truth is what the device held while it was frozen; writers change it, readers race them, all is compared."""
    with partitions(SIZE, first=first) as (node,), filesystem(kind, node, mount=mount) as fs:
        changes = [Changes(fs.path / name, seed) for seed, name in enumerate("ab")]
        for change in changes:
            change.populate()
        # The store has room for all the rest of the device.
        with hot_copy(node, *ROOMY):
            for change in changes:
                change.every()
            copy, truth = taken_with_truth(fs)
            places = [part for path in sorted(fs.path.glob("?/file-*")) for part in file_ranges(path)]
            store = fs.store_ranges()
            readers = [reader(copy, truth, places, store, seed) for seed in range(2)]
            with background(*changes, *readers) as workers:
                for worker in workers[:2]:
                    worker.wait_rounds(ROUNDS)
            for change in changes:
                change.every()
            fs.sync()
            assert info(copy).state == "active"
            assert info(copy).preserved_bytes > 8 * MIB
            truth.check(copy, store)


def test_reads_at_the_moment_of_the_write() -> None:
    """Each round is a new hot copy, every block of which is read while it is written for the first time."""
    size, step = 8 * MIB, 64 << 10
    place = RawValue("Q", 0)
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs, ExitStack() as kept:
        path = fs.path / "file"
        path.write_bytes(bytes(size))
        fs.sync()
        offsets = [at for first, behind in file_ranges(path) for at in range(first, behind, step)]
        assert len(offsets) == size // step
        kept.enter_context(hot_copy(node, *ROOMY))
        for generation in range(4):
            copy = take_bare(node)

            def read(beat: Beat, copy: str = copy, generation: int = generation) -> None:
                source = random.Random(generation)
                with Direct(copy) as shown:
                    while beat():
                        skip = source.randrange(step // 512) * 512
                        found = shown.read(offsets[place.value] + skip, step - skip)
                        assert set(found) == {generation}, f"{set(found)} in {copy} of {generation}"

            with background(read, read), Direct(str(path), os.O_RDWR) as file:
                for number in range(len(offsets)):
                    place.value = number
                    file.write(number * step, bytes([generation + 1]) * step)
            assert info(copy).preserved_bytes >= size
        # Five hot copies, with one copy of what each write replaced.
        with Direct("/dev/hcp1") as first, Direct("/dev/hcp3") as third:
            for at in offsets:
                assert first.read(at, step) == bytes(step)
                assert third.read(at, step) == bytes([1]) * step


def test_writes_that_must_not_wait() -> None:
    """A write with RWF_NOWAIT is refused or done, and the hot copy is right either way."""
    size, step = 4 * MIB, 32 << 10
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes(size))
        fs.sync()
        place = file_ranges(path)[0][0]
        data = mmap.mmap(-1, step)
        data[:] = bytes([1]) * step
        with hot_copy(node) as copy, Direct(node, os.O_RDWR) as device, Direct(copy) as shown:
            for offset in range(place, place + size, step):
                try:
                    assert os.pwritev(device.fd, [data], offset, os.RWF_NOWAIT) == step
                except BlockingIOError:
                    assert device.read(offset, step) == bytes(step)
                    device.write(offset, bytes(data))
                assert shown.read(offset, step) == bytes(step)
                # The second time there is nothing to wait for.
                assert os.pwritev(device.fd, [data], offset, os.RWF_NOWAIT) == step
                assert device.read(offset, step) == bytes(data)
            assert info(copy).preserved_bytes >= size


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_operations_on_the_raw_device(kind: str) -> None:
    """Blocks of files are written, zeroed and discarded through the device node beneath the file system."""
    with changing(kind, first=ODD, seed=3) as (fs, change), known(fs) as (copy, truth):
        node = fs.node
        places = [part for path in sorted(fs.path.glob("a/file-*")) for part in file_ranges(path)]
        source = random.Random(4)
        with Direct(node, os.O_RDWR) as device, background(reader(copy, truth, places, (), 5)):
            for number in range(90):
                first, behind = source.choice(places)
                length = min(512 << source.randrange(12), behind - first)
                length = source.randrange(512, length + 1, 512)
                offset = first + source.randrange((behind - first - length) // 512 + 1) * 512
                if number % 3 == 0:
                    range_ioctl(node, BLKDISCARD, offset, length)
                elif number % 3 == 1:
                    range_ioctl(node, BLKZEROOUT, offset, length)
                else:
                    device.write(offset, change.data(length))
        with Direct(node) as device:  # the last of each kind has reached the device
            first, behind = places[0]
            range_ioctl(node, BLKZEROOUT, first, 8192)
            assert device.read(first, 8192) == bytes(8192)
        assert truth.part(places[0][0], 8192) != bytes(8192)
        assert info(copy).state == "active"
        truth.check(copy, fs.store_ranges())
