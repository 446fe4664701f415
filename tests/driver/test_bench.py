"""The bench itself: what goes wrong in a guest is seen, what is written outlives a power cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest, GuestError
from tests.driver.bench.machine import Disk, Machine

pytestmark = pytest.mark.guest

KERNEL = "6.12"  # one is enough: this is about the bench, not about a kernel
DEVICE = "/dev/disk/by-id/virtio-kept"


@pytest.mark.quick
def test_disk_outlives_a_power_cut(bench: Bench, tmp_path: Path) -> None:
    """Killed without warning, booted again: the same disk is there, and its journal replays."""
    machine = Machine(disks=(Disk("kept", size="256M", path=tmp_path / "kept"),))
    with Guest(bench, KERNEL, machine) as guest:
        guest.run(f"mkfs.ext4 -q {DEVICE} && mount {DEVICE} /mnt && echo kept > /mnt/file && sync")
        guest.spawn("while :; do dd if=/dev/zero of=/mnt/more bs=4k count=100 conv=fsync; done")
        guest.spawn("cd /hotcopy && python3 -c 'from tests.driver.guest.channel import mark; mark(\"busy\")'")
        guest.wait_mark("busy")
        guest.kill()
    with Guest(bench, KERNEL, machine) as guest:
        assert guest.run(f"mount {DEVICE} /mnt && cat /mnt/file").output == "kept\n"
        guest.run(f"umount /mnt && e2fsck -fn {DEVICE}")


def test_panic_is_reported_with_the_console(bench: Bench) -> None:
    """A warning is a panic, a panic is an error, and the error tells why."""
    with pytest.raises(GuestError, match="sysrq triggered crash"), Guest(bench, KERNEL) as guest:
        guest.run("echo c > /proc/sysrq-trigger", timeout=20)


def test_complaint_on_the_console_is_an_error(bench: Bench) -> None:
    """Nothing has to ask for the kernel log: leaving the guest reads it."""
    with pytest.raises(GuestError, match="BUG: made by hand"), Guest(bench, KERNEL) as guest:
        guest.run("echo '<1>BUG: made by hand' > /dev/kmsg")
