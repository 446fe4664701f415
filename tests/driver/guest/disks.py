# SPDX-License-Identifier: GPL-2.0-or-later
"""Stacks of devices and filesystems as context managers: partitions, loop, LVM, device mapper, RAID, mounts."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hotcopy import fiemap, libc
from tests.driver.guest.commands import eventually, fails, run
from tests.driver.guest.hotcopies import remove_all
from tests.driver.guest.partition_table import partition, wipe

DISK = os.path.realpath("/dev/disk/by-id/virtio-data0")
OTHER_DISK = os.path.realpath("/dev/disk/by-id/virtio-data1")
MIB = 1 << 20
UNIT = 4096  # bytes that the driver copies as one
SECTOR = 512
SIZE = 128 * MIB  # small: every byte of it is compared
ROOMY = ("--store-size", "64M")  # as much as the rest of such a device, whatever is changed
ODD = 2048 + 8 * 31 + 3  # a first sector that no 4 KiB unit of the disk begins with

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878

Range = tuple[int, int]


def settle() -> None:
    """Until udev has dealt with what happened to devices."""
    # udevd was seen to hang up once (Broken pipe): ask again.
    assert eventually(lambda: not subprocess.call(("udevadm", "settle", "--timeout=30"), stderr=subprocess.DEVNULL))


def is_block(node: str) -> bool:
    """Whether this is a device by now."""
    return os.path.exists(node) and os.path.exists(f"/sys/class/block/{os.path.basename(os.path.realpath(node))}")


@contextlib.contextmanager
def partitions_at(disk: str, *rows: tuple[int, int]) -> Iterator[tuple[str, ...]]:
    """Partitions with these first sectors and sizes in sectors: their nodes."""
    partition(disk, rows)
    nodes = tuple(f"{disk}{number + 1}" for number in range(len(rows)))
    assert eventually(lambda: all(is_block(node) for node in nodes)), nodes
    settle()
    try:
        yield nodes
    finally:
        partition(disk, ())
        assert eventually(lambda: not any(is_block(node) for node in nodes)), nodes
        settle()


def partitions(*sizes: int, first: int = 2048, disk: str = DISK) -> contextlib.AbstractContextManager[tuple[str, ...]]:
    """Partitions of so many bytes (a multiple of 512) one behind the other, from this sector on: their nodes."""
    rows, start = [], first
    for size in sizes:
        rows.append((start, size // SECTOR))
        start += size // SECTOR
    return partitions_at(disk, *rows)


@contextlib.contextmanager
def loop(path: Path, size: int) -> Iterator[str]:
    """A loop device on a new file."""
    run("modprobe", "loop")
    path.touch()
    os.truncate(path, size)
    node = run("losetup", "--find", "--show", str(path)).strip()
    try:
        yield node
    finally:
        settle()
        run("losetup", "-d", node)
        path.unlink()


@contextlib.contextmanager
def logical_volume(disk: str, size: int) -> Iterator[str]:
    """An LVM volume: its /dev/mapper node."""
    settle()
    wipe(disk)
    run("pvcreate", "-q", "-ffy", disk)
    run("vgcreate", "-q", "hcpvg", disk)
    try:
        run("lvcreate", "-q", "-y", "-Wn", "-Zn", "-n", "origin", "-L", f"{size // MIB}m", "hcpvg")
        settle()
        yield "/dev/mapper/hcpvg-origin"
    finally:
        settle()
        run("vgremove", "-q", "-ff", "-y", "hcpvg")
        run("pvremove", "-q", "-ff", "-y", disk)


@contextlib.contextmanager
def mapped(table: str, name: str = "hcplinear") -> Iterator[str]:
    """A device-mapper device: its /dev/mapper node."""
    run("dmsetup", "create", name, "--table", table)
    settle()
    try:
        yield f"/dev/mapper/{name}"
    finally:
        settle()
        run("dmsetup", "remove", "--retry", name)


@contextlib.contextmanager
def raid1(*members: str) -> Iterator[str]:
    """A RAID1 of these devices."""
    node = "/dev/md77"
    run(
        *("mdadm", "--create", node, "--run", "--level=1", "--metadata=1.2", "--bitmap=none", "--assume-clean"),
        f"--raid-devices={len(members)}",
        *members,
    )
    settle()
    try:
        yield node
    finally:
        settle()
        run("mdadm", "--stop", node)
        for member in members:
            run("mdadm", "--zero-superblock", member)


@dataclass(frozen=True)
class Filesystem:
    """A mounted filesystem, the origin of hot copies."""

    node: str
    kind: str
    path: Path

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        fd = os.open(self.path, os.O_RDONLY)
        try:
            yield fd
        finally:
            os.close(fd)

    def sync(self) -> None:
        """Write everything back."""
        with self._opened() as fd:
            libc.syncfs(fd)

    def free(self) -> int:
        """Free blocks, when everything has been written back."""
        self.sync()
        return os.statvfs(self.path).f_bfree

    def store_names(self) -> list[str]:
        """The files that hold old data."""
        directory = self.path / ".hotcopy"
        return sorted(os.listdir(directory)) if directory.exists() else []

    def store_ranges(self) -> list[Range]:
        """The bytes of the device that hold old data: whole units of it, so many as there are."""
        ranges = [part for name in self.store_names() for part in file_ranges(self.path / ".hotcopy" / name)]
        units = [(-(-first // UNIT) * UNIT, behind // UNIT * UNIT) for first, behind in ranges]
        return [(first, behind) for first, behind in units if first < behind]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Frozen by somebody other than hcp."""
        with self._opened() as fd:
            fcntl.ioctl(fd, FIFREEZE, 0)
            try:
                yield
            finally:
                fcntl.ioctl(fd, FITHAW, 0)


