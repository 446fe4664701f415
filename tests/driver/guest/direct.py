# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and devices past the page cache."""

from __future__ import annotations

import ctypes
import mmap
import os
from types import TracebackType

LARGEST = 1 << 20  # bytes of one transfer

_ZEROS = mmap.mmap(-1, LARGEST)
_MEMCMP = ctypes.CDLL(None).memcmp
_MEMCMP.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_ADDRESS_OF_ZEROS = ctypes.addressof(ctypes.c_char.from_buffer(_ZEROS))


class Direct:
    """A file or device open with O_DIRECT; a context manager that closes it."""

    def __init__(self, path: str, flags: int = os.O_RDONLY) -> None:
        self.fd = os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC)
        self._buffer = mmap.mmap(-1, LARGEST)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))

    def __enter__(self) -> Direct:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def _load(self, offset: int, length: int) -> int:
        with memoryview(self._buffer) as whole, whole[:length] as part:
            return os.preadv(self.fd, [part], offset)

    def _fill(self, offset: int, length: int) -> None:
        got = self._load(offset, length)
        assert got == length, f"{got} of {length} bytes read at {offset}"

    def _store(self, offset: int, length: int, buffer: mmap.mmap) -> None:
        with memoryview(buffer) as whole, whole[:length] as part:
            written = os.pwritev(self.fd, [part], offset)
        assert written == length, f"{written} of {length} bytes written at {offset}"

    def read(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes, or fewer at the very end."""
        return self._buffer[: self._load(offset, length)]

    def write(self, offset: int, data: bytes) -> None:
        """All of it, in one system call."""
        self._buffer[: len(data)] = data
        self._store(offset, len(data), self._buffer)

    def copy_from(self, source: Direct, place: int, offset: int, length: int) -> None:
        """Write here, at ``offset``, what is there at ``place``; Python never holds it: emulation makes that slow."""
        source._fill(place, length)
        self._store(offset, length, source._buffer)

    def equals(self, offset: int, other: Direct, place: int, length: int) -> bool:
        """Whether these bytes are those at ``place`` there; compared where they were read to."""
        self._fill(offset, length)
        other._fill(place, length)
        return not _MEMCMP(self._address, other._address, length)

    def holds(self, offset: int, address: int, length: int) -> bool:
        """Whether these bytes are those in memory at ``address``."""
        self._fill(offset, length)
        return not _MEMCMP(self._address, address, length)

    def is_zero(self, offset: int, length: int) -> bool:
        """Whether there is nothing but zeros."""
        self._fill(offset, length)
        return not _MEMCMP(self._address, _ADDRESS_OF_ZEROS, length)

    def held(self, length: int) -> bytes:
        """What equals(), holds() or is_zero() has just looked at."""
        return self._buffer[:length]


def size_of(node: str) -> int:
    """Bytes of a device."""
    fd = os.open(node, os.O_RDONLY)
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)
