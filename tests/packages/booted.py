# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree with packages, booted: what they are for works."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hotcopy import __version__
from installer import pyz
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import init_files
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk
from tests.driver.bench.progress import step
from tests.packages.trees import Tree

# A file of 8 MiB is overwritten; the hot copy has it as it was.
PROOF = """set -e
truncate -s 64M /run/disk
mkfs.ext4 -q /run/disk
loop=$(losetup --find --show /run/disk)
mkdir -p /run/mounted
mount $loop /run/mounted
head -c 8M /dev/urandom >/run/mounted/file
was=$(sha256sum </run/mounted/file)
hcp $loop
head -c 8M /dev/urandom >/run/mounted/file
sync
[ "$(sha256sum </run/mounted/file)" != "$was" ]
[ "$(cat /var/hotcopy/*_hcp1/file | sha256sum)" = "$was" ]
hcp -l | grep -q /dev/hcp1
hcp -r --all
[ ! -e /sys/block/hcp1 ]
umount /run/mounted
losetup -d $loop
"""
UNPACK = "tar -x -C /run -f /dev/disk/by-id/virtio-carrier"
_PROGRAM = "/run/hotcopy-install.pyz"
SERVED = "http://127.0.0.1:8000"
FROM_SERVED = f"--repo {SERVED} --repo-key /run/repo/hotcopy.asc"
_ANSWERS = "until bash -c '</dev/tcp/127.0.0.1/8000'; do sleep 0.5; done 2>/dev/null"


@contextmanager
def booted(bench: Bench, kernel: str, tree: Tree, release: str) -> Iterator[Guest]:
    """The tree's own systemd under its own kernel."""
    with Guest(bench, kernel, tree.machine(release), files=init_files()) as guest:
        assert guest.run("uname -r").output.strip() == release
        yield guest


@contextmanager
def with_installer(
    bench: Bench, kernel: str, tree: Tree, release: str, repository: Path, scratch: Path
) -> Iterator[Guest]:
    """The tree, booted, with the repository in /run/repo, SERVED, and hotcopy-install.pyz beside it (again after UNPACK)."""
    program, disk = scratch / "hotcopy-install.pyz", scratch / "disk.tar"
    pyz.build(program)
    with tarfile.open(disk, "w") as tar:
        tar.add(repository, "repo")
        tar.add(program, program.name)
    machine = replace(tree.machine(release), disks=(Disk("carrier", path=disk, read_only=True),))
    with Guest(bench, kernel, machine, files=init_files()) as guest:
        guest.run(f"udevadm settle; {UNPACK}")
        guest.spawn("exec python3 -m http.server --bind 127.0.0.1 --directory /run/repo 8000")
        guest.run(_ANSWERS)
        yield guest


def install_in(guest: Guest, words: str, *, status: int = 0, timeout: float = 1800) -> str:
    """Runs the hotcopy-install of with_installer, which must end like this; shows and returns what it says."""
    with step(f"hotcopy-install {words}"):
        done = guest.follow(f"python3 {_PROGRAM} {words}", timeout=timeout)
    assert done.status == status, done.output
    return done.output


def works(guest: Guest) -> None:
    """A hot copy is taken, compared and removed by what the packages have installed."""
    assert guest.run("ls /sys/module/hcpdriver", check=False).status != 0
    guest.run(PROOF, timeout=180)
    assert guest.run("cat /sys/module/hcpdriver/version").output.strip() == __version__
    assert guest.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert guest.run("hcp-setup --get-module", timeout=120).status == 0  # there is nothing to do