def file_ranges(path: Path) -> list[Range]:
    """Where a file's blocks are on the device of its filesystem, in the order of the file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        found = fiemap.extents_of(fd)
    finally:
        os.close(fd)
    return [(extent.physical, extent.physical + extent.length) for extent in found]


@functools.cache
def small_xfs() -> tuple[str, ...]:
    """Newer ones refuse to make small ones, unless told so by an option that older ones do not know."""
    complaint = fails("mkfs.xfs", "--unsupported")
    return () if re.search("(invalid|unrecognized) option", complaint) else ("--unsupported",)


def make_filesystem(kind: str, node: str, *words: str, mib: int | None = None) -> None:
    """All of the device, or so much of it, with these options of mkfs; nothing is left for later, so that the disk is quiet when nobody writes."""
    if kind == "ext4":
        lazy = ("-E", "lazy_itable_init=0,lazy_journal_init=0")
        run("mkfs.ext4", "-q", "-F", *lazy, *words, node, *([f"{mib}M"] if mib else []))
    else:
        run("mkfs.xfs", "-q", "-f", *small_xfs(), *words, *(["-d", f"size={mib}m"] if mib else []), node)


@contextlib.contextmanager
def filesystem(
    kind: str, node: str, *words: str, mount: str = "defaults", path: str = "/run/origin"
) -> Iterator[Filesystem]:
    """A new filesystem, made with these options of mkfs, mounted. At the end it must be sound, and no hot copy is left."""
    where = Path(path)
    where.mkdir(parents=True, exist_ok=True)
    make_filesystem(kind, node, *words)
    run("mount", "-t", kind, "-o", mount, node, path)
    try:
        yield Filesystem(node, kind, where)
    finally:
        remove_all()
        run("umount", path)
    check_filesystem(kind, node)


def check_filesystem(kind: str, node: str) -> None:
    """A filesystem that is not mounted has no error."""
    run(*({"ext4": ("e2fsck", "-fn"), "xfs": ("xfs_repair", "-n")}[kind]), node)
