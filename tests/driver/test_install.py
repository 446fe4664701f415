# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install on fresh machines: a stock kernel, the real systemd, no compiler, no headers, a mirror of packages."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import pyz
from installer.exitcodes import ExitCode
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import fresh_image, init_files
from tests.driver.bench.guest import Completed, Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

pytestmark = [pytest.mark.guest, pytest.mark.installs]

PROGRAM = "/run/hotcopy-install.pyz"
UNPACKED = "/run/unpacked"  # the same, with what Python has compiled kept: emulated, starting is a third as long
JOURNAL = "/var/lib/hotcopy-install/journal.jsonl"
LONG = 2400.0  # seconds for apt, gcc and DKMS, emulated, beside other guests
# What package managers, systemd and the bench itself keep or change.
KEPT = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/hotcopy", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log"),
    *("/var/tmp", "/var/lib/systemd"),
)
PRUNED = " -o ".join(f"-path {path}" for path in KEPT)
LISTING = f"find / \\( {PRUNED} \\) -prune -o -printf '%y %m %p %l\\n' | sort"
CHANGED = f"find / \\( {PRUNED} \\) -prune -o -newer /run/stamp -print"
# dpkg's configuration on these machines: emulated, a file takes 10 ms, and two thirds of the headers' 17,000 are for other
# architectures and drivers, or empty.
SPARING = """force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/src/linux-headers-*/include/config/*
path-include=/usr/src/linux-headers-*/include/config/auto.conf*
path-include=/usr/src/linux-headers-*/include/config/kernel.release
path-exclude=/usr/src/linux-headers-*/arch/*
path-include=/usr/src/linux-headers-*/arch/x86/*
path-exclude=/usr/src/linux-headers-*/include/dt-bindings/*
path-exclude=/usr/src/linux-headers-*/include/sound/*
path-exclude=/usr/src/linux-headers-*/include/drm/*
path-exclude=/usr/src/linux-headers-*/include/media/*
"""
HOT_COPY = """set -e
truncate -s 64M /run/disk
mkfs.ext4 -q /run/disk
loop=$(losetup --find --show /run/disk)
mkdir /run/mounted
mount $loop /run/mounted
hcp --skip-mount $loop
"""
# Of all that a container needs this is the machine's own root, with a layer over it that is thrown away.
CONTAINED = (
    "mkdir -p /run/contained && mount --bind / /run/contained && systemd-nspawn --quiet --directory=/run/contained"
    f" --volatile=overlay --register=no --keep-unit --bind-ro={UNPACKED}"
)
HOLD_LOCK = "import fcntl, time; file = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(file, fcntl.LOCK_EX); time.sleep(9999)"
# A kernel that calls itself something else; and a user of less patience with other package managers.
ALTERED = f"""import os, runpy, sys
sys.path.insert(0, "{UNPACKED}")
release, version, *sys.argv = sys.argv[1:]
true = os.uname()
if release:
    os.uname = lambda: os.uname_result((true.sysname, true.nodename, release, version, true.machine))
from installer.families import debian
debian.WAIT = "DPkg::Lock::Timeout=3"
runpy.run_path("{UNPACKED}", run_name="__main__")
"""
CORRUPTING = ("6.1.0-14-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.64-1 (2023-11-30)")


