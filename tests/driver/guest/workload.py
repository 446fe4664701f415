# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes of every kind to a filesystem: sizes from a byte to 1 MiB, cached, direct and mapped, and the file system's own."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import random
import struct
from pathlib import Path
from typing import Callable

from tests.driver.guest.background import Beat
from tests.driver.guest.direct import Direct

MIB = 1 << 20
BLKDISCARD, BLKZEROOUT = 0x1277, 0x127F
FITRIM = 0xC0185879
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10
FILES = 5
FILE_SIZE = 2 * MIB

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def noise(source: random.Random, length: int) -> bytes:
    """Bytes that no other call yields."""
    return source.getrandbits(8 * length).to_bytes(length, "little") if length else b""


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2)."""
    if _LIBC.fallocate(fd, mode, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def trim(path: Path) -> int:
    """Discards all free space; the bytes discarded."""
    fd = os.open(path, os.O_RDONLY)
    try:
        answer = fcntl.ioctl(fd, FITRIM, struct.pack("=QQQ", 0, (1 << 64) - 1, 0))
    finally:
        os.close(fd)
    return int(struct.unpack("=QQQ", answer)[1])


def range_ioctl(node: str, request: int, offset: int, length: int) -> None:
    """BLKDISCARD or BLKZEROOUT of a range of a device."""
    fd = os.open(node, os.O_RDWR)
    try:
        fcntl.ioctl(fd, request, struct.pack("=QQ", offset, length))
    finally:
        os.close(fd)


class Changes:
    """Random changes below one directory, the same for the same seed; with fstrim where the device knows it.

    ``block`` is what direct writes are whole numbers of.
    """

    def __init__(self, directory: Path, seed: int, *, trims: bool = True, block: int = 512) -> None:
        self.directory = directory
        self.block = block
        self.source = random.Random(seed)
        self.pool = noise(self.source, 2 * MIB)
        self.made = 0
        self.actions: tuple[Callable[[], None], ...] = (
            *(self.overwrite_cached,) * 3,
            *(self.overwrite_direct,) * 4,
            self.overwrite_mapped,
            self.append,
            self.replace,
            self.truncate,
            self.punch,
            self.zero,
            self.rename,
            self.many_small,
            *((self.trim,) if trims else ()),
        )

    def data(self, length: int) -> bytes:
        """Some of the pool: cheap, and hardly ever the same twice."""
        at = self.source.randrange(len(self.pool) - length)
        return self.pool[at : at + length]

    def populate(self) -> None:
        """The files to change."""
        self.directory.mkdir(exist_ok=True)
        for _ in range(FILES):
            self.create(FILE_SIZE)

    def create(self, size: int) -> None:
        """One more file."""
        path = self.directory / f"file-{self.made}"
        self.made += 1
        with open(path, "wb") as file:
            for offset in range(0, size, MIB):
                file.write(self.data(min(MIB, size - offset)))

    def pick(self) -> Path:
        """One of the files."""
        return self.source.choice(sorted(self.directory.glob("file-*")))

    def span(self, path: Path, align: int) -> tuple[int, int]:
        """An offset and a length of 4 KiB to 1 MiB, give or take what is not a whole number of them."""
        size = max(path.stat().st_size, MIB)
        length = 4096 << self.source.randrange(9)
        if self.source.random() < 0.6:
            length += self.source.randrange(-length // 2, length // 2)
        length = max(align, min(length, MIB) // align * align)
        return self.source.randrange(max(1, (size - length) // align + 1)) * align, length

    def overwrite_cached(self) -> None:
        """Through the page cache, at any byte."""
        path = self.pick()
        offset, length = self.span(path, 1)
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(self.data(length))
            if self.source.random() < 0.5:
                file.flush()
                os.fsync(file.fileno())

    def overwrite_direct(self) -> None:
        """Past the page cache, at any sector."""
        path = self.pick()
        offset, length = self.span(path, self.block)
        with Direct(str(path), os.O_RDWR) as file:
            file.write(offset, self.data(length))

    def overwrite_mapped(self) -> None:
        """By storing into memory."""
        path = self.pick()
        size = path.stat().st_size
        if size < 8192:
            return
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), size) as memory:
            for _ in range(4):
                offset = self.source.randrange(size - 100)
                memory[offset : offset + 100] = self.data(100)
            memory.flush()

    def append(self) -> None:
        """A file grows by any number of bytes."""
        path = self.pick()
        if path.stat().st_size > 2 * FILE_SIZE:
            os.truncate(path, FILE_SIZE)
        with open(path, "ab") as file:
            file.write(self.data(self.source.randrange(1, 200_000)))

    def replace(self) -> None:
        """A file is deleted and another one takes its place on the disk."""
        self.pick().unlink()
        self.create(FILE_SIZE)
        os.sync()

    def truncate(self) -> None:
        """A file is cut, and grows again."""
        path = self.pick()
        os.truncate(path, self.source.randrange(FILE_SIZE))
        os.truncate(path, FILE_SIZE)

    def punch(self) -> None:
        """A hole."""
        self._fallocate(PUNCH_HOLE | KEEP_SIZE)

    def zero(self) -> None:
        """A range of zeros."""
        self._fallocate(ZERO_RANGE | KEEP_SIZE)

    def _fallocate(self, mode: int) -> None:
        path = self.pick()
        offset, length = self.span(path, 1)
        fd = os.open(path, os.O_RDWR)
        try:
            fallocate(fd, mode, offset, length)
        finally:
            os.close(fd)

    def rename(self) -> None:
        """One file over another."""
        path = self.pick()
        other = self.directory / f"file-{self.made}"
        self.made += 1
        path.rename(other)

    def many_small(self) -> None:
        """Work for the journal."""
        for number in range(20):
            path = self.directory / f"small-{number}"
            if path.exists():
                path.unlink()
            else:
                path.write_bytes(self.data(self.source.randrange(5000)))

    def trim(self) -> None:
        """Free space is discarded."""
        os.sync()
        trim(self.directory)

    def every(self) -> None:
        """Each kind of change once, so that no run is without one."""
        for action in self.actions:
            action()

    def __call__(self, beat: Beat) -> None:
        """Changes until told to stop; a task for background()."""
        while beat():
            self.source.choice(self.actions)()
