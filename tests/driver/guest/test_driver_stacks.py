# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins that are no plain partition: whole disk, loop, LVM, device mapper, RAID."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.disks import DISK, MIB, filesystem, logical_volume, loop, mapped, partitions, raid1
from tests.driver.guest.hotcopies import hot_copy, take_bare, take_from_driver
from tests.driver.guest.scene import known
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes

pytestmark = pytest.mark.two_kernels

SMALL = 80 * MIB


@contextlib.contextmanager
def device(kind: str) -> Iterator[str]:
    """A device of this kind."""
    with contextlib.ExitStack() as stack:
        if kind == "lvm":
            yield stack.enter_context(logical_volume(DISK, SMALL))
        elif kind == "loop":
            yield stack.enter_context(loop(Path("/run/origin.img"), SMALL))
        elif kind == "linear":
            (one, two) = stack.enter_context(partitions(SMALL, SMALL))
            half = SMALL // 1024 + 1
            yield stack.enter_context(mapped(f"0 {half} linear {one} 8\n{half} {half} linear {two} 3\n"))
        else:
            yield stack.enter_context(raid1(*stack.enter_context(partitions(SMALL, SMALL))))


@pytest.mark.parametrize("kind", ["lvm", "loop", "linear", "raid1"])
def test_exact(kind: str) -> None:
    with device(kind) as node, filesystem("ext4", node) as fs:
        change = Changes(fs.path / "a", 1, trims=kind not in ("raid1", "loop"))
        change.populate()
        with known(fs, "--store-size", "32M") as (copy, truth):
            with background(change) as (worker,):
                worker.wait_rounds(25)
                truth.check(copy, fs.store_ranges())
            change.every()
            fs.sync()
            truth.check(copy, fs.store_ranges())


def test_loop_on_the_origin_of_another_hot_copy() -> None:
    """A file of one origin is the device of the other: both have hot copies."""
    with (
        partitions(160 * MIB) as (node,),
        filesystem("ext4", node, path="/run/outer") as outer,
        loop(outer.path / "image", SMALL) as inner_node,
        filesystem("ext4", inner_node, path="/run/inner") as inner,
    ):
        change = Changes(inner.path / "a", 1, trims=False)
        change.populate()
        with hot_copy(node, "--store-size", "60M"), hot_copy(inner_node, "--store-size", "32M"):
            with inner.frozen():
                truth = Truth.of(inner_node)
                copy = take_bare(inner_node)
                outer_copy = take_bare(node)
            with outer.frozen():
                outer_truth = Truth.of(node, truth.behind)
                # Not by hcp, which writes back the inner one, too: that waits for the outer one's thaw.
                second = take_from_driver(node, str(outer.path))
            with background(change) as (worker,):
                worker.wait_rounds(20)
            truth.check(copy, inner.store_ranges())
            outer_truth.check(second, outer.store_ranges())
            assert outer_copy != second
