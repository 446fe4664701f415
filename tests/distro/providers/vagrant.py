"""Guests that Vagrant brings up from the Vagrantfile, one for each row that has a box. Needs Vagrant and a provider of its own.

With a box that is built here (box.py) nothing is downloaded; with the boxes that matrix.yaml names all rows work, on a
machine that has a hypervisor and a network.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from installer.matrix.model import Provider as Hypervisor
from tests.distro.cells import Row
from tests.distro.providers.box import build_box
from tests.distro.providers.libvirt import BOOT, libvirt
from tests.distro.providers.reached import LISTING, SHARED, Reached, ssh, wait
from tests.distro.repository import repository
from tests.driver.bench.bench import Bench
from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError, run
from tests.packages.building import TREE
from tests.packages.prebuilt import SIGNER

HOME = BOOT / "hotcopy-vagrant"
APT = """set -e
cp /run/repo/hotcopy-archive-keyring.gpg /usr/share/keyrings/
cp /run/repo/apt/hotcopy.sources /etc/apt/sources.list.d/
export DEBIAN_FRONTEND=noninteractive
{update}
apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root install hotcopy {driver}
"""
ONLY_OURS = (
    "apt-get -q -o APT::Sandbox::User=root -o Dir::Etc::sourcelist=sources.list.d/hotcopy.sources"
    " -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 update"
)
DNF = """set -e
mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d
cp /run/repo/hotcopy.asc /etc/pki/rpm-gpg/RPM-GPG-KEY-hotcopy
cp /run/repo/yum/el9/hotcopy.repo /etc/yum.repos.d/
dnf -y install hotcopy hotcopy-dkms "kernel-devel-$(uname -r)"
"""


@dataclass(frozen=True)
class Vagrant:
    """The provider for rows with a box. ``local``: a kernel of the bench, of which the box is built here."""

    bench: Bench
    hypervisor: Hypervisor
    local: str = ""
    box: dict[str, str] = field(default_factory=dict)  # names of boxes in matrix.yaml, by the row's key

    def _environment(self) -> dict[str, str]:
        """A box of ours must not take the place of the user's: Vagrant has a home of its own then."""
        words = {"VAGRANT_CHECKPOINT_DISABLE": "1", "VAGRANT_CWD": str(TREE)}
        if self.local:
            words |= {
                "VAGRANT_HOME": str(HOME),
                "VAGRANT_DOTFILE_PATH": str(self.bench.cache.root / "vagrant"),
                "HOTCOPY_CPUS": "1",  # with more, an emulated guest that patches its kernel's text may crash
            }
        return words

    def vagrant(self, *words: str, timeout: float = 300, check: bool = True) -> str:
        """Runs vagrant; what it said."""
        return run(["vagrant", *words, "--no-color"], env=self._environment(), timeout=timeout, check=check).stdout

    @contextmanager
    def installed(self, row: Row) -> Iterator[Reached]:
        """vagrant up; the repository goes there over ssh; apt or dnf installs; vagrant destroy."""
        with tempfile.TemporaryDirectory(prefix="hcp-") as name, self._box(row):
            scratch = Path(name)
            try:
                with step(f"{row.distro}: vagrant up"):
                    self.vagrant("up", row.guest, f"--provider={self.hypervisor.value}", timeout=1500)
                yield self._install(row, scratch)
            finally:
                self.vagrant("destroy", "--force", row.guest, check=False)

    def _install(self, row: Row, scratch: Path) -> Reached:
        config, before = scratch / "config", scratch / "before"
        config.write_text(self.vagrant("ssh-config", row.guest) + SHARED.format(directory=scratch), encoding="utf-8")
        wait(config, row.guest, 120)

        def root(script: str, timeout: float = 300) -> str:
            return ssh(config, row.guest, script, sudo=True, timeout=timeout)

        shared = repository(self.bench, self.local)
        pack = f"tar -C {shared} -c . | ssh -F {config} {row.guest} sudo -n tar -x -C /run/repo --no-same-owner"
        root("mkdir -p /run/repo")
        run(["sh", "-c", pack])
        release = root("uname -r").strip()
        before.write_text(root(LISTING), encoding="utf-8")
        compiled = bool(list(shared.rglob(f"hotcopy-modules-{release}_*.deb")))
        deb = row.packages == "deb"
        driver = f"hotcopy-modules-{release}" if compiled else "hotcopy-dkms"
        words = driver if compiled else f"{driver} linux-headers-{release}"
        update = ONLY_OURS if compiled else "apt-get -q update"
        with step(f"{row.name}: {'apt' if deb else 'dnf'} install"):
            said = root(APT.format(update=update, driver=words) if deb else DNF, timeout=3600)

        def off() -> None:
            log = root("dmesg --level=emerg,alert,crit,err")
            if "hcp" in log or "Call Trace" in log:
                raise CommandError(f"the kernel logged:\n{log}")
            self.vagrant("halt", row.guest)

        return Reached(
            config=config,
            host=row.guest,
            sudo=True,
            manager="apt" if deb else "dnf",
            driver=driver,
            signer=SIGNER if compiled else "",
            before=before,
            said=said,
            off=off,
        )

    @contextmanager
    def _box(self, row: Row) -> Iterator[None]:
        """With a box that is built here: libvirt runs, and has it."""
        if not self.local:
            yield
            return
        box, name = build_box(self.bench, self.local), self.box[row.distro]
        with libvirt() as virsh:
            try:
                with step(f"{row.distro}: vagrant box add"):
                    self.vagrant("box", "add", "--force", "--name", name, "--provider", self.hypervisor.value, str(box))
                yield
            finally:
                # What Vagrant leaves in the pool would be taken for the next box of this name.
                prefix = name.replace("/", "-VAGRANTSLASH-")
                for line in virsh("vol-list", "default").splitlines():
                    words = line.split()
                    if words and words[0].startswith(prefix):
                        virsh("vol-delete", "--pool", "default", words[0])
                shutil.rmtree(HOME, ignore_errors=True)


def missing() -> str:
    """What to install, if Vagrant is not there."""
    found = any(os.access(Path(directory) / "vagrant", os.X_OK) for directory in os.environ["PATH"].split(":"))
    return "" if found else "vagrant is not installed: make test-vagrant installs it, with libvirt, on Debian"