@pytest.fixture(scope="module")
def carrier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file that a user downloads, on a disk."""
    directory = tmp_path_factory.mktemp("installer")
    program, disk = directory / "hotcopy-install.pyz", directory / "disk.tar"
    pyz.build(program)
    with zipfile.ZipFile(program) as archive:
        archive.extractall(directory / "unpacked")
    altered = directory / "altered.py"
    altered.write_text(ALTERED, encoding="utf-8")
    with tarfile.open(disk, "w") as tar:
        tar.add(program, "hotcopy-install.pyz")
        tar.add(altered, "altered.py")
        tar.add(directory / "unpacked", "unpacked")
    return disk


@pytest.fixture
def fresh(bench: Bench, stock: str, carrier: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(stock).found), root])
    machine = Machine(disks=(Disk("installer", path=carrier, read_only=True),), root=root)
    with Guest(bench, stock, machine, files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-installer")
        guest.run(["sh", "-c", f"echo '{SPARING}' >/etc/dpkg/dpkg.cfg.d/bench"])
        yield guest


def install(guest: Guest, *words: str, status: int = 0, program: str = UNPACKED, before: str = "") -> Completed:
    """Runs hotcopy-install, which must end like this."""
    command = f"unset PYTHONDONTWRITEBYTECODE; {before} python3 {program} {' '.join(words)}"
    with step(f"hotcopy-install {' '.join(words)}"):
        done = guest.follow(command, timeout=LONG)
    assert done.status == status, done.output
    return done


def altered(guest: Guest, *words: str, status: int, kernel: tuple[str, str] = ("", "")) -> str:
    """Runs it as if this were the kernel; what it says."""
    argv = ["python3", "/run/altered.py", *kernel, UNPACKED, *words]
    with step(f"hotcopy-install {' '.join(words)}, as if on {kernel[0] or 'this kernel'}"):
        done = guest.follow(argv, timeout=LONG)
    assert done.status == status, done.output
    return done.output


def listing(guest: Guest) -> list[str]:
    """Every file, with type, mode and target."""
    return guest.run(LISTING, timeout=120).output.splitlines()


def works(guest: Guest) -> None:
    """What an installation is for, and that a second one changes nothing."""
    assert guest.run("hcp -l").output.strip() == "No Hot Copy sessions"
    assert guest.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert "hotcopy" in guest.run("dkms status").output
    guest.run("touch /run/stamp")
    assert "there is nothing to do" in install(guest).output  # no --yes: nothing is asked
    assert guest.run(CHANGED, timeout=120).output == ""


@pytest.mark.parametrize("stock", ["5.10", "6.1"])
def test_install_and_uninstall(fresh: Guest) -> None:
    before = listing(fresh)
    assert "a hot copy was taken to prove it" in install(fresh, "--yes", program=PROGRAM).output
    works(fresh)
    install(fresh, "uninstall", "--yes")
    assert listing(fresh) == before


def kill_in(guest: Guest, stage: str, program: str, words: str = "") -> None:
    """Kills an installation, and what it runs, as soon as this step runs this program."""
    guest.spawn(f"exec setsid python3 {PROGRAM} --yes {words} >/run/said 2>&1")
    begun = f'grep -q \'"key": "{stage}", "state": "begun"\' {JOURNAL} 2>/dev/null'
    alive = f"pgrep -f '^python3 {PROGRAM}' >/dev/null"
    with step(f"hotcopy-install until it runs {program} at the step {stage}"):
        wait = (
            f"sleep 3; until {begun} && pgrep -x {program}; do {alive} || {{ cat /run/said; exit 9; }}; sleep 0.2; done"
        )
        guest.run(wait, timeout=LONG)
    guest.run(
        f"pkill -KILL -f '^python3 {PROGRAM}'; pkill -KILL -x {program}; sleep 1; ! pgrep -f '^python3 {PROGRAM}'"
    )


def refusals(fresh: Guest) -> None:
    """Machines on which nothing is done."""
    said = altered(fresh, "--yes", status=ExitCode.REFUSED, kernel=CORRUPTING)
    assert "REFUSE  HC-BROKEN-EXT4-O-SYNC-CORRUPTION" in said
    assert "HC-CONTAINER" in install(fresh, "--yes", status=ExitCode.REFUSED, before=CONTAINED).output
    fresh.run("umount /run/contained && rmdir /run/contained")


def failures(fresh: Guest) -> None:
    """What is in the way, each for a while."""
    fresh.run("mount --bind /usr /usr && mount -o remount,bind,ro /usr")
    assert "HC-USR" in install(fresh, "--yes", status=ExitCode.READ_ONLY).output
    fresh.run("umount --lazy /usr")  # umount itself is there

    lacking = "sed -i 's/^Package: linux-headers-/Package: other-headers-/' /srv/mirror/Packages"
    fresh.run(f"cp -p /srv/mirror/Packages /run/ && {lacking}")
    assert "linux-headers" in install(fresh, "--yes", status=ExitCode.NO_HEADERS).output
    fresh.run("cp -p /run/Packages /srv/mirror/Packages")

    fresh.run(
        "cp /etc/apt/sources.list /run/ && echo 'deb [trusted=yes] http://mirror.invalid/ ./' >/etc/apt/sources.list"
    )
    assert "mirror cannot be reached" in install(fresh, "--yes", status=ExitCode.NO_NETWORK).output
    fresh.run("cp /run/sources.list /etc/apt/sources.list")

    holder = fresh.spawn(["python3", "-c", HOLD_LOCK])
    assert "another program is installing" in altered(fresh, "--yes", status=ExitCode.LOCKED)
    fresh.run(f"kill {holder}")

    fresh.run("fallocate -l $(($(stat -f -c '%a * %S' /) - (12 << 20))) /var/tmp/fill")
    assert "filesystem is full" in install(fresh, "--yes", status=ExitCode.NO_SPACE).output
    fresh.run("rm /var/tmp/fill")


@pytest.mark.parametrize("stock", ["6.12"])
def test_everything_that_can_happen(fresh: Guest) -> None:
    before = listing(fresh)
    refusals(fresh)
    assert listing(fresh) == before
    failures(fresh)

    kill_in(fresh, "packages", "dpkg")
    assert "stopped at the step 'packages'" in install(fresh, "doctor", status=ExitCode.REFUSED).output
    kill_in(fresh, "driver", "make")
    assert "a hot copy was taken to prove it" in install(fresh, "--yes", program=PROGRAM).output
    works(fresh)
    install(fresh, "doctor")

    fresh.run(HOT_COPY)
    assert "/dev/hcp1" in install(fresh, "uninstall", "--yes", status=ExitCode.IN_USE).output
    assert "/dev/hcp1" in fresh.run("hcp -l").output
    install(fresh, "uninstall", "--yes", "--remove-hot-copies")
    assert listing(fresh) == before
