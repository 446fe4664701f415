# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install build-modules for a kernel of the bench: its compiler and headers are in a chroot, which has no Python.

make goes there; everything else runs on this host, as it would on a machine of its own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.run import run
from tests.packages.building import hotcopy_install

_MAKE = """#!/bin/sh
# Paths below the chroot are given as the chroot knows them; the headers are its own. debhelper's make is the host's.
case " $*" in
*" KDIR="*) ;;
*) exec /usr/bin/make "$@" ;;
esac
for word do
    shift
    case $word in
    KDIR=*) word=KDIR=/lib/modules/{release}/build ;;
    KCFLAGS=*) word=$(echo "$word" | sed 's|{chroot}||') ;;
    {chroot}/*) word=${{word#{chroot}}} ;;
    esac
    set -- "$@" "$word"
done
exec unshare --mount --pid --fork --kill-child --mount-proc={chroot}/proc chroot {chroot} /usr/bin/make "$@"
"""


SIGNER = "Hot Copy test"  # of compiled drivers


def make_certificate(place: Path) -> tuple[Path, Path]:
    """A key that signs modules, and its certificate."""
    key, certificate = place / "key.pem", place / "key.der"
    run(
        [
            *("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-sha256"),
            *("-subj", f"/CN={SIGNER}/", "-outform", "DER", "-keyout", key, "-out", certificate),
        ]
    )
    return key, certificate


@contextmanager
def _inside(chroot: Path, release: str, programs: Path) -> Iterator[None]:
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "make").write_text(_MAKE.format(chroot=chroot, release=release), encoding="utf-8")
    (programs / "make").chmod(0o755)
    path, directory = os.environ["PATH"], tempfile.tempdir
    os.environ["PATH"], tempfile.tempdir = f"{programs}:{path}", str(chroot / "tmp")
    try:
        yield
    finally:
        os.environ["PATH"], tempfile.tempdir = path, directory


def build_modules(bench: Bench, kernel: str, place: Path, scratch: Path, *words: str | Path) -> str:
    """Builds the package for the bench's kernel of this name, and returns the kernel's release."""
    found = bench.prepare(kernel).found
    chroot = build_chroot(bench.cache, found)
    headers = chroot / f"usr/src/linux-headers-{found.release}"
    with _inside(chroot, found.release, scratch / "bin"):
        hotcopy_install("build-modules", "--kernel", found.release, "--headers", headers, *words, place)
    return found.release


def build_older_modules(bench: Bench, kernel: str, place: Path, scratch: Path) -> None:
    """The same of the older version, whose tree build_older() has left in ``scratch``."""
    found = bench.prepare(kernel).found
    chroot = build_chroot(bench.cache, found)
    headers = chroot / f"usr/src/linux-headers-{found.release}"
    with _inside(chroot, found.release, scratch / "bin"):
        words: list[str | Path] = ["build-modules", "--kernel", found.release, "--headers", headers, place]
        environment = {"PYTHONPATH": str(scratch / "older"), "TMPDIR": str(chroot / "tmp")}
        run([sys.executable, "-m", "installer", *words], cwd=scratch / "older", env=environment)
