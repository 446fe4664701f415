# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine dies while a hot copy is active: the origin loses nothing, and gets its space back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.guest.power_cut import KEPT, KEPT_SIZE

pytestmark = [pytest.mark.guest, pytest.mark.two_kernels]

DEVICE = "/dev/disk/by-id/virtio-kept"
HELPER = "cd /hotcopy && python3 -m tests.driver.guest.power_cut"
BLOCK = 4096  # bytes: of the filesystems made here
SLACK = 64  # blocks of metadata that may have become more or fewer


@contextlib.contextmanager
def mounted_again(guest: Guest, kind: str) -> Iterator[None]:
    """After the crash, the journal replayed; in the end the filesystem is sound."""
    guest.run(f"mkdir -p /run/origin && mount {DEVICE} /run/origin")
    yield
    guest.run("umount /run/origin")
    guest.run({"ext4": f"e2fsck -fn {DEVICE}", "xfs": f"xfs_repair -n {DEVICE}"}[kind])


def free_when_cleaned(guest: Guest) -> int:
    """Free blocks, when the next hot copy has cleared away what the crash left over."""
    guest.run(f"hcp --skip-mount --store-size 16M {DEVICE} && hcp -r hcp1")
    guest.run("test ! -e /run/origin/.hotcopy")
    return int(guest.run(f"{HELPER} free").output)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_power_cut_with_an_active_hot_copy(bench: Bench, kernel: str, kind: str, tmp_path: Path) -> None:
    machine = Machine(disks=(Disk("kept", size="320M", path=tmp_path / "kept"),))
    with Guest(bench, kernel, machine, check=False) as guest:
        guest.run(f"mkfs.{kind} -q {DEVICE} && mkdir -p /run/origin && mount {DEVICE} /run/origin")
        free = int(guest.run(f"{HELPER} prepare").output)
        guest.run(f"hcp --skip-mount --store-size 64M {DEVICE}")
        guest.spawn(f"{HELPER} write")
        guest.wait_mark("written")
        guest.run("test $(ls /run/origin/.hotcopy | wc -l) = 1")
        guest.spawn("for i in 1 2 3; do hcp --skip-mount /dev/disk/by-id/virtio-kept; done")
        guest.wait_mark("more")
        guest.kill()
    with Guest(bench, kernel, machine) as guest, mounted_again(guest, kind):
        guest.run(f"{HELPER} check")
        guest.run("test $(ls /run/origin/.hotcopy | wc -l) = 1")  # the store is left over
        left = free_when_cleaned(guest)
        assert abs(left - free) <= SLACK, f"{left} blocks are free now, {free} were before"


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_power_cut_while_the_store_grows(bench: Bench, any_kernel: str, kind: str, tmp_path: Path) -> None:
    """What the store grew into may have been freed by what the crash undoes: then it must not have been used yet."""
    machine = Machine(disks=(Disk("kept", size="1G", path=tmp_path / "kept"),))
    with Guest(bench, any_kernel, machine, check=False) as guest:
        guest.run(f"mkfs.{kind} -q {DEVICE} && mkdir -p /run/origin && mount {DEVICE} /run/origin")
        free = int(guest.run(f"{HELPER} prepare-growth", timeout=120).output)
        guest.run(f"hcp --skip-mount {DEVICE}")
        guest.spawn(f"{HELPER} delete")
        guest.wait_mark("deleting")
        grown = int(guest.run("ls /run/origin/.hotcopy | wc -l").output)
        guest.kill()
    assert grown >= 3, grown
    with Guest(bench, any_kernel, machine) as guest, mounted_again(guest, kind):
        guest.run(f"{HELPER} check-growth", timeout=120)
        guest.run("rm -f /run/origin/kept-*")
        left = free_when_cleaned(guest)
        gained = KEPT * KEPT_SIZE // BLOCK
        assert left >= free + gained - SLACK, f"{left} blocks are free now, {free} were before, with all files"
