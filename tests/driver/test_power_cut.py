# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine dies while a hot copy is active: the origin loses nothing, and gets its space back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine

pytestmark = pytest.mark.guest

DEVICE = "/dev/disk/by-id/virtio-kept"
HELPER = "cd /hotcopy && python3 -m tests.driver.guest.power_cut"


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
    with Guest(bench, kernel, machine) as guest:
        guest.run(f"mkdir -p /run/origin && mount {DEVICE} /run/origin")  # the journal is replayed
        guest.run(f"{HELPER} check")
        guest.run("test $(ls /run/origin/.hotcopy | wc -l) = 1")  # the store is left over
        guest.run(f"hcp --skip-mount --store-size 16M {DEVICE} && hcp -r hcp1")
        guest.run("test ! -e /run/origin/.hotcopy")
        left = int(guest.run(f"{HELPER} free").output)
        assert abs(left - free) <= 64, f"{left} blocks are free now, {free} were before"
        guest.run("umount /run/origin")
        guest.run({"ext4": f"e2fsck -fn {DEVICE}", "xfs": f"xfs_repair -n {DEVICE}"}[kind])


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
    with Guest(bench, any_kernel, machine) as guest:
        guest.run(f"mkdir -p /run/origin && mount {DEVICE} /run/origin")
        guest.run(f"{HELPER} check-growth", timeout=120)
        guest.run(f"hcp --skip-mount --store-size 16M {DEVICE} && hcp -r hcp1")
        guest.run("test ! -e /run/origin/.hotcopy")
        guest.run("rm -f /run/origin/kept-* && sync")
        left = int(guest.run(f"{HELPER} free").output)
        assert left >= free + 40 * 1024 - 64, f"{left} blocks are free now, {free} were before, with all files"
        guest.run("umount /run/origin")
        guest.run({"ext4": f"e2fsck -fn {DEVICE}", "xfs": f"xfs_repair -n {DEVICE}"}[kind])
