# SPDX-License-Identifier: GPL-2.0-or-later
"""Set-ups as context managers: a mounted file system, fresh snapshots of it, and everything gone afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmark.guest import place
from tests.benchmark.plan import SetUp, Sizes
from tests.driver.guest.commands import run
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import copies, take_as_users_do

MODULE = "hcpdriver"


@dataclass(frozen=True)
class Stage:
    """What the works find: the file system's device, and the oldest snapshot (without one, the device itself)."""

    origin: str
    snapshot: str


def load_module(wanted: bool) -> None:
    """Have the driver in the kernel, or not."""
    if wanted != os.path.exists(f"/sys/module/{MODULE}"):
        run("modprobe", MODULE) if wanted else run("rmmod", MODULE)


@contextlib.contextmanager
def mounted(node: str) -> Iterator[None]:
    """The file system of a device."""
    place.mount(node)
    try:
        yield
    finally:
        place.unmount()


@contextlib.contextmanager
def hot_copies(count: int, *words: str) -> Iterator[str]:
    """So many hot copies, one after the other, as hcp makes them by itself; they must live to the end."""
    load_module(True)
    nodes: list[str] = []
    try:
        for _ in range(count):
            nodes.append(take_as_users_do(place.PLAIN, "--skip-mount", *words))
        unknown = [copy.node for copy in copies() if not copy.free_known]
        assert not unknown, f"it is not known what was free for {unknown}"
        yield nodes[0]
        ended = [(copy.node, copy.state, copy.reason) for copy in copies() if copy.state != "active"]
        assert not ended, f"a hot copy ended during the measurement: {ended}"
    finally:
        for node in reversed(nodes):
            hcp("-r", node)
        load_module(False)


@contextlib.contextmanager
def volumes(row: SetUp, sizes: Sizes) -> Iterator[str]:
    """So many LVM snapshots."""
    names = [f"snap{number}" for number in range(1, row.snapshots + 1)]
    group = place.GROUP
    if row.kind == "thin":
        place.lvm(*(f"lvcreate -q -y -k n -s {group}/thin -n {name}" for name in names))
    else:
        place.lvm(*(f"lvcreate -q -y -s -L {sizes.store}b {group}/classic -n {name}" for name in names))
    try:
        yield f"/dev/{group}/{names[0]}"
        # A classic snapshot whose space is full is dropped, and costs nothing from there on.
        ended = [line for line in run("dmsetup", "status").splitlines() if "Invalid" in line or "Overflow" in line]
        assert not ended, f"a snapshot ended during the measurement: {ended}"
    finally:
        place.lvm(*(f"lvremove -q -y {group}/{name}" for name in names))


@contextlib.contextmanager
def stage(row: SetUp, sizes: Sizes) -> Iterator[Stage]:
    """The set-up of this kind; the driver is loaded only where it is part of it."""
    load_module(row.kind == "loaded")
    origin = {"classic": place.CLASSIC, "thin": place.THIN}.get(row.kind, place.PLAIN)
    with mounted(origin), contextlib.ExitStack() as stack:
        snapshot = origin
        if row.kind == "hotcopy":
            snapshot = stack.enter_context(hot_copies(row.snapshots))
        elif row.kind == "elsewhere":
            snapshot = stack.enter_context(hot_copies(row.snapshots, "--changed-blocks", place.STORE_DISK, "--force"))
        elif row.snapshots:
            snapshot = stack.enter_context(volumes(row, sizes))
        yield Stage(origin, snapshot)
    load_module(False)
