# SPDX-License-Identifier: GPL-2.0-or-later
"""The real apt, dpkg and DKMS of Debian 11, 12 and 13, in trees that are booted then: what is built, works, is kept and left.

Emulated, a compiler takes minutes for the driver; here it is compiled at this host's speed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotcopy import __version__
from installer.exitcodes import ExitCode
from tests.driver.bench.bench import Bench
from tests.driver.bench.kernels import locate
from tests.packages.booted import FROM_SERVED, SERVED, UNPACK, booted, install_in, with_installer, works
from tests.packages.building import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.machine_key import give_key, is_signed
from tests.packages.older import OLDER, build_older
from tests.packages.trees import Tree, debian_tree

# What apt and dpkg keep; mok.* is the key that DKMS makes for the machine.
KEPT = (
    "/proc",
    "/run",
    "/tmp",
    "/dev",
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/cache",
    "/var/log",
    "/var/lib/dkms/mok.key",
    "/var/lib/dkms/mok.pub",
    "/usr/lib/python3/dist-packages/__pycache__",  # of lsb_release, which Debian 11's DKMS runs
)
PRUNED = " -o ".join(f"-path {path}" for path in KEPT)
LISTING = f"find / \\( {PRUNED} \\) -prune -o -printf '%y %m %p %l\\n' | sort"
ADD = """cp /run/repo/hotcopy-archive-keyring.gpg /usr/share/keyrings/ &&
cp /run/repo/apt/hotcopy.sources /etc/apt/sources.list.d/ && apt-get -q -o APT::Sandbox::User=root update"""
FORGET = "rm /etc/apt/sources.list.d/hotcopy.sources /usr/share/keyrings/hotcopy-archive-keyring.gpg"


@pytest.fixture(scope="module")
def repository(built: Path, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both versions, published."""
    place = tmp_path_factory.mktemp("both")
    build_older(place, place / "older", "--deb")
    (place / "newer").mkdir()
    (place / "newer/deb").symlink_to(built / "deb")
    with keyring.used():
        for name in ("older", "newer"):
            words = ("--from", place / name, "--key", keyring.ours, "--url", "file:/run/repo")
            hotcopy_install("publish", place / "repo", *words)
    return place / "repo"


def listing(tree: Tree) -> list[str]:
    """Every file, with type, mode and target."""
    return tree.run(LISTING)[1].splitlines()


def versions(tree: Tree, release: str) -> str:
    """Of the driver that is installed for this kernel."""
    return tree.run(f"modinfo -k {release} -F version hcpdriver", check=False)[1].strip()


def boot_it(bench: Bench, stock: str, tree: Tree, release: str) -> None:
    """What is installed works, and hotcopy-install finds it."""
    with booted(bench, stock, tree, release) as guest:
        works(guest)
        assert "a hot copy was taken to prove it" in guest.run("hotcopy-install --yes", timeout=300).output
        assert "there is nothing to do" in guest.run("hotcopy-install", timeout=120).output
        guest.run("hotcopy-install doctor", timeout=120)


LATER = pytest.mark.installs  # make test-packages: each costs two minutes and more of a core


@pytest.mark.parametrize(
    ("stock", "boot"),
    [
        pytest.param("6.12", False, id="6.12-not-booted"),  # make test boots the matrix's trees
        *(pytest.param(stock, True, id=stock, marks=LATER) for stock in ("5.10", "6.1", "6.12")),
    ],
)
def test_install_upgrade_and_purge(bench: Bench, stock: str, boot: bool, repository: Path, tmp_path: Path) -> None:
    tree, release = debian_tree(bench, stock, tmp_path / "tree", repository), bench.prepare(stock).found.release
    give_key(tree, tmp_path / "key")
    before = listing(tree)
    tree.run(ADD)
    said = tree.apt(f"install hotcopy={OLDER}-1 hotcopy-dkms={OLDER}-1")[1]
    assert versions(tree, release) == OLDER, said
    assert is_signed(tree, release), said
    assert f"hotcopy, {OLDER}, {release}" in tree.run("dkms status")[1].replace("hotcopy/", "hotcopy, ")

    said = tree.apt("install hotcopy")[1]
    assert versions(tree, release) == __version__ and OLDER not in tree.run("dkms status")[1], said
    assert is_signed(tree, release), said
    assert tree.run("hcp --help")[1].startswith("usage: hcp")
    tree.apt("install hotcopy-installer")
    if boot:
        boot_it(bench, stock, tree, release)

    tree.apt("remove hotcopy")
    tree.apt("install hotcopy")
    assert tree.run("hcp --help")[1].startswith("usage: hcp")
    tree.apt("remove hotcopy hotcopy-dkms")
    assert __version__ not in versions(tree, release)
    tree.apt("purge --autoremove hotcopy hotcopy-dkms hotcopy-installer")
    tree.run(FORGET)
    assert listing(tree) == before


