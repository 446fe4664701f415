# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded machine whose programs do as told, below a root directory of its own. The real ones: tests/driver/test_install.py."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hotcopy import __version__
from installer import cli
from installer.detect.system import Source
from installer.journal import Journal
from tests.unit.installer.recorded import source, unpack

RELEASE = "6.1.0-40-amd64"
KEPT = ("calls", "db", "loop", "dpkg-status")  # what the programs below keep, not the installer

PROGRAMS = {
    "dpkg-query": 'cat "$root/db"',
    "dpkg": "",
    "apt-get": """
modules=$root/usr/lib/python3/dist-packages
case " $* " in
*" install "*)
    for name do
        case $name in
        linux-headers-*)
            mkdir -p "$root/usr/src/$name"
            touch "$root/usr/src/$name/Makefile"
            ln -sfn "/usr/src/$name" "$root/lib/modules/${name#linux-headers-}/build" ;;
        gcc | make) touch "$root/usr/bin/$name" ;;
        dkms)
            touch "$root/usr/sbin/$name"
            mkdir -p "$modules/__pycache__"
            touch "$modules/lsb_release.py" "$modules/__pycache__/lsb_release.cpython-39.pyc" ;;
        *) continue ;;
        esac
        grep -qx "$name" "$root/db" || echo "$name" >>"$root/db"
    done
    grep -qx libdependency "$root/db" || echo libdependency >>"$root/db" ;;
*" purge "*)
    for name do
        case $name in
        linux-headers-*)
            rm -r "$root/usr/src/$name"
            rm "$root/lib/modules/${name#linux-headers-}/build" ;;
        gcc | make) rm "$root/usr/bin/$name" ;;
        dkms) rm "$root/usr/sbin/$name" "$modules/lsb_release.py" ;;
        esac
        sed -i "/^$name\\$/d" "$root/db"
    done ;;
esac""",
    "dkms": """
updates=$root/lib/modules/RELEASE/updates/dkms
case $1 in
install)
    tree=$root/var/lib/dkms/hotcopy/VERSION
    [ ! -e "$tree" ] || [ -e "$tree/source" ] || exit 4
    mkdir -p "$updates" "$tree"
    touch "$tree/source"
    touch "$root/var/lib/dkms/mok.key" "$root/var/lib/dkms/mok.pub"
    echo built >"$updates/hcpdriver.ko" ;;
remove)
    rm -r "$root/var/lib/dkms/hotcopy/VERSION"
    rm -f "$updates/hcpdriver.ko"
    rmdir "$updates" ;;
esac""",
    "modprobe": """
if [ "$1" = -r ]; then
    rm -r "$root/sys/module/hcpdriver" "$root/dev/hcp"
elif [ "$1" = hcpdriver ]; then
    mkdir -p "$root/sys/module/hcpdriver"
    touch "$root/dev/hcp"
    echo VERSION >"$root/sys/module/hcpdriver/version"
fi""",
    "depmod": "",
    "udevadm": "",
    "systemctl": """
case $1 in
enable)
    mkdir -p "$root/etc/systemd/system/sysinit.target.wants" "$root/etc/systemd/system/multi-user.target.wants"
    ln -sfn ../hotcopy.service "$root/etc/systemd/system/sysinit.target.wants/hotcopy.service"
    ln -sfn ../hotcopy-clean.service "$root/etc/systemd/system/multi-user.target.wants/hotcopy-clean.service" ;;
disable)
    rm -f "$root/etc/systemd/system/sysinit.target.wants/hotcopy.service"
    rm -f "$root/etc/systemd/system/multi-user.target.wants/hotcopy-clean.service"
    rmdir "$root/etc/systemd/system/"*.wants ;;
esac""",
    "mkfs.ext4": "",
    "mount": "",
    "losetup": """
state=$root/var/lib/hotcopy-install
case $1 in
--find) touch "$root/loop"; echo /dev/loop7 ;;
-j) [ ! -e "$root/loop" ] || echo "/dev/loop7: 0 ($2)" ;;
-d) rm -f "$root/loop" "$state/scratch/proof" "$state/scratch-hot-copy/proof" ;;
esac""",
    "hcp": """
state=$root/var/lib/hotcopy-install
case $1 in
-m) cp "$state/scratch/proof" "$2/proof" ;;
-l) echo '{"hot_copies": []}' ;;
esac""",
}


@dataclass(frozen=True)
class MadeUp:
    """The machine, and where its programs are."""

    root: Path
    programs: Path

    @property
    def source(self) -> Source:
        """What the installer is told to look at."""
        return source(self.root)

    def program(self, name: str, script: str) -> None:
        """Puts a program there, which notes that it was called."""
        path = self.programs / name
        body = script.replace("RELEASE", RELEASE).replace("VERSION", __version__)
        head = f'#!/bin/sh\nroot="{self.root}"\necho "{name} $*" >>"$root/calls"\n'
        path.write_text(f"{head}{body}\n", encoding="ascii")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        """What was called, in order."""
        path = self.root / "calls"
        return path.read_text(encoding="ascii").splitlines() if path.exists() else []

    def listing(self) -> dict[str, bytes]:
        """Every file, with its content, but for what the programs keep."""
        found = {}
        for path in self.root.rglob("*"):
            name = str(path.relative_to(self.root))
            if name not in KEPT:
                found[name] = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        return found

    def install(self, *words: str) -> int:
        """Runs hotcopy-install in this process."""
        return cli.main(list(words), self.source)

    def killed_at(self, entry: int, *words: str) -> bool:
        """Runs it in a process that is killed as soon as this many entries are in the journal; whether it came to that."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _kill_after(entry)
                status = self.install(*words)
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return os.WTERMSIG(status) == signal.SIGKILL
        assert os.waitstatus_to_exitcode(status) == 0
        return False


def _kill_after(entries: int) -> None:
    note: Callable[..., None] = Journal.note

    def noted(journal: Journal, kind: str, **fields: object) -> None:
        note(journal, kind, **fields)
        if len(journal.entries) >= entries:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.note = noted  # type: ignore[method-assign,assignment]


def make(root: Path, programs: Path, name: str = "debian-12-bare") -> MadeUp:
    """Lays a recorded machine out, with programs for it."""
    root.mkdir()
    programs.mkdir()
    made = MadeUp(unpack(name, root), programs)
    (root / "db").write_text("libc6\nbash\n", encoding="ascii")
    for directory in (
        "etc/udev/rules.d",
        "etc/systemd/system",
        "usr/lib",
        "usr/share/man/man8",
        "var/lib",
        "sys/module",
        "dev",
        "usr/src",
        "var/lib/dkms",
        "usr/lib/python3/dist-packages",
    ):
        (root / directory).mkdir(parents=True, exist_ok=True)
    for program, script in PROGRAMS.items():
        made.program(program, script)
    return made
