# SPDX-License-Identifier: GPL-2.0-or-later
"""What most tests of the driver begin with: a filesystem with files to change, a hot copy, and what that must show."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.driver.guest.disks import ROOMY, SIZE, Filesystem, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, take_bare
from tests.driver.guest.truth import Truth
from tests.driver.guest.workload import Changes


@contextlib.contextmanager
def changing(kind: str = "ext4", *, first: int = 2048, seed: int = 1) -> Iterator[tuple[Filesystem, Changes]]:
    """A filesystem on a partition that begins with this sector, and changes for its files."""
    with partitions(SIZE, first=first) as (node,), filesystem(kind, node) as fs:
        change = Changes(fs.path / "a", seed)
        change.populate()
        yield fs, change


def taken_with_truth(fs: Filesystem) -> tuple[str, Truth]:
    """A further hot copy and all that it must show."""
    with fs.frozen():
        truth = Truth.of(fs.node)
        return take_bare(fs.node), truth


@contextlib.contextmanager
def known(fs: Filesystem, *words: str) -> Iterator[tuple[str, Truth]]:
    """A hot copy and all that it must show; the store was there before, since a first hot copy made it."""
    with hot_copy(fs.node, *(words or ROOMY)):
        yield taken_with_truth(fs)
