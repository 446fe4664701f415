# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install on fresh machines: a stock kernel, the real systemd, no compiler, no headers, a mirror of packages."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import pyz
from installer.exitcodes import ExitCode
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import fresh_image, init_files
from tests.driver.bench.guest import Completed, Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.run import run

pytestmark = pytest.mark.guest

STOCK = ("5.10", "6.1", "6.12")  # Debian 11, 12 and 13 as they come
PROGRAM = "/run/hotcopy-install.pyz"
JOURNAL = "/var/lib/hotcopy-install/journal.jsonl"
LONG = 2400.0  # seconds for apt, gcc and DKMS, emulated, beside other guests
# What package managers, systemd and the bench itself keep or change.
KEPT = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/hotcopy", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log"),
    *("/var/tmp", "/var/lib/systemd"),
)
PRUNED = " -o ".join(f"-path {path}" for path in KEPT)
LISTING = f"find / \\( {PRUNED} \\) -prune -o -printf '%y %m %p %l\\n' | sort"
HOT_COPY = """set -e
truncate -s 64M /run/disk
mkfs.ext4 -q /run/disk
loop=$(losetup --find --show /run/disk)
mkdir /run/mounted
mount $loop /run/mounted
hcp --skip-mount $loop
"""
HOLD_LOCK = "import fcntl, time; file = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(file, fcntl.LOCK_EX); time.sleep(9999)"


@pytest.fixture(scope="module")
def carrier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file that a user downloads, on a disk."""
    directory = tmp_path_factory.mktemp("installer")
    program, disk = directory / "hotcopy-install.pyz", directory / "disk.tar"
    pyz.build(program)
    with tarfile.open(disk, "w") as tar:
        tar.add(program, "hotcopy-install.pyz")
    return disk


@pytest.fixture
def fresh(bench: Bench, stock: str, carrier: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(stock).found), root])
    machine = Machine(disks=(Disk("installer", path=carrier, read_only=True),), root=root)
    with Guest(bench, stock, machine, files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-installer")
        yield guest


def install(guest: Guest, *words: str, status: int = 0, before: str = "") -> Completed:
    """Runs hotcopy-install, which must end like this."""
    done = guest.run(f"{before} python3 {PROGRAM} {' '.join(words)}", timeout=LONG, check=False)
    assert done.status == status, done.output
    return done


def listing(guest: Guest) -> list[str]:
    """Every file, with type, mode and target."""
    return guest.run(LISTING, timeout=120).output.splitlines()


@pytest.mark.parametrize("stock", STOCK)
def test_install_and_uninstall(fresh: Guest) -> None:
    before = listing(fresh)
    planned = json.loads(install(fresh, "plan", "--json").output)
    assert [step["key"] for step in planned["steps"]] == ["packages", "files", "driver", "services", "verify"]
    assert listing(fresh) == before

    assert "a hot copy was taken to prove it" in install(fresh, "--yes").output
    assert fresh.run("hcp -l").output.strip() == "No Hot Copy sessions"
    assert fresh.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert "hotcopy" in fresh.run("dkms status").output
    install(fresh, "doctor")

    installed = listing(fresh)
    assert "there is nothing to do" in install(fresh).output  # no --yes: nothing is asked
    assert listing(fresh) == installed

    fresh.run(HOT_COPY)
    assert "/dev/hcp1" in install(fresh, "uninstall", "--yes", status=ExitCode.IN_USE).output
    assert "/dev/hcp1" in fresh.run("hcp -l").output
    install(fresh, "uninstall", "--yes", "--remove-hot-copies")
    assert listing(fresh) == before
    assert "nothing to take away" in install(fresh, "uninstall").output


def kill_in(guest: Guest, step: str, program: str) -> None:
    """Kills an installation, and what it runs, as soon as this step runs this program."""
    guest.spawn(f"exec setsid python3 {PROGRAM} --yes")
    begun = f'grep -q \'"key": "{step}", "state": "begun"\' {JOURNAL} 2>/dev/null'
    alive = f"pgrep -f '^python3 {PROGRAM}' >/dev/null"
    guest.run(f"sleep 3; until {begun} && pgrep -x {program}; do {alive} || exit 9; sleep 0.2; done", timeout=LONG)
    guest.run(
        f"pkill -KILL -f '^python3 {PROGRAM}'; pkill -KILL -x {program}; sleep 1; ! pgrep -f '^python3 {PROGRAM}'"
    )


@pytest.mark.parametrize("stock", ["6.12"])
def test_refusals_failures_and_kills(fresh: Guest) -> None:
    before = listing(fresh)
    old = install(fresh, "--yes", status=ExitCode.REFUSED, before="setarch --uname-2.6")
    assert "is older than" in old.output
    contained = "unshare --mount --pid --fork --mount-proc env container=lxc"
    assert "HC-CONTAINER" in install(fresh, "--yes", status=ExitCode.REFUSED, before=contained).output
    assert listing(fresh) == before

    fresh.run("fallocate -l $(($(stat -f -c '%a * %S' /) - (40 << 20))) /var/tmp/fill")
    assert "filesystem is full" in install(fresh, "--yes", status=ExitCode.NO_SPACE).output
    fresh.run("rm /var/tmp/fill")

    fresh.run(
        "cp /etc/apt/sources.list /run/ && echo 'deb [trusted=yes] http://mirror.invalid/ ./' >/etc/apt/sources.list"
    )
    assert "mirror cannot be reached" in install(fresh, "--yes", status=ExitCode.NO_NETWORK).output
    fresh.run("cp /run/sources.list /etc/apt/sources.list")

    holder = fresh.spawn(["python3", "-c", HOLD_LOCK])
    assert "another program is installing" in install(fresh, "--yes", status=ExitCode.LOCKED).output
    fresh.run(f"kill {holder}")

    kill_in(fresh, "packages", "dpkg")
    assert "stopped at the step 'packages'" in install(fresh, "doctor", status=ExitCode.REFUSED).output
    kill_in(fresh, "driver", "make")
    assert "a hot copy was taken to prove it" in install(fresh, "--yes").output
    install(fresh, "doctor")
    install(fresh, "uninstall", "--yes")
    assert listing(fresh) == before
