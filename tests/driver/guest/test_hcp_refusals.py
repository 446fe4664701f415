# SPDX-License-Identifier: GPL-2.0-or-later
"""What hcp will not do, with a reason, a hint, and nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.driver.guest.commands import outcome, run
from tests.driver.guest.disks import MIB, OTHER_DISK, loop, make_filesystem
from tests.driver.guest.hcp import call, refused
from tests.driver.guest.hotcopies import copies
from tests.driver.guest.mount_limit import mounts_left
from tests.driver.guest.origins import Origin, leaves_nothing, mounts, unmount
from tests.driver.guest.partition_table import wipe

NOBODY = 65534


@pytest.mark.one_kernel
def test_refusals_leave_nothing(ext4: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cases: tuple[tuple[tuple[str, ...], int, tuple[str, ...]], ...] = (
        ((), 2, ("no device",)),
        (("-x",), 2, ("-x",)),
        (("-c", "/run", ext4.node), 1, ("tmpfs",)),
        (("-q", "much", ext4.node), 2, ("percentage",)),
        (("/dev/nosuch",), 1, ("No such file",)),
        (("server:/export",), 1, ("network filesystem",)),
        (("/etc/passwd",), 1, ("regular file", "losetup")),
        ((str(ext4.path),), 1, ("directory", f"hcp {ext4.node}")),
        (("/dev/null",), 1, ("not a block device",)),
        (("--store-size", "1T", ext4.node), 1, ("no free space", "--store-size")),
        (("-m", str(tmp_path / "file"), ext4.node), 1, ("not a directory",)),
        (("-m", str(tmp_path / "file" / "x"), ext4.node), 1, ("mount point",)),
        (("-m", "/proc/x/y", ext4.node), 1, ("mount point",)),
        (("-m", str(ext4.path), ext4.node), 1, ("mounted on", "another directory")),
    )
    with leaves_nothing(ext4):
        for words, status, parts in cases:
            refused(*words, status=status, parts=parts)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.one_kernel
def test_not_root_is_refused(ext4: Origin) -> None:
    with leaves_nothing(ext4):
        ends = [call(*words, user=NOBODY) for words in ((ext4.node,), ("-l",), ("-r", "hcp1"), ("-s", ext4.node))]
        ends.append(outcome("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "hcp", ext4.node))
        for done in ends:
            assert (done.status, done.err) == (1, "hcp: error: hcp needs root; run it with sudo\n")


@contextmanager
def mounted(kind: str, node: str, *options: str) -> Iterator[None]:
    """A filesystem of a kind that hcp does not take."""
    where = Path("/run/refused")
    where.mkdir(exist_ok=True)
    run(f"mkfs.{kind}", "-q", *options, node, *(["32M"] if kind.startswith("ext") else []))
    run("mount", node, str(where))
    try:
        yield
        assert not (where / ".hotcopy").exists()
    finally:
        unmount(where)


@contextmanager
def swap(node: str) -> Iterator[None]:
    """Swap space in use."""
    run("mkswap", node)
    run("swapon", node)
    try:
        yield
    finally:
        run("swapoff", node)


@contextmanager
def read_only(node: str) -> Iterator[None]:
    """A device that takes no writes."""
    make_filesystem("ext4", node, mib=32)
    run("blockdev", "--setro", node)
    try:
        yield
    finally:
        run("blockdev", "--setrw", node)


@contextmanager
def refused_device(kind: str, image: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A device that hcp refuses, and what it must say."""
    wipe(OTHER_DISK)
    try:
        if kind == "none":
            yield OTHER_DISK, ("no filesystem", "-c")
        elif kind == "ext4":
            make_filesystem("ext4", OTHER_DISK, mib=32)
            yield OTHER_DISK, ("not mounted",)
        elif kind == "swap":
            with swap(OTHER_DISK):
                yield OTHER_DISK, ("swap",)
        elif kind == "small":
            with loop(image, 8 * MIB) as node:
                yield node, ("too small", "16 MiB")
        elif kind == "read-only":
            with read_only(OTHER_DISK):
                yield OTHER_DISK, ("read-only", "blockdev --setrw")
        else:
            with mounted(kind, OTHER_DISK, "-f" if kind == "btrfs" else "-F"):
                yield OTHER_DISK, (kind, "blocks move", "-c")
    finally:
        wipe(OTHER_DISK)


@pytest.mark.kernel_independent
@pytest.mark.parametrize("kind", ["none", "ext4", "swap", "btrfs", "small", "read-only"])
def test_devices_that_are_refused(kind: str, tmp_path: Path) -> None:
    before = mounts()
    with refused_device(kind, tmp_path / "small") as (node, parts):
        table = mounts()
        # Kernels before 6.8 cannot mount a second btrfs, and hcp says that first.
        refused("--skip-mount", node, parts=(node, *parts))
        assert copies() == ()
        assert mounts() == table
    assert mounts() == before


@pytest.mark.one_kernel
def test_full_filesystem_is_refused(origin: Origin) -> None:
    free = os.statvfs(origin.path)
    ballast = (free.f_bavail * free.f_frsize * 97 // 100) // 4096 * 4096
    run("fallocate", "-l", str(ballast), str(origin.path / "ballast"))
    with leaves_nothing(origin):
        refused(origin.node, parts=("no free space", str(origin.path)))


@pytest.mark.one_kernel
def test_failed_mount_takes_the_hot_copy_back(ext4: Origin, tmp_path: Path) -> None:
    with leaves_nothing(ext4), mounts_left(0):
        for words in ((), ("-m", str(tmp_path / "new" / "place")), ("-o",)):
            refused(*words, ext4.node, parts=("cannot mount /dev/hcp1", "No space left", "dmesg"))
    assert not os.listdir(tmp_path)
    assert not ext4.default_mount.exists()
