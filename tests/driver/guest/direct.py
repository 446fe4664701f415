# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and devices past the page cache."""

from __future__ import annotations

import mmap
import os
from types import TracebackType

LARGEST = 1 << 20  # bytes of one transfer


class Direct:
    """A file or device open with O_DIRECT; a context manager that closes it."""

    def __init__(self, path: str, flags: int = os.O_RDONLY) -> None:
        self.fd = os.open(path, flags | os.O_DIRECT | os.O_CLOEXEC)
        self._buffer = mmap.mmap(-1, LARGEST)

    def __enter__(self) -> Direct:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly so many bytes, or fewer at the very end."""
        with memoryview(self._buffer) as whole, whole[:length] as part:
            got = os.preadv(self.fd, [part], offset)
        return self._buffer[:got]

    def write(self, offset: int, data: bytes) -> None:
        """All of it, in one system call."""
        self._buffer[: len(data)] = data
        with memoryview(self._buffer) as whole, whole[: len(data)] as part:
            written = os.pwritev(self.fd, [part], offset)
        assert written == len(data), f"{written} of {len(data)} bytes written at {offset}"


def size_of(node: str) -> int:
    """Bytes of a device."""
    fd = os.open(node, os.O_RDONLY)
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)
