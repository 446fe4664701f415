"""The bench itself, from inside: what every other guest test stands on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.driver.guest.devices import scsi_unload
from tests.driver.guest.kernel_log import bad_lines
from tests.driver.guest.plugin import KernelLog

TOOLS = (
    "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "e2fsck", "xfs_repair", "lvcreate",
    "dmsetup", "mdadm", "fio", "sfdisk", "losetup", "blkdiscard", "fstrim", "strace",
)  # fmt: skip


def run(*argv: str) -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}"
    return done.stdout


@pytest.mark.quick
def test_tools_are_there() -> None:
    """Nothing is left out for want of a program."""
    assert [tool for tool in TOOLS if not shutil.which(tool)] == []


def test_scratch_disks_carry_file_systems() -> None:
    """The disks are found by their serial, and both file systems work on them."""
    for name, kind in (("data0", "ext4"), ("data1", "xfs")):
        device = f"/dev/disk/by-id/virtio-{name}"
        run("wipefs", "-qa", device)
        run(f"mkfs.{kind}", "-q", device)
        mountpoint = Path(f"/run/{name}")
        mountpoint.mkdir(exist_ok=True)
        run("mount", device, str(mountpoint))
        (mountpoint / "file").write_bytes(os.urandom(1 << 20))
        run("umount", str(mountpoint))


def test_modules_load() -> None:
    """Every module of the kernel's package is at hand."""
    for module in ("loop", "dm_flakey", "raid1", "scsi_debug", "btrfs", "vfat", "brd"):
        run("modprobe", module)
    scsi_unload()  # tests that need its disk choose its size


@pytest.mark.kernel_log(allow="bench: BUG: a line made by hand")
def test_kernel_log_is_read(kernel_log: KernelLog) -> None:
    """A complaint in the kernel log is seen between two readings, an allowed one is let pass."""
    Path("/dev/kmsg").write_text("bench: BUG: a line made by hand\n", encoding="ascii")
    lines = kernel_log.read()
    assert list(bad_lines(lines)), lines
    Path("/dev/kmsg").write_text("bench: BUG: a line made by hand\n", encoding="ascii")
