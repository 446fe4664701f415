# SPDX-License-Identifier: GPL-2.0-or-later
"""The devices that programs run on: made once for many programs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hotcopy.driver import Driver, Segment
from hotcopy.driver import Origin as DriverOrigin
from hotcopy.fiemap import Extent
from tests.driver.guest.commands import run
from tests.driver.guest.direct import size_of
from tests.driver.guest.disks import (
    DISK,
    OTHER_DISK,
    SECTOR,
    Filesystem,
    make_filesystem,
    mapped,
    partitions_at,
    settle,
)

# On the first disk, in sectors: a store beside the origins; a file system; an origin of whole units; one of none.
NEAR = (2048, 131072)
FILES = (133120, 16384)
EVEN = (149504, 5120)
ODD = (154624 + 8 * 31 + 3, 5120 + 5)
STORE_SECTORS = 131072
SMALL_SECTORS = 2048
FILE_SIZE = 5120 * SECTOR
CUT = 3001  # where the upper device has its seam: in the middle of a unit


@dataclass(frozen=True)
class Origin:
    """A device of which hot copies are made, and ways to write to it: (node, byte there at which it begins)."""

    node: str
    ways: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Scene:
    """The origins of a program, which show the same bytes, and the stores there are for each."""

    origins: tuple[Origin, ...]
    stores: tuple[tuple[str, ...], ...]  # for each origin: on another disk, or beside it
    fs: Filesystem | None = None

    @property
    def size(self) -> int:
        """Bytes of each origin."""
        return size_of(self.origins[0].node)


@dataclass(frozen=True)
class Stage:
    """Every scene by its name, and two small devices for anchored()."""

    scenes: dict[str, Scene]
    anchor: str
    anchor_store: str


@contextlib.contextmanager
def no_udev() -> Iterator[None]:
    """udev looks at no new device: a hot copy is not busy the moment it is there, and its rules take no time."""
    run("udevadm", "control", "--exit")
    try:
        yield
    finally:
        run("/lib/systemd/systemd-udevd", "--daemon", "--resolve-names=never")


def _seamed(below: str) -> str:
    sectors = size_of(below) // SECTOR
    return f"0 {CUT} linear {below} 0\n{CUT} {sectors - CUT} linear {below} {CUT}\n"


@contextlib.contextmanager
def mounted_file(node: str) -> Iterator[Filesystem]:
    """An ext4 with one file in it, which programs change."""
    where = Path("/run/proof")
    where.mkdir(parents=True, exist_ok=True)
    make_filesystem("ext4", node)
    run("mount", "-t", "ext4", node, str(where))
    (where / "file").write_bytes(os.urandom(FILE_SIZE))
    fs = Filesystem(node, "ext4", where)
    fs.sync()
    try:
        yield fs
    finally:
        run("umount", str(where))
    run("e2fsck", "-fn", node)


@contextlib.contextmanager
def anchored(origin: str, store: str) -> Iterator[None]:
    """A hot copy that stays, so that the kernel's text need not be patched with every first one: emulation makes that slow."""
    fds = [os.open(origin, os.O_RDONLY), os.open(store, os.O_RDWR | os.O_EXCL)]
    with Driver() as driver:
        segment = Segment(fds[1], fds[1], [Extent(0, 0, size_of(store))])
        (minor,) = driver.create([DriverOrigin(fds[0], origin, store, True, segment, fixed_store=True)], []).minors
        try:
            yield
        finally:
            driver.remove(minor)
            for fd in fds:
                os.close(fd)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """All that programs need; at the end the filesystem is sound and nothing is left."""
    run("modprobe", "hcpdriver")
    with contextlib.ExitStack() as stack:
        near, files, even, odd = stack.enter_context(partitions_at(DISK, NEAR, FILES, EVEN, ODD))
        rows = [(2048 + number * STORE_SECTORS, STORE_SECTORS) for number in range(2)]
        rows += [(2048 + 2 * STORE_SECTORS + number * SMALL_SECTORS, SMALL_SECTORS) for number in range(2)]
        one, two, *small = stack.enter_context(partitions_at(OTHER_DISK, *rows))
        upper = stack.enter_context(mapped(_seamed(odd), "proof"))
        fs = stack.enter_context(mounted_file(files))
        settle()
        stack.enter_context(no_udev())
        whole_even, whole_odd = (DISK, EVEN[0] * SECTOR), (DISK, ODD[0] * SECTOR)
        lower = Origin(odd, ((odd, 0), whole_odd))
        top = Origin(upper, ((upper, 0), (upper, 0)))
        scenes = {
            "even": Scene((Origin(even, ((even, 0), whole_even)),), ((one, near),)),
            "odd": Scene((lower,), ((one, near),)),
            "mapped": Scene((top,), ((one, near),)),
            # A write by any way is seen by the lower one; by the upper one only if it comes from above: so all do.
            "stacked": Scene((top, Origin(odd, top.ways)), ((one,), (two,))),
            "files": Scene((Origin(fs.node, ((str(fs.path / "file"), 0),) * 2),), ((one, near),), fs),
        }
        yield Stage(scenes, small[0], small[1])
