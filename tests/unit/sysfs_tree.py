# SPDX-License-Identifier: GPL-2.0-or-later
"""A /sys of block devices for tests, made in a directory."""

from __future__ import annotations

import os
from pathlib import Path

from hotcopy.devid import DevId
from hotcopy.sysfs import Sysfs


class Tree:
    """Devices are added one by one; ``sysfs`` reads them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sysfs = Sysfs(str(root))
        for directory in ("dev/block", "class/block", "block", "devices"):
            (root / directory).mkdir(parents=True)

    def _add(self, top: Path, dev: DevId) -> Path:
        top.mkdir(parents=True)
        (top / "dev").write_text(f"{dev}\n")
        (top / "ro").write_text("0\n")
        for kind in ("holders", "slaves"):
            (top / kind).mkdir()
        os.symlink(top, self.root / f"dev/block/{dev}")
        os.symlink(top, self.root / f"class/block/{top.name}")
        return top

    def disk(self, name: str, major: int, minor: int, *below: str) -> DevId:
        """A whole disk, perhaps built on others."""
        dev = DevId(major, minor)
        top = self._add(self.root / "devices" / name, dev)
        os.symlink(top, self.root / f"block/{name}")
        for lower in below:
            other = self.root / f"class/block/{lower}"
            os.symlink(other.resolve(), top / "slaves" / lower)
            os.symlink(top, other / "holders" / name)
        return dev

    def partition(self, disk: str, number: int, major: int, minor: int) -> DevId:
        """A partition of a disk."""
        dev = DevId(major, minor)
        top = self._add(self.root / "devices" / disk / f"{disk}{number}", dev)
        (top / "partition").write_text(f"{number}\n")
        return dev

    def loop(self, name: str, major: int, minor: int, file: Path) -> DevId:
        """A loop device on a file."""
        dev = self.disk(name, major, minor)
        directory = self.root / f"block/{name}/loop"
        directory.mkdir()
        (directory / "backing_file").write_text(f"{file}\n")
        return dev

    def write(self, name: str, attribute: str, text: str) -> None:
        """An attribute of a device."""
        path = self.root / f"class/block/{name}/{attribute}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
