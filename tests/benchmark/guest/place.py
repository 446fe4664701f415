# SPDX-License-Identifier: GPL-2.0-or-later
"""The disk of the benchmark: a plain partition and one for LVM, the same files in three file systems."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.benchmark.guest.fio import fill
from tests.benchmark.plan import Sizes
from tests.driver.guest.commands import eventually, run

DISK = os.path.realpath("/dev/disk/by-id/virtio-data0")
PLAIN, SECOND = f"{DISK}1", f"{DISK}2"
FREEZE_DISK = os.path.realpath("/dev/disk/by-id/virtio-data1")  # always of full speed
STORE_DISK = os.path.realpath("/dev/disk/by-id/virtio-data2")  # as throttled as the first; nothing else is on it
GROUP = "bench"
CLASSIC, THIN, POOL = f"/dev/{GROUP}/classic", f"/dev/{GROUP}/thin", f"{GROUP}/pool"
MOUNTED = Path("/mnt/bench")
LVM_DIRECTORY = Path("/run/benchmark-lvm")

# No udev and no monitoring: with an emulated CPU they take seconds, and have no part in what is measured.
LVM_CONFIGURATION = f"""
devices {{ scan = "/dev" filter = [ "a|^{SECOND}$|", "r|.*|" ] use_devicesfile = 0 obtain_device_list_from_udev = 0 }}
activation {{ monitoring = 0 udev_sync = 0 udev_rules = 0 verify_udev_operations = 1 }}
global {{ thin_check_executable = "" thin_dump_executable = "" thin_repair_executable = "" use_lvmpolld = 0 }}
backup {{ backup = 0 archive = 0 }}
"""


def calm() -> None:
    """Nothing but the benchmark from here on: udevd would open devices and load the emulated CPU."""
    subprocess.run(("udevadm", "control", "--exit"), check=False, stderr=subprocess.DEVNULL)
    LVM_DIRECTORY.mkdir(exist_ok=True)
    (LVM_DIRECTORY / "lvm.conf").write_text(LVM_CONFIGURATION, encoding="ascii")
    os.environ["LVM_SYSTEM_DIR"] = str(LVM_DIRECTORY)
    os.environ["LVM_SUPPRESS_FD_WARNINGS"] = "1"
    MOUNTED.mkdir(parents=True, exist_ok=True)


def lvm(*commands: str) -> None:
    """LVM commands, one after the other in one process."""
    text = run("lvm", stdin="".join(f"{command}\n" for command in commands))
    # The shell goes on after a failure and exits with the last status only.
    bad = [line for line in text.splitlines() if re.search(r"fail|error|No such|not found|insufficient", line, re.I)]
    assert not bad, f"{commands}: {text}"


def make_file_system(node: str) -> None:
    """An empty ext4 with nothing left to do in the background."""
    options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    run("mkfs.ext4", "-q", "-F", "-N", "4096", "-J", "size=64", "-E", options, node)


def mount(node: str) -> None:
    """Mount it with no cache from before."""
    Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")
    run("mount", "-o", "noatime", node, str(MOUNTED))


def unmount() -> None:
    """And everything written."""
    assert eventually(lambda: not subprocess.call(("umount", str(MOUNTED)), stderr=subprocess.DEVNULL)), "busy"


def fill_files(sizes: Sizes) -> None:
    """The files that the works overwrite, every block of them written."""
    for name, size in (
        ("sparse", sizes.sparse),
        ("dense", sizes.dense),
        ("sequential", sizes.sequential),
        ("mixed", sizes.mixed),
    ):
        fill(str(MOUNTED / name), size)
    os.sync()


def make(sizes: Sizes) -> None:
    """Both partitions, the three file systems and their files."""
    rows = f"label: dos\nsize={sizes.file_system // 512}\n;\n"
    run("sfdisk", "-q", "--wipe=always", DISK, stdin=rows)
    assert eventually(lambda: os.path.exists(PLAIN) and os.path.exists(SECOND))
    lvm(
        f"pvcreate -q -ff -y {SECOND}",
        f"vgcreate -q {GROUP} {SECOND}",
        f"lvcreate -q -y -W n -L {sizes.file_system}b -n classic {GROUP}",
        f"lvcreate -q -y -L {sizes.pool}b -T {POOL}",
        f"lvcreate -q -y -W n -V {sizes.file_system}b -T {POOL} -n thin",
    )
    for node in (PLAIN, CLASSIC, THIN):
        make_file_system(node)
        mount(node)
        fill_files(sizes)
        unmount()


def activate() -> None:
    """What make() made, after a boot."""
    lvm(f"vgchange -q -a y {GROUP}")


def longest_extent(name: str) -> tuple[int, int]:
    """Where most of a file is in one piece on its device, and how much: what is beside it, a thin volume may not have."""
    text = run("filefrag", "-b512", "-v", str(MOUNTED / name))
    found = re.findall(r"^\s*\d+:\s+\d+\.\.\s*\d+:\s+(\d+)\.\.\s*\d+:\s+(\d+):", text, re.MULTILINE)
    assert found, text
    start, length = max(((int(start), int(length)) for start, length in found), key=lambda extent: extent[1])
    return start * 512, length * 512
