# SPDX-License-Identifier: GPL-2.0-or-later
"""Kinds of filesystems: what makes them, mounts them and a hot copy of them, and finds what is wrong with them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.driver.guest.commands import fails, run
from tests.driver.guest.disks import Filesystem, settle
from tests.driver.guest.hotcopies import remove_all

_DIRTY_FAT = re.compile(
    r"$|fsck\.fat|There are differences between boot sector|This is mostly harmless|  65:01/00$|  Not automatically|"
    r"Dirty bit is set| Automatically removing dirty bit|Leaving filesystem unchanged|/dev/hcp\d+: \d+ files,"
)
QUIET = ("-E", "lazy_itable_init=0,lazy_journal_init=0")  # nothing is left for later
COPY = "/run/copy"


@dataclass(frozen=True)
class Kind:
    """A filesystem in one of its variants."""

    name: str
    fstype: str
    mkfs: tuple[str, ...]
    check: tuple[str, ...]
    copy_options: str = "ro"

    def make(self, node: str) -> None:
        """All of the device."""
        run(*self.mkfs, *(small_xfs() if self.fstype == "xfs" else ()), node, timeout=200)

    def check_device(self, node: str) -> None:
        """It has no error."""
        run(*self.check, node, timeout=300)

    def check_copy(self, node: str) -> None:
        """A hot copy has none either; vfat is marked as dirty while it is mounted, and so was its origin."""
        if self.fstype != "vfat":
            self.check_device(node)
            return
        text = subprocess.run((*self.check, node), capture_output=True, text=True, check=False, timeout=300).stdout
        assert not [line for line in text.splitlines() if not _DIRTY_FAT.match(line)], text

    @contextlib.contextmanager
    def mounted(self, node: str, path: str = "/run/origin") -> Iterator[Filesystem]:
        """A new one, mounted; sound at the end, with no hot copy left."""
        Path(path).mkdir(parents=True, exist_ok=True)
        self.make(node)
        run("mount", "-t", self.fstype, node, path)
        try:
            yield Filesystem(node, self.fstype, Path(path))
        finally:
            remove_all()
            run("umount", path)
        self.check_device(node)

    @contextlib.contextmanager
    def copy_mounted(self, node: str) -> Iterator[Path]:
        """A hot copy of one. XFS is mounted for writing: its log is dirty by design, and clean afterwards."""
        Path(COPY).mkdir(parents=True, exist_ok=True)
        run("mount", "-t", self.fstype, "-o", self.copy_options, node, COPY)
        try:
            yield Path(COPY)
        finally:
            run("umount", COPY)
            settle()


def small_xfs() -> tuple[str, ...]:
    """What newer mkfs.xfs want to be told for small ones, and older ones do not know."""
    complaint = fails("mkfs.xfs", "--unsupported")
    return () if re.search("(invalid|unrecognized) option", complaint) else ("--unsupported",)


def _ext(name: str, *options: str, fstype: str = "ext4") -> Kind:
    return Kind(name, fstype, (f"mkfs.{fstype}", "-q", "-F", *QUIET, *options), ("e2fsck", "-fn"))


def _xfs(name: str, *options: str) -> Kind:
    return Kind(name, "xfs", ("mkfs.xfs", "-q", "-f", *options), ("xfs_repair", "-n"), "nouuid")


KINDS = {
    kind.name: kind
    for kind in (
        _ext("ext4"),
        _ext("ext4-bigalloc", "-O", "bigalloc", "-C", "16384"),
        _ext("ext4-1k", "-b", "1024"),
        # GDT_CSUM: groups whose bitmaps nobody has written yet.
        Kind(
            "ext4-uninit",
            "ext4",
            ("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum,uninit_bg", *QUIET),
            ("e2fsck", "-fn"),
        ),
        _ext("ext4-no-uninit", "-O", "^metadata_csum,^uninit_bg"),
        _ext("ext4-meta-bg", "-O", "meta_bg,^resize_inode", "-b", "1024"),
        _ext("ext4-64bit", "-O", "64bit"),
        _ext("ext4-32bit", "-O", "^64bit"),
        _ext("ext4-no-flex", "-O", "^flex_bg"),
        _ext("ext4-no-journal", "-O", "^has_journal"),
        _ext("ext3", fstype="ext3"),
        _ext("ext2", fstype="ext2"),
        _xfs("xfs", "-m", "reflink=0,rmapbt=0"),
        _xfs("xfs-reflink", "-m", "reflink=1,rmapbt=0"),
        _xfs("xfs-rmapbt", "-m", "reflink=1,rmapbt=1"),
        _xfs("xfs-1k", "-b", "size=1024"),
        Kind("vfat", "vfat", ("mkfs.vfat", "-F", "32", "-s", "8"), ("fsck.vfat", "-n")),
        Kind("vfat-512", "vfat", ("mkfs.vfat", "-F", "32", "-s", "1"), ("fsck.vfat", "-n")),
    )
}


_MARKS = {"ext4": (pytest.mark.quick, pytest.mark.two_kernels), "xfs": ()}  # what kernels differ in shows in these two


def variants(*names: str) -> list[ParameterSet]:
    """Kinds as parameters of a test: ext4 and XFS as they come on several kernels, of the others each on one."""
    return [pytest.param(name, marks=_MARKS.get(name, (pytest.mark.one_kernel,))) for name in names]


def usable_percent(path: Path) -> float:
    """How much of a filesystem is free for everybody."""
    status = os.statvfs(path)
    return 100 * status.f_bavail / status.f_blocks
