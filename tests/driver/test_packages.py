# SPDX-License-Identifier: GPL-2.0-or-later
"""apt install hotcopy on fresh machines: a signed repository, the real apt, dpkg and DKMS, a stock kernel and systemd."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotcopy import __version__
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import fresh_image, init_files
from tests.driver.bench.guest import Completed, Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.run import run
from tests.packages.conftest import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.older import OLDER, build_older

pytestmark = pytest.mark.guest

LONG = 2400.0  # seconds for apt, gcc and DKMS, emulated, beside other guests
# What package managers, systemd and the bench itself keep or change; mok.* is the key that DKMS makes for the machine.
KEPT = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/hotcopy", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log"),
    *("/var/tmp", "/var/lib/systemd", "/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub"),
)
PRUNED = " -o ".join(f"-path {path}" for path in KEPT)
LISTING = f"find / \\( {PRUNED} \\) -prune -o -printf '%y %m %p %l\\n' | sort"
# What index.html says, with a directory for the server.
ADD = """set -e
cp /run/repo/hotcopy-archive-keyring.gpg /usr/share/keyrings/
cp /run/repo/apt/hotcopy.sources /etc/apt/sources.list.d/
apt-get -q update
"""
ORIGIN = """set -e
truncate -s 64M /run/disk
mkfs.ext4 -q /run/disk
losetup /dev/loop0 /run/disk
mkdir -p /run/mounted
mount /dev/loop0 /run/mounted
echo before >/run/mounted/file
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both versions, published, on a disk."""
    place = tmp_path_factory.mktemp("packages")
    key = Keyring.make(tmp_path_factory.mktemp("gpg"))
    build_older(place, place / "older", "--deb")
    hotcopy_install("build", "--deb", place / "newer")
    with key.used():
        for name in ("older", "newer"):
            words = ("--from", place / name, "--key", key.ours, "--url", "file:/run/repo")
            hotcopy_install("publish", place / "repo", *words)
    with tarfile.open(place / "disk.tar", "w") as tar:
        tar.add(place / "repo", "repo")
    return place / "disk.tar"


@pytest.fixture
def fresh(bench: Bench, stock: str, repository: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy, with the repository at /run/repo."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(stock).found), root])
    machine = Machine(disks=(Disk("repository", path=repository, read_only=True),), root=root)
    with Guest(bench, stock, machine, files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-repository")
        yield guest


def apt(guest: Guest, *words: str, status: int = 0) -> Completed:
    """Runs apt-get, which must end like this."""
    command = f"DEBIAN_FRONTEND=noninteractive apt-get -q -y {' '.join(words)} 2>&1"
    done = guest.run(command, timeout=LONG, check=False)
    assert done.status == status, done.output
    return done


def listing(guest: Guest) -> list[str]:
    """Every file, with type, mode and target."""
    return guest.run(LISTING, timeout=120).output.splitlines()


def loaded(guest: Guest) -> str:
    """The version of the driver in the kernel."""
    return guest.run("cat /sys/module/hcpdriver/version").output.strip()


def kept(guest: Guest) -> str:
    """A file as the first hot copy has it; the origin has another."""
    script = "mkdir -p /run/seen && mount -o ro,noload /dev/hcp1 /run/seen && cat /run/seen/file; umount /run/seen"
    return guest.run(script).output.strip()


@pytest.mark.parametrize("stock", ["5.10", "6.1", "6.12"])
def test_install_upgrade_and_purge(fresh: Guest) -> None:
    apt(fresh, "update")
    apt(fresh, "install", "dkms", "linux-headers-$(uname -r)")  # the distribution's own: they stay
    before = listing(fresh)
    fresh.run(ADD, timeout=120)

    apt(fresh, "install", f"hotcopy={OLDER}-1", f"hotcopy-dkms={OLDER}-1")
    assert fresh.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert "installed" in fresh.run("dkms status hotcopy").output
    fresh.run(f"{ORIGIN}\nhcp --skip-mount /dev/loop0\necho after >/run/mounted/file; sync")
    assert loaded(fresh) == OLDER

    apt(fresh, "install", "hotcopy")
    assert fresh.run("modinfo -F version hcpdriver").output.strip() == __version__
    assert "/dev/hcp1" in fresh.run("hcp -l").output and loaded(fresh) == OLDER and kept(fresh) == "before"
    assert fresh.run("systemctl is-active hotcopy.service").output.strip() == "active"

    assert "hcp --remove --all" in apt(fresh, "remove", "hotcopy", status=100).output
    assert "/dev/hcp1" in fresh.run("hcp -l").output and kept(fresh) == "before"

    fresh.run("hcp -r --all; while pgrep hcp-keeper; do sleep 0.2; done; hcp --skip-mount /dev/loop0")
    assert loaded(fresh) == __version__ and kept(fresh) == "after"
    fresh.run("hcp -r --all; while pgrep hcp-keeper; do sleep 0.2; done; umount /run/mounted; losetup -d /dev/loop0")

    apt(fresh, "purge", "hotcopy", "hotcopy-dkms")
    assert not fresh.run("ls -d /sys/module/hcpdriver", check=False).output.startswith("/sys")
    fresh.run("rm /etc/apt/sources.list.d/hotcopy.sources /usr/share/keyrings/hotcopy-archive-keyring.gpg")
    assert listing(fresh) == before
