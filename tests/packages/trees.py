# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian trees with a kernel, its headers and a compiler, which a test may change: layers over the bench's chroots.

What is compiled in them is compiled at this host's speed. They are not booted: what needs a kernel is for guests.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.cache import digest
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.debian import KEYRING, source_line
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

BRINGS = ("dkms", "python3", "kmod", "init-system-helpers")  # the distribution's own part of hotcopy's dependencies
_ENTER = """set -e
mount -t overlay overlay -o lowerdir={lower},upperdir={place}/upper,workdir={place}/work {place}/root
cd {place}/root
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

    def run(self, script: str, *, check: bool = True) -> tuple[int, str]:
        """Runs a script of the shell in there; exit status and all that it said."""
        for name in ("upper", "work", "root"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        text = _ENTER.format(
            lower=":".join(map(str, self.lower)),
            place=self.place,
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
            },
            check=check,
            timeout=900,
        )
        return done.returncode, done.stdout

    def apt(self, words: str, *, check: bool = True) -> tuple[int, str]:
        """Runs apt-get."""
        return self.run(f"apt-get -q -y --no-install-recommends -o APT::Sandbox::User=root {words}", check=check)


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

    layer = bench.cache.entry(
        "packages", f"{kernel}{'-more' if more else ''}", digest("1", base.parent.name, sources, *BRINGS, *more), build
    )
    return Tree((layer / "upper", base), place, shared)
