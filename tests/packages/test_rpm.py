# SPDX-License-Identifier: GPL-2.0-or-later
"""The real dnf, rpm and DKMS, in a tree that is booted then: scriptlets, and what is built, works, is kept and left.

There is no distribution with RPM here, so kernel and userland are Debian's; a package says what Debian brings.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hotcopy import __version__
from installer.exitcodes import ExitCode
from tests.driver.bench.bench import Bench
from tests.packages.booted import FROM_SERVED, booted, install_in, with_installer, works
from tests.packages.building import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.machine_key import give_key, is_signed
from tests.packages.older import OLDER, build_older
from tests.packages.rpmhost import ADD, HOST_BRINGS, OWN, build_host
from tests.packages.test_debian import listing, versions
from tests.packages.trees import Tree, debian_tree

KERNEL = "6.1"
ALMALINUX = """NAME="AlmaLinux"
ID="almalinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PRETTY_NAME="AlmaLinux 9.6 (Sage Margay)"
"""


@pytest.fixture(scope="module")
def repository(built: Path, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both versions, published; and what the host brings."""
    place = tmp_path_factory.mktemp("both-rpm")
    build_older(place, place / "older", "--rpm", "--target", "el9")
    (place / "newer/rpm").mkdir(parents=True)
    (place / "newer/rpm/el9").symlink_to(built / "rpm/el9")
    with keyring.used():
        for name in ("older", "newer"):
            given = ("--from", place / name, "--key", keyring.ours, "--url", "file:///run/repo")
            hotcopy_install("publish", place / "repo", *given)
    build_host(place / "repo/host.rpm")
    return place / "repo"


def dnf(tree: Tree, words: str, *, check: bool = True) -> tuple[int, str]:
    """Runs dnf; what only concerns a real distribution is off."""
    return tree.run(f"dnf -y --releasever=9 {words}", check=check)


def files(tree: Tree) -> list[str]:
    """Every file, but for RPM's own."""
    return [line for line in listing(tree) if not any(path in line for path in OWN)]


@pytest.mark.installs
def test_install_upgrade_and_erase(bench: Bench, repository: Path, tmp_path: Path) -> None:
    release = bench.prepare(KERNEL).found.release
    tree = debian_tree(bench, KERNEL, tmp_path / "tree", repository, ("dnf", "rpm"))
    tree.run(ADD)
    dnf(tree, "makecache")
    give_key(tree, tmp_path / "key")
    before = files(tree)
    said = dnf(tree, f"install hotcopy-{OLDER} hotcopy-dkms-{OLDER}")[1]
    assert versions(tree, release) == OLDER, said
    assert is_signed(tree, release), said
    assert tree.run("rpm -q gpg-pubkey")[1].startswith("gpg-pubkey-")  # it came with the first signed package

    said = dnf(tree, "upgrade hotcopy hotcopy-dkms")[1]
    assert tree.run("rpm -q hotcopy")[1].startswith(f"hotcopy-{__version__}-1.el9")
    assert versions(tree, release) == __version__, f"the old package's %preun took the new driver away\n{said}"
    assert OLDER not in tree.run("dkms status")[1] and is_signed(tree, release), said
    assert tree.run("hcp --help")[1].startswith("usage: hcp")
    assert tree.run("ls /usr/lib/hotcopy/hotcopy/__pycache__")[0] == 0

    with booted(bench, KERNEL, tree, release) as guest:
        guest.run("mkdir -p /dev/shm && systemctl daemon-reload")
        works(guest)

    # The scriptlet looks for disks of this name; a directory is enough for it.
    tree.run("mkdir -p /sys/block/hcp1")
    status, said = dnf(tree, "remove hotcopy", check=False)
    assert status != 0 and "hcp --remove --all" in said, said
    assert tree.run("rpm -q hotcopy")[0] == 0 and tree.run("test -x /usr/sbin/hcp")[0] == 0
    tree.run("rm -r /sys/block")

    dnf(tree, "remove hotcopy hotcopy-dkms")
    assert __version__ not in versions(tree, release)
    assert files(tree) == before


@pytest.mark.installs
def test_the_installer_installs_from_the_repository(bench: Bench, repository: Path, tmp_path: Path) -> None:
    """hotcopy-install --repo on what calls itself AlmaLinux 9, all of it in the guest: dnf, signatures, DKMS, the proof."""
    release = bench.prepare(KERNEL).found.release
    tree = debian_tree(bench, KERNEL, tmp_path / "tree", repository, ("dnf", "rpm"))
    tree.run(HOST_BRINGS)
    tree.run(f"printf '{ALMALINUX}' >/etc/os-release.new && mv /etc/os-release.new /etc/os-release")
    with with_installer(bench, KERNEL, tree, release, repository, tmp_path) as guest:
        spoilt = "/run/repo/yum/el9/repodata/repomd.xml"
        guest.run(f"cp {spoilt} /run/ && echo '<!-- -->' >>{spoilt}")
        said = install_in(guest, f"{FROM_SERVED} --yes", status=ExitCode.FAILED)
        assert "not signed by the key" in said, said
        guest.run(f"cp /run/repomd.xml {spoilt}")
        assert "a hot copy was taken to prove it" in install_in(guest, f"{FROM_SERVED} --yes")
        assert guest.run("rpm -q hotcopy hotcopy-dkms").output.count(f"{__version__}-1.el9") == 2
        assert "there is nothing to do" in install_in(guest, FROM_SERVED)
        install_in(guest, "uninstall --yes")
        assert guest.run("rpm -q hotcopy hotcopy-dkms gpg-pubkey", check=False).output.count("is not installed") == 3
        left = "ls -d /etc/yum.repos.d/hotcopy.repo /etc/pki/rpm-gpg/RPM-GPG-KEY-hotcopy /usr/sbin/hcp /var/lib/hotcopy-install"
        assert guest.run(left, check=False).output.count("cannot access") == 4
