# SPDX-License-Identifier: GPL-2.0-or-later
"""apt install hotcopy on fresh machines: a signed repository, the real apt, dpkg and DKMS, a stock kernel and systemd."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.packages.prebuilt import build_modules

pytestmark = pytest.mark.guest

PREBUILT = "6.1"
LATER = "7.x"  # to which 6.12 is upgraded: the same release's backports
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
# The keeper goes a moment after the last hot copy.
END = "hcp -r --all; while pgrep hcp-keeper; do sleep 0.2; done; umount /run/mounted; losetup -d /dev/loop0"
FORGET = "rm /etc/apt/sources.list.d/hotcopy.sources /usr/share/keyrings/hotcopy-archive-keyring.gpg"


@pytest.fixture(scope="module")
def repository(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both versions, published, on a disk; and the driver, compiled for one kernel."""
    place = tmp_path_factory.mktemp("packages")
    key = Keyring.make(tmp_path_factory.mktemp("gpg"))
    build_older(place, place / "older", "--deb")
    hotcopy_install("build", "--deb", place / "newer")
    build_modules(bench, PREBUILT, place / "newer", place)
    with key.used():
        for name in ("older", "newer"):
            words = ("--from", place / name, "--key", key.ours, "--url", "file:/run/repo")
            hotcopy_install("publish", place / "repo", *words)
    with tarfile.open(place / "disk.tar", "w") as tar:
        tar.add(place / "repo", "repo")
    return place / "disk.tar"


def machine(root: Path, repository: Path) -> Machine:
    """A machine with this root and a disk with the repository."""
    return Machine(disks=(Disk("repository", path=repository, read_only=True),), root=root)


@contextmanager
def booted(bench: Bench, kernel: str, root: Path, repository: Path) -> Iterator[Guest]:
    """A boot of it, with the repository at /run/repo."""
    with Guest(bench, kernel, machine(root, repository), files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-repository")
        yield guest


@pytest.fixture
def fresh(bench: Bench, stock: str, repository: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(stock).found), root])
    with booted(bench, stock, root, repository) as guest:
        yield guest


def apt(guest: Guest, *words: str, status: int = 0) -> Completed:
    """Runs apt-get, which must end like this."""
    # INITRD: the kernel's hook would build an initramfs that nobody boots.
    command = f"INITRD=No DEBIAN_FRONTEND=noninteractive apt-get -q -y {' '.join(words)} 2>&1"
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


def is_refused(guest: Guest) -> None:
    """Removing hcp with a hot copy active; the hot copy does not notice."""
    assert "hcp --remove --all" in apt(guest, "remove", "hotcopy", status=100).output
    assert "/dev/hcp1" in guest.run("hcp -l").output and kept(guest) == "before"


def purge(guest: Guest, before: list[str]) -> None:
    """What is left is what was there."""
    guest.run(END, timeout=120)
    apt(guest, "purge", "hotcopy", "hotcopy-dkms")
    assert guest.run("ls -d /sys/module/hcpdriver", check=False).status != 0
    guest.run(FORGET)
    assert listing(guest) == before


def prepared(guest: Guest) -> list[str]:
    """The distribution's own packages and the repository come first, so that they are not among what has to go."""
    apt(guest, "update")
    apt(guest, "install", "dkms", "linux-headers-$(uname -r)")
    before = listing(guest)
    guest.run(ADD, timeout=120)
    return before


@pytest.mark.parametrize("stock", ["5.10", "6.12"])
def test_install_and_purge(fresh: Guest) -> None:
    before = prepared(fresh)
    apt(fresh, "install", "hotcopy")
    assert fresh.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert "installed" in fresh.run("dkms status").output
    fresh.run(f"{ORIGIN}\nhcp --skip-mount /dev/loop0\necho after >/run/mounted/file; sync")
    assert loaded(fresh) == __version__ and kept(fresh) == "before"
    is_refused(fresh)
    purge(fresh, before)


@pytest.mark.parametrize("stock", ["6.1"])
def test_upgrade_with_a_hot_copy_active(fresh: Guest) -> None:
    before = prepared(fresh)
    apt(fresh, "install", f"hotcopy={OLDER}-1", f"hotcopy-dkms={OLDER}-1")
    fresh.run(f"{ORIGIN}\nhcp --skip-mount /dev/loop0\necho after >/run/mounted/file; sync")
    assert loaded(fresh) == OLDER

    apt(fresh, "install", "hotcopy")
    assert fresh.run("modinfo -F version hcpdriver").output.strip() == __version__
    assert "/dev/hcp1" in fresh.run("hcp -l").output and loaded(fresh) == OLDER and kept(fresh) == "before"
    assert fresh.run("systemctl is-active hotcopy.service").output.strip() == "active"
    is_refused(fresh)

    fresh.run("hcp -r --all; while pgrep hcp-keeper; do sleep 0.2; done; hcp --skip-mount /dev/loop0")
    assert loaded(fresh) == __version__ and kept(fresh) == "after"
    purge(fresh, before)


@pytest.mark.parametrize("stock", [PREBUILT])
def test_a_compiled_driver_without_a_compiler(fresh: Guest) -> None:
    before = listing(fresh)
    fresh.run(ADD, timeout=120)
    apt(fresh, "install", "hotcopy", "hotcopy-modules-$(uname -r)")
    assert fresh.run("command -v gcc make dkms", check=False).output == ""
    fresh.run(f"{ORIGIN}\nhcp --skip-mount /dev/loop0\necho after >/run/mounted/file; sync")
    assert loaded(fresh) == __version__ and kept(fresh) == "before"
    assert "updates/hotcopy" in fresh.run("modinfo -n hcpdriver").output
    fresh.run(END, timeout=120)
    apt(fresh, "purge", "hotcopy", "hotcopy-modules-$(uname -r)")
    fresh.run(FORGET)
    assert listing(fresh) == before


def test_kernel_upgrade(bench: Bench, repository: Path, tmp_path: Path) -> None:
    """To another ABI: first with a driver that does not build there, which is no reason for the kernel's package to fail.

    The headers of the kernel before it are missing, which is none either.
    """
    found, later = bench.prepare("6.12").found, bench.prepare(LATER).found
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, found, later=later), root])
    source = f"/usr/src/hotcopy-{__version__}/main.c"
    headers = f"linux-headers-{later.release}"
    with booted(bench, "6.12", root, repository) as guest:
        guest.run(ADD, timeout=120)
        said = apt(guest, "install", "hotcopy").output  # all that it depends on comes along
        assert f"the headers of kernel {found.release} are not installed" in said, said
        guest.run(f"cp {source} /run/main.c; echo '#error not for this kernel' >>{source}")
        said = apt(guest, "install", later.package, headers).output
        assert f"the driver cannot be built for kernel {later.release}" in said, said
        assert (
            guest.run(f"dpkg -s {later.package} {headers} | grep -c 'Status: install ok installed'").output.strip()
            == "2"
        )
        guest.run(f"cp /run/main.c {source}")
        apt(guest, "install", "--reinstall", headers)
    with booted(bench, LATER, root, repository) as guest:
        assert guest.run("uname -r").output.strip() == later.release
        guest.run(f"{ORIGIN}\nhcp --skip-mount /dev/loop0\necho after >/run/mounted/file; sync")
        assert loaded(guest) == __version__ and kept(guest) == "before"
        guest.run(END, timeout=120)
