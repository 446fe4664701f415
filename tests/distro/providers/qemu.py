"""Guests of the bench: packages go into a tree of the distribution, at this host's speed, which is booted then.

A compiler that is emulated takes a quarter of an hour for the driver; DKMS compiles it here. What is booted is the tree's
own kernel and systemd, with an sshd on a forwarded port.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.distro.cells import Row
from tests.distro.providers.reached import LISTING, SHARED, Reached, wait
from tests.distro.repository import repository
from tests.driver.bench.bench import Bench
from tests.driver.bench.fresh import init_files
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk
from tests.driver.bench.progress import step
from tests.driver.bench.run import run
from tests.packages import rpmhost
from tests.packages.trees import Tree, debian_tree

HOST = "guest"
NEEDS = ("openssh-server", "iproute2", "xfsprogs", "lvm2")  # by the tests in the guest
MORE = Path(__file__).with_name("qemu-more.sh")
ONLY_OURS = (
    "-o Dir::Etc::sourcelist=sources.list.d/hotcopy.sources -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
)
APT = f"""set -e
cp /run/repo/hotcopy-archive-keyring.gpg /usr/share/keyrings/
cp /run/repo/apt/hotcopy.sources /etc/apt/sources.list.d/
apt-get -q -o APT::Sandbox::User=root {ONLY_OURS} update
apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root install hotcopy
"""
DNF = """dnf -y --releasever=9 install hotcopy"""
CONFIG = """Host {host}
  HostName 127.0.0.1
  Port {port}
  User root
  IdentityFile {key}
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
"""


def free_port() -> int:
    """One of this host's that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Qemu:
    """The provider for rows that have a kernel of the bench."""

    bench: Bench

    @contextmanager
    def installed(self, row: Row) -> Iterator[Reached]:
        """apt or dnf install from the signed repository; DKMS builds; the tree is booted."""
        with (
            self.bench.cache.scratch(f"matrix-{row.distro}-{row.kernel}") as scratch,
            # Paths of sockets are short.
            tempfile.TemporaryDirectory(prefix="hcp-") as sockets,
        ):
            tree, before, said = self._tree(row, scratch)
            release = self.bench.prepare(row.guest).found.release
            key = scratch / "key"
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
            port = free_port()
            config = scratch / "config"
            text = CONFIG.format(host=HOST, port=port, key=key) + SHARED.format(directory=sockets)
            config.write_text(text, encoding="utf-8")
            files = {
                **init_files(),
                "bench-more": MORE.read_text(encoding="utf-8"),
                "authorized_keys": key.with_suffix(".pub").read_text(encoding="ascii"),
            }
            machine = replace(tree.machine(release), disks=(Disk("data"),), ssh_port=port)
            with Guest(self.bench, row.guest, machine, driver=False, files=files, check=False) as guest:
                wait(config, HOST, 180)

                def off() -> None:
                    guest.poweroff()
                    guest.check_console()

                yield Reached(
                    config=config,
                    host=HOST,
                    sudo=False,
                    manager="apt" if row.packages == "deb" else "dnf",
                    driver="hotcopy-dkms",
                    signer="",
                    before=before,
                    said=said,
                    off=off,
                )
                guest.kill()

    def _tree(self, row: Row, scratch: Path) -> tuple[Tree, Path, str]:
        """Installed into; the list of files before that, and what the package manager said."""
        shared, before = repository(self.bench), scratch / "before"
        deb = row.packages == "deb"
        tree = debian_tree(self.bench, row.guest, scratch / "tree", shared, NEEDS if deb else (*NEEDS, "dnf", "rpm"))
        if not deb:
            tree.run(f"{rpmhost.ADD}dnf -y makecache")
        # A first boot would enable units and, on Debian 11, link /etc/mtab, which has nothing to do with us.
        tree.run("rm -f /etc/machine-id; systemd-machine-id-setup; systemd-tmpfiles --create --prefix=/etc/mtab")
        before.write_text(tree.run(LISTING)[1], encoding="utf-8")
        with step(f"{row.name}: {'apt' if deb else 'dnf'} install"):
            said = tree.run(APT if deb else DNF)[1]
        return tree, before, said
