# SPDX-License-Identifier: GPL-2.0-or-later
"""dnf install hotcopy: the real dnf, rpm and DKMS, a signed repository, a stock kernel and systemd.

There is no distribution with RPM here, so kernel and userland are Debian's; a package says what Debian brings.
"""

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
from tests.driver.test_packages import END, LISTING, LONG, ORIGIN, kept, loaded
from tests.packages.conftest import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.older import OLDER, build_older

pytestmark = pytest.mark.guest

KERNEL = "6.1"
HOST = """Name: host
Version: 1
Release: 1
Summary: What Debian brings
License: GPL-2.0-or-later
BuildArch: noarch
Provides: /bin/sh, /usr/bin/python3, python3 = 3.11, kmod, util-linux, dkms, gcc, make, elfutils-libelf-devel, systemd
%description
What Debian brings.
%files
"""
ADD = """set -e
rpm --install --force-debian --nodeps /run/host.rpm
mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d
cp /run/repo/hotcopy.asc /etc/pki/rpm-gpg/RPM-GPG-KEY-hotcopy
cp /run/repo/yum/el9/hotcopy.repo /etc/yum.repos.d/
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both versions, published, on a disk; and what the host brings."""
    place = tmp_path_factory.mktemp("packages")
    key = Keyring.make(tmp_path_factory.mktemp("gpg"))
    words = ("--rpm", "--target", "el9")
    build_older(place, place / "older", *words)
    hotcopy_install("build", *words, place / "newer")
    with key.used():
        for name in ("older", "newer"):
            given = ("--from", place / name, "--key", key.ours, "--url", "file:///run/repo")
            hotcopy_install("publish", place / "repo", *given)
    (place / "host.spec").write_text(HOST, encoding="utf-8")
    run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {place / 'top'}", place / "host.spec"])
    with tarfile.open(place / "disk.tar", "w") as tar:
        tar.add(place / "repo", "repo")
        tar.add(next((place / "top/RPMS").rglob("*.rpm")), "host.rpm")
    return place / "disk.tar"


@pytest.fixture
def guest(bench: Bench, repository: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine with dnf, DKMS and a compiler, which has never seen Hot Copy."""
    found = bench.prepare(KERNEL).found
    extra = ("dnf", "rpm", "dkms", "gcc", "make", f"linux-headers-{found.release}")
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, found, extra), root])
    machine = Machine(disks=(Disk("repository", path=repository, read_only=True),), root=root)
    with Guest(bench, KERNEL, machine, files=init_files()) as guest:
        guest.run("udevadm settle; tar -x -C /run -f /dev/disk/by-id/virtio-repository")
        yield guest


def dnf(guest: Guest, *words: str, check: bool = True) -> Completed:
    """Runs dnf."""
    done = guest.run(f"dnf -y --releasever=9 {' '.join(words)} 2>&1", timeout=LONG, check=False)
    assert not check or done.status == 0, done.output
    return done


def listing(guest: Guest) -> list[str]:
    """Every file, but for RPM's own."""
    return [line for line in guest.run(LISTING, timeout=120).output.splitlines() if "/var/lib/rpm" not in line]


def test_install_upgrade_and_erase(guest: Guest) -> None:
    guest.run(ADD, timeout=120)
    dnf(guest, "makecache")
    before = listing(guest)

    dnf(guest, "install", f"hotcopy-{OLDER}", f"hotcopy-dkms-{OLDER}")
    assert guest.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert guest.run("systemctl is-active hotcopy.service").output.strip() == "active"
    assert "installed" in guest.run("dkms status hotcopy").output
    guest.run(f"{ORIGIN}\nhcp --skip-mount /dev/loop0\necho after >/run/mounted/file; sync")
    assert loaded(guest) == OLDER

    dnf(guest, "upgrade", "hotcopy", "hotcopy-dkms")
    assert guest.run("modinfo -F version hcpdriver").output.strip() == __version__
    assert OLDER not in guest.run("dkms status").output
    assert "/dev/hcp1" in guest.run("hcp -l").output and loaded(guest) == OLDER and kept(guest) == "before"
    assert guest.run("systemctl is-active hotcopy.service").output.strip() == "active"

    assert "hcp --remove --all" in dnf(guest, "remove", "hotcopy", check=False).output
    assert "/dev/hcp1" in guest.run("hcp -l").output and kept(guest) == "before"
    assert guest.run("rpm -q hotcopy").output.startswith(f"hotcopy-{__version__}-1")

    guest.run("hcp -r --all; while pgrep hcp-keeper; do sleep 0.2; done; hcp --skip-mount /dev/loop0")
    assert loaded(guest) == __version__ and kept(guest) == "after"
    guest.run(END, timeout=120)

    dnf(guest, "remove", "hotcopy", "hotcopy-dkms")
    assert not guest.run("ls -d /sys/module/hcpdriver", check=False).output.startswith("/sys")
    assert listing(guest) == before
