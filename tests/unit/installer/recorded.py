# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines as they were recorded, in systems/NAME.txt: the files that detectors read, with "uname" and "df" beside them.

``==> PATH`` begins a file, ``==> PATH -> TARGET`` is a link, ``==> PATH/`` a directory; binary files are in hex, compressed
ones as text; of programs only the names count.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from installer import context
from installer.context import Context
from installer.detect import system
from installer.detect.kernel import Uname
from installer.detect.mounts import Space
from installer.matrix.load import load

SYSTEMS = Path(__file__).with_name("systems")
NAMES = sorted(path.stem for path in SYSTEMS.glob("*.txt"))
_MARK = "==> "
_EMPTY, _HEX, _GZIP = " (empty files)", " (hex)", " (gzip)"


def _write(root: Path, head: str, body: str) -> None:
    name, arrow, target = head.partition(" -> ")
    path = root / name.split(" (", 1)[0]
    (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
    if arrow:
        path.symlink_to(target)
    elif head.endswith(_EMPTY):
        path.mkdir(exist_ok=True)
        for program in body.split():
            (path / program).touch()
    elif head.endswith(_HEX):
        path.write_bytes(bytes.fromhex(body))
    elif head.endswith(_GZIP):
        path.write_bytes(gzip.compress(body.encode()))
    elif not name.endswith("/"):
        path.write_text(body, encoding="utf-8")


def unpack(name: str, root: Path) -> Path:
    """Lays the record out below a root directory."""
    head, body = "", ""
    for line in (SYSTEMS / f"{name}.txt").read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.startswith(_MARK):
            body += line
            continue
        if head:
            _write(root, head, body)
        head, body = line[len(_MARK) :].rstrip("\n"), ""
    _write(root, head, body)
    return root


def source(root: Path) -> system.Source:
    """A recorded machine: uname as its four words, one a line; df as mount point, size and free space in MiB."""
    uname = Uname(*(root / "uname").read_text(encoding="utf-8").splitlines())
    spaces = {}
    for line in (root / "df").read_text(encoding="utf-8").splitlines():
        place, size, free = line.split()
        spaces[place] = Space(int(size) << 20, int(free) << 20)
    return system.Source(root, uname, spaces.get)


def recorded(name: str, root: Path) -> Context:
    """The machine of this name, in the matrix as it is."""
    return context.place(system.detect(source(unpack(name, root))), load())
