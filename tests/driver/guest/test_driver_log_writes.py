# SPDX-License-Identifier: GPL-2.0-or-later
"""Crash consistency: a hot copy is the disk as a prefix of its writes left it, with every flush before it."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.driver.guest.background import background
from tests.driver.guest.commands import run
from tests.driver.guest.disks import MIB, OTHER_DISK, Filesystem, make_filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, remove, take_bare
from tests.driver.guest.records import Writer
from tests.driver.guest.write_log import Difference, contents, entries, logged, mark

ORIGIN = 16 * MIB
COPIES = 2
ROUNDS = 15


def hot_copies_under_load(node: str, where: Path, store: str, source: random.Random) -> list[bytes]:
    """What hot copies of the mounted device show, made at random moments between the marks "before N" and "after N"."""
    fs = Filesystem(node, "ext4", where)
    writers = [Writer(where / "direct", 4096, direct=True), Writer(where / "cached", 10_000, direct=False)]
    fs.sync()
    taken = []
    with hot_copy(node, "-c", store):
        with background(*writers) as workers:
            for number in range(COPIES):
                for worker in workers:
                    worker.wait_rounds(ROUNDS)
                time.sleep(source.random() / 5)
                mark(f"before-{number}")
                taken.append(take_bare(node, "-c", store))
                mark(f"after-{number}")
        shown = [contents(copy) for copy in taken]
        for copy in taken:
            remove(copy)
    return shown


def test_hot_copies_are_prefixes_of_the_write_log() -> None:
    """dm-log-writes says in which order writes were safe; replayed, it is every hot copy at one moment exactly."""
    where = Path("/run/origin")
    where.mkdir(exist_ok=True)
    with partitions(ORIGIN, 48 * MIB) as (below, store), partitions(96 * MIB, disk=OTHER_DISK) as (log,):
        make_filesystem("ext4", below)
        begin = contents(below)
        with logged(below, log) as node:
            run("mount", "-t", "ext4", "-o", "nodiscard", node, str(where))
            try:
                shown = hot_copies_under_load(node, where, store, random.Random(7))
            finally:
                run("umount", str(where))
        differences = [Difference(begin, wanted) for wanted in shown]
        left = [len(difference.sectors) for difference in differences]
        inside: set[int] = set()  # hot copies between whose marks the replay is
        equal: set[int] = set()
        for entry in entries(log):
            when, _, which = entry.mark.partition("-")
            if when == "before":
                inside.add(int(which))
            elif when == "after":
                inside.remove(int(which))
                if int(which) == COPIES - 1:
                    break
            for number, difference in enumerate(differences):
                difference.write(entry.first, entry.data)
                if number in inside:
                    left[number] = min(left[number], len(difference.sectors))
                    if not difference.sectors:
                        equal.add(number)
        assert len(equal) == COPIES, f"at best {left} sectors differ"
        assert differences[0].sectors, "nothing was written between the hot copies"
