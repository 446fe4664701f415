# SPDX-License-Identifier: GPL-2.0-or-later
"""Several hot copies of one origin: one copy of each changed block, and every one right whatever goes first."""

from __future__ import annotations

import functools
import os
from itertools import permutations
from pathlib import Path

import pytest

from tests.driver.guest.background import background
from tests.driver.guest.commands import eventually
from tests.driver.guest.disks import MIB, Filesystem, filesystem, partitions
from tests.driver.guest.hotcopies import (
    copies,
    info,
    is_stored,
    remove,
    remove_from_driver,
    take_bare,
    take_from_driver,
)
from tests.driver.guest.truth import Range, Truth
from tests.driver.guest.workload import Changes

SMALL = 60 * MIB


def taken_with_truth(fs: Filesystem, start: int) -> tuple[str, Truth]:
    """A hot copy and what it must show."""
    with fs.frozen():
        truth = Truth.of(fs.node, start)
        return take_from_driver(fs.node, str(fs.path)), truth


def lightly(change: Changes) -> None:
    """A few MiB of it."""
    for action in (change.overwrite_direct, change.overwrite_cached, change.many_small, change.punch, change.trim):
        action()


def check_all(taken: dict[str, Truth], store: list[Range]) -> None:
    """Every one of them shows what it must."""
    for node, truth in taken.items():
        truth.check(node, store)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(3))
def test_three_hot_copies_removed_in_every_order(first: int) -> None:
    with partitions(SMALL) as (node,), filesystem("ext4", node) as fs:
        change = Changes(fs.path / "a", 1)
        change.populate()
        for order in (order for order in permutations(range(3)) if order[0] == first):
            keeper = take_bare(node, "--store-size", "32M")
            store = fs.store_ranges()
            taken: dict[str, Truth] = {}
            start = 0
            for _ in range(3):
                lightly(change)
                copy, truth = taken_with_truth(fs, start)
                taken[copy] = truth
                start = truth.behind
            remove(keeper)
            nodes = list(taken)
            with background(change) as (worker,):
                for place in order[:2]:
                    worker.wait_rounds(2)
                    remove_from_driver(nodes[place])
                    del taken[nodes[place]]
                    check_all(taken, store)
            fs.sync()
            (left,) = taken
            # What only the removed ones needed is free again.
            assert eventually(functools.partial(is_stored, left))
            held = info(left)
            assert held.store_used_bytes == held.preserved_bytes
            lightly(change)
            check_all(taken, store)
            remove(left)
            assert copies() == ()
            assert fs.store_names() == []


@pytest.mark.quick
def test_the_store_is_empty_when_the_last_one_is_gone() -> None:
    with partitions(SMALL) as (node,), filesystem("ext4", node) as fs:
        free = fs.free()
        change = Changes(fs.path / "a", 1)
        change.populate()
        used = free - fs.free()
        nodes = []
        for _ in range(3):
            nodes.append(take_bare(node))
            change.overwrite_direct()
        for copy in nodes:
            remove(copy)
        assert fs.store_names() == []
        assert abs(free - fs.free() - used) < 64


def test_a_block_is_copied_once_whatever_the_number_of_hot_copies() -> None:
    size = 4 * MIB
    with partitions(SMALL) as (node,), filesystem("ext4", node) as fs:
        path = fs.path / "file"
        write_in_place(path, 1, size)
        nodes = [take_bare(node) for _ in range(4)]
        before = info(nodes[0]).store_used_bytes
        write_in_place(path, 2, size)
        assert eventually(functools.partial(is_stored, nodes[0]))
        held = [info(copy) for copy in nodes]
        assert [copy.preserved_bytes >= size for copy in held] == [False, False, False, True]
        assert size <= held[0].store_used_bytes + held[0].in_flight_bytes - before < size + MIB


def write_in_place(path: Path, value: int, size: int) -> None:
    """A file of one byte's value, where it was."""
    mode = "r+b" if path.exists() else "wb"
    with open(path, mode) as file:
        file.write(bytes([value]) * size)
        file.flush()
        os.fsync(file.fileno())
