# SPDX-License-Identifier: GPL-2.0-or-later
"""apt install hotcopy on a fresh machine: a signed repository, the real apt and dpkg, a stock kernel and systemd.

The driver comes compiled (hotcopy-modules-RELEASE), and no compiler is there: emulated, compiling one takes many minutes.
What DKMS does is tested at this host's speed: tests/packages/test_debian.py.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from hotcopy import __version__
from installer import pyz
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import fresh_image, init_files
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.run import run
from tests.driver.test_install import PROGRAM, kill_in
from tests.packages.building import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.older import OLDER, build_older
from tests.packages.prebuilt import build_modules, build_older_modules

pytestmark = [pytest.mark.guest, pytest.mark.installs]  # make test-packages

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
def carriers(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """For a kernel of the bench a disk: two versions, published; the newer as built; hotcopy-install, which knows no other."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    build_older(first, first, "--deb")
    hotcopy_install("build", "--deb", second)
    key = Keyring.make(tmp_path_factory.mktemp("gpg"))

    @cache
    def carrier(stock: str) -> Path:
        place = tmp_path_factory.mktemp("packages")
        for version, built in (("first", first), ("second", second)):
            shutil.copytree(built / "deb", place / version / "deb")
        build_older_modules(bench, stock, place / "first", first)
        build_modules(bench, stock, place / "second", place)
        with key.used():
            for version in ("first", "second"):
                words = ("--from", place / version, "--key", key.ours, "--url", "file:/run/repo")
                hotcopy_install("publish", place / "repo", *words)
        pyz.build(place / "hotcopy-install.pyz")
        with tarfile.open(place / "disk.tar", "w") as tar:
            tar.add(place / "repo", "repo")
            tar.add(place / "second", "packages")
            tar.add(place / "hotcopy-install.pyz", "hotcopy-install.pyz")
        return place / "disk.tar"

    yield carrier
    key.close()


@pytest.fixture
def fresh(bench: Bench, stock: str, carriers: Callable[[str], Path], tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy, with the repository at /run/repo, packages at /run/packages."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(stock).found), root])
    machine = Machine(disks=(Disk("carrier", path=carriers(stock), read_only=True),), root=root)
    with Guest(bench, stock, machine, files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-carrier")
        yield guest


def apt(guest: Guest, words: str, *, status: int = 0) -> str:
    """Runs apt-get, which must end like this; what it said."""
    done = guest.run(f"DEBIAN_FRONTEND=noninteractive apt-get -q -y {words} 2>&1", timeout=LONG, check=False)
    assert done.status == status, done.output
    return done.output


def hotcopy_install_in(guest: Guest, words: str) -> str:
    """Runs hotcopy-install, which must succeed; what it said."""
    return guest.run(f"python3 {PROGRAM} {words}", timeout=LONG).output


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


@pytest.mark.parametrize("stock", ["5.10", "6.1", "6.12"])
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


@pytest.mark.parametrize("stock", ["6.12"])
def test_the_installer_installs_from_a_directory(fresh: Guest) -> None:
    """hotcopy-install --from what build and build-modules have made: no network, no compiler; killed once on the way."""
    before = listing(fresh)
    words = "--from /run/packages"
    kill_in(fresh, "local-packages", "dpkg", words)
    assert "a hot copy was taken to prove it" in hotcopy_install_in(fresh, f"{words} --yes")
    assert fresh.run("command -v gcc make dkms", check=False).output == ""
    assert "there is nothing to do" in hotcopy_install_in(fresh, words)
    hotcopy_install_in(fresh, "doctor")
    hotcopy_install_in(fresh, "uninstall --yes")
    assert listing(fresh) == before
