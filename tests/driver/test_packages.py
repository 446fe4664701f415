# SPDX-License-Identifier: GPL-2.0-or-later
"""apt install hotcopy on a fresh machine: a signed repository, the real apt and dpkg, a stock kernel and systemd.

The driver comes compiled (hotcopy-modules-RELEASE), and no compiler is there: emulated, gcc takes a quarter of an hour for it.
What DKMS does is tested at this host's speed: tests/packages/test_debian.py.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotcopy import __version__
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import fresh_image, init_files
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.run import run
from tests.packages.conftest import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.older import OLDER, build_older
from tests.packages.prebuilt import build_modules, build_older_modules

pytestmark = [pytest.mark.guest, pytest.mark.installs]  # make test-packages: eight minutes

KERNEL = "6.1"
LONG = 1200.0  # seconds for apt, emulated, beside other guests
# What package managers, systemd and the bench itself keep or change.
KEPT = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/hotcopy", "/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log"),
    *("/var/tmp", "/var/lib/systemd"),
)
PRUNED = " -o ".join(f"-path {path}" for path in KEPT)
LISTING = f"find / \\( {PRUNED} \\) -prune -o -printf '%y %m %p %l\\n' | sort"
# What index.html says, with a directory for the server.
ADD = """set -e
cp /run/repo/hotcopy-archive-keyring.gpg /usr/share/keyrings/
cp /run/repo/apt/hotcopy.sources /etc/apt/sources.list.d/
apt-get -q update
"""
FORGET = "rm /etc/apt/sources.list.d/hotcopy.sources /usr/share/keyrings/hotcopy-archive-keyring.gpg"
ORIGIN = """set -e
truncate -s 64M /run/disk
mkfs.ext4 -q /run/disk
losetup /dev/loop0 /run/disk
mkdir -p /run/mounted
mount /dev/loop0 /run/mounted
echo before >/run/mounted/file
hcp --skip-mount /dev/loop0
echo after >/run/mounted/file
sync
"""
# The keeper goes a moment after the last hot copy.
END = "hcp -r --all; while pgrep hcp-keeper; do sleep 0.2; done"


@pytest.fixture(scope="module")
def repository(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions, published, on a disk."""
    place = tmp_path_factory.mktemp("packages")
    key = Keyring.make(tmp_path_factory.mktemp("gpg"))
    build_older(place, place / "first", "--deb")
    build_older_modules(bench, KERNEL, place / "first", place)
    hotcopy_install("build", "--deb", place / "second")
    build_modules(bench, KERNEL, place / "second", place)
    with key.used():
        for name in ("first", "second"):
            words = ("--from", place / name, "--key", key.ours, "--url", "file:/run/repo")
            hotcopy_install("publish", place / "repo", *words)
    key.close()
    with tarfile.open(place / "disk.tar", "w") as tar:
        tar.add(place / "repo", "repo")
    return place / "disk.tar"


@pytest.fixture
def fresh(bench: Bench, repository: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy, with the repository at /run/repo."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(KERNEL).found), root])
    machine = Machine(disks=(Disk("repository", path=repository, read_only=True),), root=root)
    with Guest(bench, KERNEL, machine, files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-repository")
        yield guest


def apt(guest: Guest, words: str, *, status: int = 0) -> str:
    """Runs apt-get, which must end like this; what it said."""
    done = guest.run(f"DEBIAN_FRONTEND=noninteractive apt-get -q -y {words} 2>&1", timeout=LONG, check=False)
    assert done.status == status, done.output
    return done.output


def listing(guest: Guest) -> list[str]:
    """Every file, with type, mode and target."""
    return guest.run(LISTING, timeout=120).output.splitlines()


def loaded(guest: Guest) -> str:
    """The version of the driver in the kernel."""
    return guest.run("cat /sys/module/hcpdriver/version").output.strip()


def kept(guest: Guest) -> str:
    """A file as the first hot copy has it; the origin may have another."""
    script = "mkdir -p /run/seen && mount -o ro,noload /dev/hcp1 /run/seen && cat /run/seen/file; umount /run/seen"
    return guest.run(script).output.strip()


def test_install_upgrade_and_purge(fresh: Guest) -> None:
    before = listing(fresh)
    fresh.run(ADD, timeout=120)
    release = fresh.run("uname -r").output.strip()
    apt(fresh, f"install hotcopy={OLDER}-1 hotcopy-modules-{release}={OLDER}-1")
    assert fresh.run("command -v gcc make dkms", check=False).output == ""
    assert fresh.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert "updates/hotcopy" in fresh.run("modinfo -n hcpdriver").output
    fresh.run(ORIGIN, timeout=120)
    assert loaded(fresh) == OLDER and kept(fresh) == "before"

    apt(fresh, f"install hotcopy hotcopy-modules-{release}")
    assert fresh.run("modinfo -F version hcpdriver").output.strip() == __version__
    assert "/dev/hcp1" in fresh.run("hcp -l").output and loaded(fresh) == OLDER and kept(fresh) == "before"
    assert fresh.run("systemctl is-active hotcopy.service").output.strip() == "active"

    assert "hcp --remove --all" in apt(fresh, "remove hotcopy", status=100)
    assert "/dev/hcp1" in fresh.run("hcp -l").output and kept(fresh) == "before"

    fresh.run(f"{END}; hcp --skip-mount /dev/loop0", timeout=120)
    assert loaded(fresh) == __version__ and kept(fresh) == "after"
    fresh.run(f"{END}; umount /run/mounted; losetup -d /dev/loop0", timeout=120)

    apt(fresh, f"purge hotcopy hotcopy-modules-{release}")
    assert fresh.run("ls -d /sys/module/hcpdriver", check=False).status != 0
    fresh.run(FORGET)
    assert listing(fresh) == before
