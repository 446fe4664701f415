# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with hot copies is switched off: by the real systemd, with the units as packages install them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.run import run

pytestmark = pytest.mark.guest

KERNEL = "6.12"  # one is enough: this is about systemd and the units
ROOT, IDLE, BUSY = (f"/dev/disk/by-id/virtio-{name}" for name in ("root", "idle", "busy"))
# Hot copies in use are given up after 5 s; the rest is what other guests on the machine may cost.
LONGER = 25.0  # seconds

PREPARE = f"""set -e
mkfs.xfs -q {IDLE}
mkdir -p /srv/idle
mount {IDLE} /srv/idle
for device in {IDLE} {BUSY}; do hcp --store-size 32M $device; done
hcp --skip-mount --store-size 32M {ROOT}
for place in /srv/idle /srv/busy /root; do head -c 1000000 /dev/urandom >$place/later; done
"""


def ext4(path: Path, size: str) -> Path:
    """A new filesystem in a file."""
    run(["truncate", "-s", size, path])
    run(["mke2fs", "-q", "-t", "ext4", path])
    return path


def root_image(bench: Bench, path: Path) -> Path:
    """The userland with a journal, which a shutdown has to leave empty."""
    run(["cp", "--sparse=always", bench.prepare(KERNEL).userland, path])
    run(["tune2fs", "-j", path])
    return path


def is_clean(image: Path) -> bool:
    """Whether an ext4 needs neither its journal nor fsck."""
    text = run(["dumpe2fs", "-h", image]).stdout
    return "needs_recovery" not in text and re.search(r"Filesystem state: +clean\n", text) is not None


def switch_off(guest: Guest) -> float:
    """systemctl poweroff; how long it took."""
    begin = time.monotonic()
    guest.run("systemctl poweroff --no-block")
    guest.wait_off(150)
    return time.monotonic() - begin


def test_poweroff_with_hot_copies(bench: Bench, tmp_path: Path) -> None:
    """One is idle; two are in use by what only the very end of the shutdown kills, one of them is of the root."""
    root = root_image(bench, tmp_path / "root")
    busy = ext4(tmp_path / "busy", "320M")
    machine = Machine(
        disks=(Disk("busy", path=busy), Disk("idle", size="320M", path=tmp_path / "idle")),
        root=root,
        append=f"bench.systemd systemd.mount-extra={BUSY}:/srv/busy:ext4",
    )
    with Guest(bench, KERNEL, machine) as guest:
        guest.run(PREPARE, timeout=120)
        guest.spawn("cd /var/hotcopy/*_hcp2 && exec sleep 1000 >in-use")
        guest.spawn("exec sleep 1000 </dev/hcp3")
        guest.run("until ls -l /proc/*/fd 2>/dev/null | grep -q _hcp2/in-use; do :; done")
        guest.run("until ls -l /proc/*/fd 2>/dev/null | grep -q /dev/hcp3; do :; done")
        with_hot_copies = switch_off(guest)
        console = guest.console.read_text(errors="replace")
    assert "ended /dev/hcp1 (of" in console, console[-9000:]
    for name in ("hcp2", "hcp3"):
        assert re.search(rf"hcp: error: /dev/{name} \(of .*\) is in use by .*sleep .* was not ended", console), name
    assert is_clean(busy)
    assert is_clean(root)

    with Guest(bench, KERNEL, machine) as guest:
        guest.run("test ! -e /sys/module/hcpdriver")
        log = guest.run("dmesg").output
        for place in ("/", "/srv/busy"):
            assert f"deleted 1 leftover store on {place}\n" in log, log
            guest.run(f"test ! -e {place}/.hotcopy")
        guest.run(f"mount {IDLE} /srv/idle && test ! -e /srv/idle/.hotcopy")
        log = guest.run("dmesg").output
        assert "Ending clean mount" in log
        assert not re.search(r"recovery|orphan|unclean|not properly", log), log
        without = switch_off(guest)
    assert with_hot_copies < without + LONGER, (with_hot_copies, without)
