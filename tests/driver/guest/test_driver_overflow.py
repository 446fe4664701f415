# SPDX-License-Identifier: GPL-2.0-or-later
"""When there is no room for old data the hot copy dies, and the origin does not notice."""

from __future__ import annotations

import errno
import functools
import json
import os
from pathlib import Path

import pytest

from tests.driver.guest.commands import eventually
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, SIZE, file_ranges, filesystem, partitions
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import hot_copy, info, is_stored, remove, take_bare
from tests.driver.guest.truth import Truth

pytestmark = pytest.mark.two_kernels


def overwrite(path: Path, value: int, size: int) -> None:
    """All of a file, in place."""
    with Direct(str(path), os.O_RDWR) as file:
        for offset in range(0, size, MIB):
            file.write(offset, bytes([value]) * MIB)


@pytest.mark.parametrize(
    "kind", [pytest.param("ext4", marks=pytest.mark.quick), pytest.param("xfs", marks=pytest.mark.one_kernel)]
)
@pytest.mark.kernel_log(allow=r"I/O error, dev hcp\d|Buffer I/O error on dev hcp\d")
def test_full_store_ends_the_hot_copy_only(kind: str) -> None:
    size = 16 * MIB
    with partitions(SIZE) as (node,), filesystem(kind, node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes([1]) * size)
        fs.sync()
        place = file_ranges(path)[0][0]
        dead = take_bare(node, "--store-size", "8M")
        with Direct(dead) as open_before:
            assert open_before.read(place, 4096) == bytes([1]) * 4096
            overwrite(path, 2, size)
            assert info(dead).state == "overflow"
            assert info(dead).reason
            with pytest.raises(OSError) as caught:
                open_before.read(place, 4096)
            assert caught.value.errno == errno.EIO
        with Direct(dead, os.O_RDWR) as device, pytest.raises(OSError) as caught:
            device.write(place, bytes(4096))
        assert caught.value.errno == errno.EIO
        assert "overflow" in hcp("-l")
        listed = json.loads(hcp("-l", "--json"))["hot_copies"]
        assert [(copy["state"], bool(copy["reason"])) for copy in listed] == [("overflow", True)]

        # The dead one is no burden: nothing is copied any more.
        used = info(dead).store_used_bytes
        overwrite(path, 3, size)
        assert info(dead).store_used_bytes <= used
        assert path.read_bytes() == bytes([3]) * size

        # A new one works while the dead one is there, and after it is gone.
        with hot_copy(node) as second:
            overwrite_some(path, 4)
            assert info(second).state == "active"
            with Direct(second) as device:
                assert device.read(place, 4096) == bytes([3]) * 4096
            assert info(dead).state == "overflow"
            remove(dead)
            with Direct(second) as device:
                assert device.read(place, 4096) == bytes([3]) * 4096
            with fs.frozen():
                truth = Truth.of(node)
                third = take_bare(node)
            overwrite_some(path, 5)
            truth.check(third, fs.store_ranges())
            remove(third)
        assert fs.store_names() == []
        with hot_copy(node) as last:
            overwrite_some(path, 6)
            assert info(last).state == "active"


def overwrite_some(path: Path, value: int) -> None:
    """The first MiB of a file."""
    overwrite(path, value, MIB)


def write_much(device: Direct, start: int) -> None:
    """More than the store has room for."""
    for offset in range(start, start + 12 * MIB, MIB):
        device.write(offset, bytes([7]) * MIB)


@pytest.mark.kernel_log(allow=r"I/O error, dev hcp\d|critical space allocation error, dev hcp\d")
def test_writes_to_a_hot_copy_without_room_fail_alone() -> None:
    """They fail, the hot copy lives; it is the origin's next change that it cannot survive."""
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        path = fs.path / "file"
        path.write_bytes(bytes([1]) * MIB)
        fs.sync()
        place = file_ranges(path)[0][0]
        copy = take_bare(node, "--store-size", "8M")
        # Frozen: any change of the file system's own would be the one too many.
        with fs.frozen(), Direct(copy, os.O_RDWR) as device:
            # Nor may an earlier change still be on its way to the store: it would find none.
            assert eventually(functools.partial(is_stored, copy))
            with pytest.raises(OSError) as caught:
                write_much(device, SIZE // 2)
            assert caught.value.errno == errno.ENOSPC
            assert info(copy).state == "active"
            assert device.read(SIZE // 2, MIB) == bytes([7]) * MIB
            assert device.read(place, MIB) == bytes([1]) * MIB
            device.write(SIZE // 2, bytes([8]) * MIB)  # in place, that needs no room
            assert device.read(SIZE // 2, MIB) == bytes([8]) * MIB
        overwrite(path, 2, MIB)
        assert info(copy).state == "overflow"
        assert path.read_bytes() == bytes([2]) * MIB
