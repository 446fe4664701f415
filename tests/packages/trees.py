# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian trees with a kernel, its headers and a compiler, which a test may change: layers over the bench's chroots.

What is compiled in them is compiled at this host's speed. They can be booted then.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.bootfiles import BootFiles
from tests.driver.bench.cache import digest
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.debian import KEYRING, source_line
from tests.driver.bench.machine import Machine
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

# The distribution's own part of hotcopy's dependencies, and what booting takes.
BRINGS = ("dkms", "python3", "kmod", "init-system-helpers", "systemd-sysv", "udev", "procps", "mount", "e2fsprogs")
TREE = Path(__file__).resolve().parents[2]
_MOUNT = """set -e
mount -t overlay overlay -o lowerdir={lower},upperdir={place}/upper,workdir={place}/work {place}/root
cd {place}/root
"""
_ENTER = """{mount}
mount -t proc proc proc
mount -t tmpfs tmpfs run
if [ -n {shared} ]; then mkdir run/repo; mount --bind {shared} run/repo; fi
exec chroot . /bin/sh -c {script}
"""


@dataclass(frozen=True)
class Tree:
    """The layers below, and the place of the one that changes."""

    lower: tuple[Path, ...]  # the uppermost first
    place: Path
    shared: Path | None = None  # is /run/repo inside

    def _mount(self) -> str:
        for name in ("upper", "work", "root"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        return _MOUNT.format(lower=":".join(map(str, self.lower)), place=self.place)

    def run(self, script: str, *, check: bool = True) -> tuple[int, str]:
        """Runs a script of the shell in there; exit status and all that it said."""
        text = _ENTER.format(
            mount=self._mount(),
            shared=shlex.quote(str(self.shared or "")),
            script=shlex.quote(f"exec 2>&1; {script}"),
        )
        done = run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", text],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL": "C",
                "DEBIAN_FRONTEND": "noninteractive",
                "INITRD": "No",
                "MAKELEVEL": "1",  # as below make test, whichever way this was started: DKMS 3.0 minds
            },
            check=check,
            timeout=900,
        )
        return done.returncode, done.stdout

    def apt(self, words: str, *, check: bool = True) -> tuple[int, str]:
        """Runs apt-get."""
        return self.run(f"apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root {words}", check=check)

    def machine(self, release: str) -> Machine:
        """A machine whose disk has this tree's files as they are now, and whose kernel is this one of the tree's."""
        target = self.place / "machine"
        target.mkdir(exist_ok=True)
        with step(f"{release}: image of a tree with packages"):
            argv = [sys.executable, "-m", "tests.packages.imaging", ".", release, target]
            script = f"{self._mount()}PYTHONPATH={TREE} exec {shlex.join(map(str, argv))}"
            run(["unshare", "--mount", "sh", "-c", script], timeout=600)
        return Machine(disks=(), root=target / "root.ext4", boot=BootFiles.below(target))


def debian_tree(bench: Bench, kernel: str, place: Path, shared: Path, more: tuple[str, ...] = ()) -> Tree:
    """A tree of the suite of this kernel, with the kernel, its headers and what hotcopy's packages depend on there."""
    found = bench.prepare(kernel).found
    base = build_chroot(bench.cache, found)
    sources = "\n".join(map(source_line, found.kernel.releases))

    def build(path: Path) -> None:
        with step(f"{kernel}: tree for packages"):
            made = Tree((base,), path)
            keyring, resolver = path / "upper" / KEYRING.relative_to("/"), path / "upper/etc/resolv.conf"
            for target, source in ((keyring, KEYRING), (resolver, Path("/etc/resolv.conf"))):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
            listing = path / "upper/etc/apt/sources.list"
            listing.parent.mkdir(parents=True, exist_ok=True)
            listing.write_text(f"{sources}\n", encoding="utf-8")
            made.apt("update")
            made.apt(f"install {' '.join((*BRINGS, *more))}")
            made.run("echo uninitialized >/etc/machine-id")

    kind = "-rpm" if "rpm" in more else "-more" if more else ""
    layer = bench.cache.entry(
        "packages", f"{kernel}{kind}", digest("1", base.parent.name, sources, *BRINGS, *more), build
    )
    return Tree((layer / "upper", base), place, shared)
