# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp-setup --get-module compiles the real driver with a real distribution's compiler and headers.

The compiler is that of a kernel's chroot, which has no Python: make goes there, everything else is as on a machine of its
own. Loading is left to modprobe's own dry run, which finds the module by depmod's index.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from hotcopy import setup
from tests.driver.bench.bench import DRIVER, Bench
from tests.driver.bench.chroots import build_chroot
from tests.driver.bench.run import run

KERNEL = "6.12"
PROGRESS = re.compile(r"\[ *[0-9.]+s\] .*\n")  # of the guests that run beside this (bench/progress.py)

MAKE = """#!/bin/sh
# Paths below the chroot are given as the chroot knows them; the headers are its own.
for word do
    shift
    case $word in
    KDIR=*) word=KDIR=/lib/modules/{release}/build ;;
    {chroot}/*) word=${{word#{chroot}}} ;;
    esac
    set -- "$@" "$word"
done
exec unshare --mount --pid --fork --kill-child --mount-proc={chroot}/proc chroot {chroot} /usr/bin/make "$@"
"""
MODPROBE = """#!/bin/sh
PATH=/usr/sbin:/sbin:/usr/bin:/bin
modprobe -d {root} -S {release} --dry-run --verbose "$@" && mkdir -p {root}/sys/module/hcpdriver
"""


@pytest.mark.quick
def test_get_module_compiles(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    found = bench.prepare(KERNEL).found
    chroot, root, programs = build_chroot(bench.cache, found), tmp_path / "root", tmp_path / "bin"
    modules = root / "lib/modules" / found.release
    modules.mkdir(parents=True)
    (modules / "build").symlink_to(next(chroot.glob(f"usr/src/linux-headers-{found.release}")))
    programs.mkdir()
    for name, text in (("make", MAKE), ("modprobe", MODPROBE), ("gcc", "#!/bin/sh\n")):
        (programs / name).write_text(text.format(chroot=chroot, root=root, release=found.release), encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin")
    monkeypatch.setattr(tempfile, "tempdir", str(chroot / "tmp"))

    host = setup.Host(root, found.release, DRIVER)
    status = setup.main(["--get-module"], host)
    said = capfd.readouterr()
    assert (status, PROGRESS.sub("", said.err)) == (0, ""), said
    assert f"The driver hcpdriver is loaded for kernel {found.release}." in said.out
    module = modules / "updates/hcpdriver.ko"
    assert run(["/usr/sbin/modinfo", "-F", "vermagic", module]).stdout.split()[0] == found.release
    version = (DRIVER / "VERSION").read_text(encoding="ascii").strip()
    assert run(["/usr/sbin/modinfo", "-F", "version", module]).stdout.strip() == version

    assert setup.main(["--get-module"], host) == 0
    assert "loaded already" in capfd.readouterr().out
    (root / "sys/module/hcpdriver").rmdir()
    assert setup.main(["--get-module"], host) == 0
    assert "installed already" in capfd.readouterr().out