OTHERS = {
    "5.10": "5[.]10[.]0-[0-9]+-amd64",
    "6.1": "6[.]1[.]0-[0-9]+-amd64",
    "6.12": "6[.]12[.][0-9]+[+]deb13-amd64",
}


@LATER
@pytest.mark.parametrize("stock", OTHERS)
def test_kernels_come_and_go_whatever_the_driver_does(
    bench: Bench, stock: str, repository: Path, tmp_path: Path
) -> None:
    """Another ABI, on which the driver does not build (where Debian 12's own DKMS fails the kernel's package); then it does."""
    found = bench.prepare(stock).found
    tree = debian_tree(bench, stock, tmp_path / "tree", repository)
    tree.run(ADD)
    tree.apt("install hotcopy")
    offered = tree.run(f"apt-cache search --names-only '^linux-headers-{OTHERS[stock]}$'")[1].split()
    others = {name.removeprefix("linux-headers-") for name in offered if name.startswith("linux-headers-")} - {
        found.release
    }
    # The newest of them: on some older ones the driver refuses, for their faults.
    release = max(others, key=lambda name: [int(number) for number in re.findall(r"[0-9]+", name)])
    other = f"linux-image-{release}"
    source = f"/usr/src/hotcopy-{__version__}/main.c"
    tree.run(f"cp {source} /root/ && echo '#error not for this kernel' >>{source}")
    said = tree.apt(f"install {other} linux-headers-{release}")[1]
    assert f"the driver cannot be built for kernel {release}" in said, said
    assert tree.run(f"dpkg -s {other} linux-headers-{release} | grep -c 'ok installed'")[1].strip() == "2"
    assert tree.run("dpkg --audit")[1] == ""
    assert __version__ not in versions(tree, release)

    tree.run(f"mv /root/main.c {source}")
    said = tree.apt(f"install --reinstall linux-headers-{release}")[1]
    assert versions(tree, release) == versions(tree, found.release) == __version__, said
    with booted(bench, stock, tree, release) as guest:
        works(guest)
    tree.apt(f"purge {other} linux-headers-{release}")
    assert tree.run("dpkg --audit")[1] == "" and release not in tree.run("dkms status")[1]
    assert versions(tree, found.release) == __version__


@LATER
def test_hotcopy_is_installed_where_its_driver_does_not_build(bench: Bench, repository: Path, tmp_path: Path) -> None:
    """No headers: the driver is built when they come."""
    found = locate(bench.cache, bench.prepare("6.12").found.kernel)
    tree = debian_tree(bench, "6.12", tmp_path / "tree", repository)
    tree.run(f"mv /lib/modules/{found.release}/build /root/")
    tree.run(ADD)
    said = tree.apt("install hotcopy")[1]
    assert f"the headers of kernel {found.release} are not installed" in said, said
    assert tree.run("dpkg --audit")[1] == ""
    tree.run(f"mv /root/build /lib/modules/{found.release}/")
    tree.run(f"run-parts --arg={found.release} /etc/kernel/header_postinst.d")
    assert versions(tree, found.release) == __version__


@LATER
def test_the_installer_installs_from_the_repository(bench: Bench, repository: Path, tmp_path: Path) -> None:
    """hotcopy-install --repo, all of it in the guest: apt, the signature, DKMS, the proof; and uninstall."""
    release = bench.prepare("6.12").found.release
    tree = debian_tree(bench, "6.12", tmp_path / "tree", repository)
    tree.run("rm -f /etc/apt/sources.list")  # the guest has no network
    with with_installer(bench, "6.12", tree, release, repository, tmp_path) as guest:
        guest.run("sed -i 's/^Suite: .*/Suite: other/' /run/repo/apt/InRelease")
        said = install_in(guest, f"{FROM_SERVED} --yes", status=ExitCode.FAILED)
        assert "signature does not fit" in said, said
        assert not guest.run("command -v hcp", check=False).output
        guest.run(UNPACK)
        assert "a hot copy was taken to prove it" in install_in(guest, f"{FROM_SERVED} --yes")
        assert "there is nothing to do" in install_in(guest, FROM_SERVED)
        assert SERVED in guest.run("apt-cache policy hotcopy", timeout=120).output
        install_in(guest, "uninstall --yes")
        left = "ls -d /etc/apt/sources.list.d/hotcopy.sources /etc/apt/keyrings/hotcopy.asc /usr/sbin/hcp /var/lib/hotcopy-install"
        assert guest.run(left, check=False).output.count("cannot access") == 4
        assert not guest.run("dpkg-query -W -f '${Package}' 'hotcopy*'", check=False).output.startswith("hotcopy")
