# SPDX-License-Identifier: GPL-2.0-or-later
"""What the driver is told about stores and free blocks after a hot copy is made: all of it is checked."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Callable

import pytest

from hotcopy import abi, fiemap, store
from hotcopy.driver import Driver, Segment
from hotcopy.errors import DriverError
from hotcopy.fiemap import Extent
from tests.driver.guest.disks import MIB, Filesystem, filesystem, partitions
from tests.driver.guest.hotcopies import info, remove_all, take_as_users_do, take_bare

SIZE = 96 * MIB


@pytest.fixture(name="fs")
def fixture_fs() -> Iterator[Filesystem]:
    with partitions(SIZE) as (node,), filesystem("ext4", node) as made:
        yield made


def minor(node: str) -> int:
    """N of /dev/hcpN."""
    return int(node[len("/dev/hcp") :])


def number(call: Callable[[], object]) -> int:
    """The errno of a call that must fail."""
    with pytest.raises(DriverError) as caught:
        call()
    return caught.value.errno


def ranges(*pairs: tuple[int, int]) -> list[Extent]:
    """First byte and length of each."""
    return [Extent(first, first, length) for first, length in pairs]


def test_free_ranges_are_checked_and_told_once(fs: Filesystem) -> None:
    node = take_bare(fs.node)
    with Driver() as driver:
        for bad in (
            ranges((8 * MIB, MIB), (4 * MIB, MIB)),
            ranges((4 * MIB, 2 * MIB), (5 * MIB, MIB)),
            ranges((4 * MIB, 0)),
            ranges((SIZE - MIB, 2 * MIB)),
            ranges((1 << 62, 1 << 62)),
        ):
            assert number(lambda bad=bad: driver.set_free(minor(node), bad)) == errno.EINVAL  # type: ignore[misc]
            assert not info(node).free_known
        # Less than whole units at both ends.
        driver.set_free(minor(node), ranges((4 * MIB - 512, 8192 + 1024)))
        assert info(node).free_known
        assert info(node).free_bytes == 8192
        assert number(lambda: driver.set_free(minor(node), [])) == errno.EEXIST
        assert number(lambda: driver.set_free(200, [])) == errno.ENXIO


def test_what_was_free_reads_as_zeros_and_is_not_copied(fs: Filesystem) -> None:
    node = take_as_users_do(fs.node, "--skip-mount")
    assert info(node).free_known
    before = info(node).preserved_bytes
    path = fs.path / "new"
    path.write_bytes(os.urandom(8 * MIB))
    fs.sync()
    assert info(node).preserved_bytes - before < MIB
    fd = os.open(path, os.O_RDONLY)
    try:
        first = fiemap.extents_of(fd)[0]
    finally:
        os.close(fd)
    with open(node, "rb") as shown:
        shown.seek(first.physical)
        assert shown.read(first.length) == bytes(first.length)


def test_segments_are_checked(fs: Filesystem) -> None:
    fixed = take_bare(fs.node)
    with Driver() as driver:
        assert info(fixed).fixed_store
        (segment,) = driver.stores(minor(fixed))
        assert segment.size == info(fixed).store_bytes
        root, device = os.open(fs.path, os.O_RDONLY), os.open(fs.node, os.O_RDONLY)
        try:
            old = store.make(root, str(fs.path), MIB, "ext4")
            try:
                needed = Segment(old.file_fd, device, old.extents)
                assert number(lambda: driver.grow(minor(fixed), needed)) == errno.EPERM
                remove_all()
                node = take_as_users_do(fs.node, "--skip-mount")
                # Its blocks were in use when the hot copy was made: who knows what for.
                assert number(lambda: driver.grow(minor(node), needed)) == errno.ENOSPC
            finally:
                old.close()

            new = store.make(root, str(fs.path), MIB, "ext4")
            try:
                part = Segment(new.file_fd, device, new.extents)
                usable = driver.grow(minor(node), part)
                assert (
                    MIB - 16 * abi.UNIT_SIZE <= usable <= new.size
                )  # but for a block that an inode or a directory had
                assert info(node).growths == 1
                assert info(node).store_bytes == sum(piece.size for piece in driver.stores(minor(node)))
                assert number(lambda: driver.grow(minor(node), part)) == errno.EBUSY
                # The device itself, which is mounted.
                whole = Segment(device, device, [Extent(0, 0, SIZE)])
                assert number(lambda: driver.grow(minor(node), whole)) == errno.EINVAL
                assert number(lambda: driver.grow(200, part)) == errno.ENXIO
            finally:
                new.close()
        finally:
            os.close(root)
            os.close(device)


@pytest.mark.one_kernel
@pytest.mark.kernel_log(allow=r"hcp: hcp\d+ of \S+ ended: enough")
def test_ended_by_somebody(fs: Filesystem) -> None:
    node = take_bare(fs.node)
    with Driver() as driver:
        for state, reason in ((abi.State.ACTIVE, "enough"), (abi.State.FAILED, ""), (abi.State.FAILED, "two\nlines")):
            assert number(lambda s=state, r=reason: driver.end(minor(node), s, r)) == errno.EINVAL  # type: ignore[misc]
        assert info(node).state == "active"
        driver.end(minor(node), abi.State.OVERFLOW, "enough")
        assert (info(node).state, info(node).reason) == ("overflow", "enough")
        assert number(lambda: driver.end(minor(node), abi.State.FAILED, "more")) == errno.ESTALE
        # The next one of the device is another one.
        later = take_bare(fs.node)
        assert number(lambda: driver.end(minor(node), abi.State.FAILED, "more")) == errno.ESTALE
        assert info(later).state == "active"
        assert number(lambda: driver.end(200, abi.State.FAILED, "more")) == errno.ENXIO


@pytest.mark.one_kernel
def test_there_is_one_keeper(fs: Filesystem) -> None:
    node = take_as_users_do(fs.node, "--skip-mount")
    with Driver() as driver:
        told = driver.wait(0, 0)
        assert (told.hot_copies, told.keepers) == (1, 1)
        assert number(lambda: driver.wait(0, 0, keeper=True)) == errno.EBUSY
        assert driver.wait(told.seen, 0.05).seen == told.seen
        take_as_users_do(fs.node, "--skip-mount")
        later = driver.wait(told.seen, 30)
        assert later.seen > told.seen
        assert later.hot_copies == 2
    assert info(node).state == "active"


@pytest.mark.one_kernel
def test_what_is_asked_of_changes_is_checked(fs: Filesystem) -> None:
    older = take_bare(fs.node)
    newer = take_bare(fs.node)
    with Driver() as driver:
        list(driver.changed(minor(older)))
        list(driver.changed(minor(older), minor(newer)))
        for since, until in ((newer, older), (newer, newer)):
            asked = driver.changed(minor(since), minor(until))
            assert number(lambda a=asked: next(a)) == errno.EINVAL  # type: ignore[misc]
        assert number(lambda: next(driver.changed(200))) == errno.ENXIO
        assert number(lambda: next(driver.changed(minor(older), 200))) == errno.ENXIO
