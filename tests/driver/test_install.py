# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install on a fresh machine: its stock kernel, its own systemd, no compiler, no headers, a mirror of packages."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import pyz
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import fresh_image, init_files
from tests.driver.bench.guest import Completed, Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.run import run

pytestmark = pytest.mark.guest

PROGRAM = "/run/hotcopy-install.pyz"
LONG = 1800.0  # seconds for apt, gcc and DKMS, emulated, beside other guests
# What package managers, systemd and the bench itself keep or change.
KEPT = "-path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /hotcopy -o -path /var/lib/dpkg -o -path /var/lib/apt"
KEPT += " -o -path /var/cache -o -path /var/log -o -path /var/tmp -o -path /var/lib/systemd"
LISTING = f"find / \\( {KEPT} \\) -prune -o -printf '%y %m %p %l\\n' | sort"


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
def fresh(bench: Bench, kernel: str, carrier: Path, tmp_path: Path) -> Iterator[Guest]:
    """A booted machine that has never seen Hot Copy."""
    root = tmp_path / "root"
    run(["cp", "--sparse=always", fresh_image(bench.cache, bench.prepare(kernel).found), root])
    machine = Machine(disks=(Disk("installer", path=carrier, read_only=True),), root=root)
    with Guest(bench, kernel, machine, files=init_files()) as guest:
        guest.run("tar -x -C /run -f /dev/disk/by-id/virtio-installer && udevadm settle")
        yield guest


def install(guest: Guest, *words: str, status: int = 0) -> Completed:
    """Runs hotcopy-install, which must end like this."""
    done = guest.run(f"python3 {PROGRAM} {' '.join(words)}", timeout=LONG, check=False)
    assert done.status == status, done.output
    return done


def listing(guest: Guest) -> list[str]:
    """Every file, with type, mode and target."""
    return guest.run(LISTING, timeout=120).output.splitlines()


def test_install_and_uninstall(fresh: Guest) -> None:
    before = listing(fresh)
    planned = json.loads(install(fresh, "plan", "--json").output)
    assert [step["key"] for step in planned["steps"]] == ["packages", "files", "driver", "services", "verify"]
    assert listing(fresh) == before

    said = install(fresh, "--yes").output
    assert "a hot copy was taken to prove it" in said
    assert fresh.run("hcp -l").output.strip() == "No Hot Copy sessions"
    assert fresh.run("systemctl is-enabled hotcopy.service hotcopy-clean.service").output.split() == ["enabled"] * 2
    assert "hotcopy" in fresh.run("dkms status").output
    install(fresh, "doctor")

    installed = listing(fresh)
    assert "there is nothing to do" in install(fresh).output  # no --yes: nothing is asked
    assert listing(fresh) == installed

    install(fresh, "uninstall", "--yes")
    assert listing(fresh) == before
    assert "nothing to take away" in install(fresh, "uninstall").output
