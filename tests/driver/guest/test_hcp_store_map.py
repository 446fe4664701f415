# SPDX-License-Identifier: GPL-2.0-or-later
"""What is called free is free: overwritten with garbage, no filesystem misses it. On the device itself, without a hot copy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotcopy import freespace
from hotcopy.devid import DevId
from hotcopy.fsmap import Range
from tests.driver.guest.commands import run
from tests.driver.guest.direct import Direct, size_of
from tests.driver.guest.disks import MIB, partitions
from tests.driver.guest.kinds import KINDS, Kind, variants
from tests.driver.guest.trees import Tree, sums

SIZE = 330 * MIB
PATH = Path("/run/origin")
GARBAGE = os.urandom(MIB)


def spoil(node: str, ranges: list[Range]) -> None:
    """Garbage where nobody should look."""
    with Direct(node, os.O_RDWR) as device:
        for item in ranges:
            for offset in range(item.start, item.start + item.length, MIB):
                device.write(offset, GARBAGE[: min(MIB, item.start + item.length - offset)])


def check(kind: Kind, node: str, before: dict[str, int]) -> None:
    """All is as it was."""
    kind.check_device(node)
    run("mount", "-t", kind.fstype, node, str(PATH))
    assert sums(PATH) == before
    run("umount", str(PATH))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", variants(*KINDS))
def test_garbage_in_free_blocks_harms_nobody(name: str) -> None:
    kind = KINDS[name]
    PATH.mkdir(exist_ok=True)
    with partitions(SIZE) as (node,):
        kind.make(node)
        run("mount", "-t", kind.fstype, node, str(PATH))
        tree = Tree(PATH)
        tree.fragment(200)
        before = sums(PATH)
        free = os.statvfs(PATH)
        run("umount", str(PATH))
        ranges = freespace.find(node, DevId.of(os.stat(node).st_rdev), size_of(node), kind.fstype, 60.0)
        total = sum(item.length for item in ranges)
        assert all(one.start + one.length < two.start for one, two in zip(ranges, ranges[1:]))
        assert all(item.start % 4096 == item.length % 4096 == 0 for item in ranges)
        # Half units are left out; and what XFS sets aside, a twentieth and more, does not count as free while mounted.
        assert 0.9 * free.f_bfree < total / free.f_frsize < (1.3 if kind.fstype == "xfs" else 1.01) * free.f_bfree
        assert len(ranges) > 10
        spoil(node, ranges)
        check(kind, node, before)
        run("mount", "-t", kind.fstype, node, str(PATH))
        tree.churn(60 * MIB)
        before = sums(PATH)
        run("umount", str(PATH))
        spoil(node, freespace.find(node, DevId.of(os.stat(node).st_rdev), size_of(node), kind.fstype, 60.0))
        check(kind, node, before)
