# SPDX-License-Identifier: GPL-2.0-or-later
"""Many files: made, changed heavily, and compared by their checksums."""

from __future__ import annotations

import bisect
import os
import random
import zlib
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
Sums = dict[str, int]

_POOL = os.urandom(4 * MIB)


def content(source: random.Random, size: int) -> bytes:
    """Bytes that look random, cheaply; hardly ever the same twice."""
    parts = []
    while size > 0:
        at = source.randrange(len(_POOL) - MIB)
        part = min(size, MIB)
        parts.append(_POOL[at : at + part])
        size -= part
    return b"".join(parts)


def sum_of(path: Path) -> int:
    """The checksum of one file."""
    value = 0
    with open(path, "rb") as file:
        while True:
            data = file.read(MIB)
            if not data:
                return value
            value = zlib.crc32(data, value)


def sums(top: Path) -> Sums:
    """The checksum of every file, by its path; the store is none of them."""
    return {
        str(path.relative_to(top)): sum_of(path)
        for path in sorted(top.rglob("*"))
        if path.is_file() and ".hotcopy" not in path.parts
    }


@dataclass
class Tree:
    """Small files with holes between them, some large ones, and what there is of them."""

    top: Path
    source: random.Random = field(default_factory=lambda: random.Random(7))
    made: int = 0
    files: list[Path] = field(default_factory=list)  # sorted; to list directories took most of a test's time

    def add(self, size: int) -> Path:
        """One more file."""
        directory = self.top / f"d{self.made % 7}"
        directory.mkdir(exist_ok=True)
        path = directory / f"f{self.made}"
        self.made += 1
        path.write_bytes(content(self.source, size))
        bisect.insort(self.files, path)
        return path

    def delete(self, path: Path) -> None:
        """One file fewer."""
        path.unlink()
        del self.files[bisect.bisect_left(self.files, path)]

    def fragment(self, count: int) -> None:
        """Small files, of which every other one is deleted, and larger ones in what is left."""
        files = [self.add(self.source.randrange(1, 60_000)) for _ in range(count)]
        os.sync()
        for path in files[::2]:
            self.delete(path)
        os.sync()
        for _ in range(4):
            self.add(3 * MIB + self.source.randrange(MIB))
        os.sync()

    def churn(self, budget: int) -> None:
        """Deletes, overwrites in place, truncates and adds, until so many bytes were written."""
        while budget > 0:
            path = self.source.choice(self.files)
            size = path.stat().st_size
            what = self.source.randrange(5)
            if what == 0:
                self.delete(path)
            elif what == 1:
                with open(path, "r+b") as file:
                    file.write(content(self.source, size))
                budget -= size
            elif what == 2:
                os.truncate(path, size // 2)
            else:
                new = self.source.randrange(1, 60_000) if what == 3 else self.source.randrange(MIB, 4 * MIB)
                self.add(new)
                budget -= new
            if self.source.random() < 0.02:
                os.sync()
            while len(self.files) > 600:
                self.delete(self.source.choice(self.files))
        os.sync()
