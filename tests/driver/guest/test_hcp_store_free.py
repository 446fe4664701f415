# SPDX-License-Identifier: GPL-2.0-or-later
"""Free blocks: new files cost a hot copy nothing, and no block that it needs is ever taken for free."""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from tests.driver.guest.commands import run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import DISK, MIB, file_ranges, partitions
from tests.driver.guest.hotcopies import info
from tests.driver.guest.keepers import hot_copy, take_bare
from tests.driver.guest.kinds import KINDS, variants
from tests.driver.guest.trees import Tree, content, sums

SIZE = 400 * MIB
FILE = 100 * MIB


def write_file(path: str, size: int) -> None:
    """A new file, on the disk when this returns."""
    source = random.Random(size)
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(content(source, MIB))
        os.fsync(file.fileno())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", variants(*KINDS))
def test_a_new_file_costs_next_to_nothing(kind: str) -> None:
    with partitions(SIZE) as (node,), KINDS[kind].mounted(node) as fs:
        Tree(fs.path).fragment(60)
        with hot_copy(node) as copy:
            known = info(copy)
            assert known.free_known
            assert known.free_bytes > 0.9 * os.statvfs(fs.path).f_bavail * os.statvfs(fs.path).f_frsize - 40 * MIB
            write_file(str(fs.path / "new"), FILE)
            after = info(copy)
            assert after.state == "active"
            # Metadata: bitmaps, the table of inodes, the journal, which is not free; and the two tables of vfat.
            assert after.preserved_bytes < 20 * MIB, after
            assert after.preserved_bytes < FILE


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", variants(*KINDS))
def test_nothing_that_is_needed_is_lost(kind: str) -> None:
    """Fragmented before, overwritten heavily after: the hot copy is sound, and every file is as it was."""
    with partitions(SIZE) as (node,), KINDS[kind].mounted(node) as fs:
        tree = Tree(fs.path)
        tree.fragment(300)
        before = sums(fs.path)
        assert len(before) > 150
        copy = take_bare(node)
        tree.churn(80 * MIB)
        if kind in ("ext4", "xfs"):  # the others once only: it takes half of the time
            check_copy(kind, copy, before)
        tree.churn(20 * MIB)
        check_copy(kind, copy, before)


def check_copy(kind: str, copy: str, before: dict[str, int]) -> None:
    """The filesystem in it is sound and has these files."""
    about = info(copy)
    assert about.state == "active", about
    assert about.free_known
    with KINDS[kind].copy_mounted(copy) as top:
        assert sums(top) == before
    KINDS[kind].check_copy(copy)


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["ext4", "xfs-rmapbt"])
def test_open_files_that_were_deleted_are_not_free(kind: str) -> None:
    """They are on the list of orphans when the hot copy is made: their blocks belong to it until it cleans up."""
    with partitions(SIZE) as (node,), KINDS[kind].mounted(node) as fs:
        path = fs.path / "deleted"
        path.write_bytes(bytes([5]) * 30 * MIB)
        fs.sync()
        ranges = file_ranges(path)
        with open(path, "rb"):
            path.unlink()
            fs.sync()
            copy = take_bare(node)
        about = info(copy)
        assert about.free_known
        free = os.statvfs(fs.path)
        write_file(str(fs.path / "new"), int(free.f_bavail * free.f_frsize * 0.6))
        with Direct(copy) as device:
            for start, behind in ranges:
                for offset in range(start, behind, MIB):
                    length = min(MIB, behind - offset)
                    assert device.read(offset, length) == bytes([5]) * length, offset
        assert info(copy).state == "active"


@pytest.mark.one_kernel
def test_a_damaged_filesystem_has_no_free_blocks() -> None:
    """One that says that it has errors is not believed."""
    with partitions(SIZE) as (node,), KINDS["ext4"].mounted(node) as fs:
        run("umount", str(fs.path))
        run("debugfs", "-w", "-R", "ssv state 2", node)
        run("mount", node, str(fs.path))
        with hot_copy(node) as copy:
            assert not info(copy).free_known
        run("umount", str(fs.path))
        subprocess.run(("e2fsck", "-fy", node), check=False, stdout=subprocess.DEVNULL)
        run("mount", node, str(fs.path))


@pytest.mark.one_kernel
def test_nothing_of_it_is_left() -> None:
    """No mount, no process, no read-only device."""
    with partitions(SIZE) as (node,), KINDS["ext4"].mounted(node), hot_copy(node) as copy:
        assert info(copy).free_known
        assert run("blockdev", "--getro", copy).strip() == "0"
        assert not info(copy).is_open
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/mountinfo") as file:
                        assert os.path.basename(copy) not in file.read()
                except OSError:
                    continue
    with partitions(SIZE) as (node,), KINDS["ext4"].mounted(node), hot_copy(node, "--read-only") as copy:
        assert info(copy).free_known
        assert run("blockdev", "--getro", copy).strip() == "1"


@pytest.mark.one_kernel
@pytest.mark.timeout(300)
def test_a_filesystem_smaller_than_its_device() -> None:
    """What lies behind it is not known to be free."""
    with partitions(SIZE) as (node,):
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", node, "200M")
        os.makedirs("/run/origin", exist_ok=True)
        run("mount", node, "/run/origin")
        try:
            with hot_copy(node) as copy:
                about = info(copy)
                assert about.free_known
                assert about.free_bytes < 200 * MIB
        finally:
            run("umount", "/run/origin")
    assert DISK
