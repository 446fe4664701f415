# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp --changed: exactly what was written, free blocks included, and enough for an incremental backup."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import run
from tests.driver.guest.direct import LARGEST, Direct
from tests.driver.guest.disks import DISK, MIB, ODD, OTHER_DISK, UNIT, file_ranges, filesystem, partitions
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import attempt, copies, remove, remove_all
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import BLKZEROOUT, Changes, range_ioctl

pytestmark = pytest.mark.two_kernels

SIZE = 80 * MIB + 512  # the last unit is not whole

Pairs = list[tuple[int, int]]


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[str, ...]]:
    with partitions(80 * MIB, SIZE, first=ODD) as nodes:
        yield nodes


def changed(*words: str) -> Pairs:
    """Offset and length, as hcp prints them."""
    return [(int(offset), int(length)) for offset, length in map(str.split, hcp("--changed", *words).splitlines())]


def of_json(*words: str) -> Pairs:
    document = json.loads(hcp("--changed", *words, "--json"))
    assert (document["format"], document["unit_bytes"], document["size_bytes"]) == (1, UNIT, SIZE)
    return [(extent["offset"], extent["length"]) for extent in document["extents"]]


def of_bitmap(*words: str) -> Pairs:
    """The same from the bitmap, which goes through a pipe of the installed command."""
    bits = Path("/run/bits")
    run("sh", "-c", f"hcp --changed {' '.join(words)} --bitmap | cat >{bits}")
    data = bits.read_bytes()
    assert len(data) == (-(-SIZE // UNIT) + 7) // 8
    return joined(unit * UNIT for unit in range(8 * len(data)) if data[unit // 8] >> unit % 8 & 1)


def joined(offsets: Iterator[int]) -> Pairs:
    """Extents of these units."""
    found: Pairs = []
    for offset in offsets:
        length = min(UNIT, SIZE - offset)
        if found and sum(found[-1]) == offset:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((offset, length))
    return found


@pytest.mark.quick
def test_known_writes_to_a_raw_device(disk: tuple[str, ...]) -> None:
    """Of every kind and at every border, by the device and by the whole disk."""
    place, raw = disk
    start = int(Path(f"/sys/class/block/{os.path.basename(raw)}/start").read_text()) * 512
    run("wipefs", "-qa", raw)
    with filesystem("ext4", place, path="/run/place") as fs:
        hcp("-c", str(fs.path), raw)
        assert of_json(raw) == []
        with Direct(raw, os.O_RDWR) as device:
            device.write(0, bytes(512))
            device.write(5 * UNIT, bytes(3 * UNIT))
            device.write(9 * UNIT - 512, bytes(1024))
            device.write(5 * UNIT, bytes(UNIT))
            device.write(SIZE - 512, bytes(512))
        with Direct(DISK, os.O_RDWR) as whole:
            whole.write(start + 100 * UNIT, bytes(MIB))
        range_ioctl(raw, BLKZEROOUT, 20 * MIB, MIB)
        expected = [
            (0, UNIT),
            (5 * UNIT, 5 * UNIT),
            (100 * UNIT, MIB),
            (20 * MIB, MIB),
            (80 * MIB, 512),
        ]
        assert changed(raw) == expected
        assert of_json(raw) == expected
        assert of_bitmap(raw) == expected
        hcp("-c", str(fs.path), raw)
        assert changed(raw) == []
        with Direct(raw, os.O_RDWR) as device:
            device.write(5 * UNIT, bytes(UNIT))
            device.write(40 * MIB, bytes(UNIT))
        assert changed(raw) == [(5 * UNIT, UNIT), (40 * MIB, UNIT)]
        assert changed(raw, "--since", "hcp1", "--until", "hcp2") == expected
        with Direct("/dev/hcp1", os.O_RDWR) as private:
            private.write(50 * MIB, bytes(UNIT))
        remove("/dev/hcp2")
        assert changed(raw) == sorted([*expected, (40 * MIB, UNIT)])
        status, text = attempt("--changed", place)
        assert status == 1 and "has no hot copy" in text, text


@pytest.mark.one_kernel
def test_new_files_in_blocks_that_were_free(disk: tuple[str, ...]) -> None:
    with filesystem("ext4", disk[1]) as fs:
        (fs.path / "old").write_bytes(b"old" * MIB)
        fs.sync()
        hcp("--skip-mount", fs.node)
        (fs.path / "new").write_bytes(b"new" * MIB)
        fs.sync()
        found = changed(fs.node)
        units = {offset // UNIT for start, length in found for offset in range(start, start + length, UNIT)}
        new = [unit for first, behind in file_ranges(fs.path / "new") for unit in range(first // UNIT, behind // UNIT)]
        old = [unit for first, behind in file_ranges(fs.path / "old") for unit in range(first // UNIT, behind // UNIT)]
        assert set(new) <= units
        assert not set(old) & units
        assert len(units) < len(new) + 600, "little but the file"


@contextlib.contextmanager
def shown(node: str, path: str) -> Iterator[Path]:
    """A filesystem as it is, its journal left alone."""
    where = Path(path)
    where.mkdir(exist_ok=True)
    run("mount", "-t", "ext4", "-o", "ro,noload", node, path)
    try:
        yield where
    finally:
        run("umount", path)


def contents(top: Path) -> dict[str, str]:
    """Every file, and what is in it."""
    return {
        str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in top.rglob("*")
    }


def apply(extents: Pairs, copy: str, image: Truth) -> None:
    """What an incremental backup carries over."""
    with Direct(copy) as source, Direct(OTHER_DISK, os.O_RDWR) as target:
        for start, length in extents:
            for offset in range(start, start + length, LARGEST):
                part = min(LARGEST, start + length - offset)
                target.write(image.start + offset, source.read(offset, part))


@pytest.mark.kernel_independent
def test_an_incremental_backup_is_the_later_hot_copy(disk: tuple[str, ...]) -> None:
    """An image of the first hot copy, and then only what changed, has the files of the second; and so on.

    Not its bytes: blocks that were free read as zeros, and a file may own blocks that nobody ever wrote.
    """
    with filesystem("ext4", disk[1]) as fs:
        change = Changes(fs.path / "a", 1)
        change.populate()
        hcp("--skip-mount", "--store-size", "40M", fs.node)
        image = Truth.of("/dev/hcp1")
        with background(change) as (worker,):
            for number in (2, 3):
                worker.wait_rounds(8)
                hcp("--skip-mount", fs.node)
                found = changed(fs.node, "--since", f"hcp{number - 1}", "--until", f"hcp{number}")
                assert 0 < sum(length for _, length in found) < SIZE
                apply(found, f"/dev/hcp{number}", image)
        assert {copy.state for copy in copies()} == {"active"}
        run("modprobe", "loop")
        node = run("losetup", "-f", "--show", "-o", str(image.start), "--sizelimit", str(SIZE), OTHER_DISK).strip()
        try:
            run("e2fsck", "-fn", node)
            with shown(node, "/run/image") as restored, shown("/dev/hcp3", "/run/copy") as copy:
                files = contents(copy)
                assert len(files) > 5
                assert contents(restored) == files
        finally:
            run("losetup", "-d", node)
        remove_all()
