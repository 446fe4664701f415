# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of numbered, checksummed records written in a circle, and what a copy of it at one instant may hold."""

from __future__ import annotations

import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.driver.guest.background import Beat
from tests.driver.guest.direct import Direct

SLOTS = 64
MOST = 1 << 16  # records whose times are kept
_HEAD = struct.Struct("<8sQI")
_MAGIC = b"HCPREC01"
_TIMES = struct.Struct("<QQ")


def record(number: int, size: int) -> bytes:
    """The record of this number: its bytes tell whether all of it is there."""
    body = number.to_bytes(8, "little") * ((size - _HEAD.size) // 8)
    body = body.ljust(size - _HEAD.size, b"\0")
    return _HEAD.pack(_MAGIC, number, zlib.crc32(body)) + body


def number_of(data: bytes) -> int | None:
    """The number of a whole record, None for anything else."""
    magic, number, checksum = _HEAD.unpack_from(data)
    if magic != _MAGIC or zlib.crc32(data[_HEAD.size :]) != checksum:
        return None
    return int(number)


def numbers_in(path: Path, size: int) -> Iterator[int | None]:
    """What each slot of a file holds."""
    with open(path, "rb") as file:
        for _ in range(SLOTS):
            yield number_of(file.read(size))


class Writer:
    """Writes records one after the other, each safe on the disk before the next begins; a task for background()."""

    def __init__(self, path: Path, size: int, *, direct: bool) -> None:
        self.path = path
        self.size = size
        self.direct = direct
        self._times = mmap.mmap(-1, MOST * _TIMES.size)  # shared with the process that writes
        path.write_bytes(bytes(SLOTS * size))

    def __call__(self, beat: Beat) -> None:
        """Until told to stop. A direct write with O_DSYNC, or a cached one and fdatasync."""
        number = 1
        if self.direct:
            with Direct(str(self.path), os.O_RDWR | os.O_DSYNC) as file:
                while beat() and number < MOST:
                    begin = time.time_ns()
                    file.write(number % SLOTS * self.size, record(number, self.size))
                    self._note(number, begin)
                    number += 1
        else:
            with open(self.path, "r+b", buffering=0) as cached:
                while beat() and number < MOST:
                    begin = time.time_ns()
                    os.pwrite(cached.fileno(), record(number, self.size), number % SLOTS * self.size)
                    os.fdatasync(cached.fileno())
                    self._note(number, begin)
                    number += 1

    def _note(self, number: int, begin: int) -> None:
        _TIMES.pack_into(self._times, number * _TIMES.size, begin, time.time_ns())

    def _range_at(self, instant: int) -> tuple[int, int]:
        """The last record acknowledged before an instant, and the last one begun before it."""
        acknowledged = begun = 0
        for number in range(1, MOST):
            begin, end = _TIMES.unpack_from(self._times, number * _TIMES.size)
            if not end:  # not written, or on its way when the writer was last looked at
                return acknowledged, begun + 1 if begun == number - 1 else begun
            if end < instant:
                acknowledged = number
            if begin < instant:
                begun = number
        raise AssertionError("more records than times are kept for")

    def check(self, path: Path, instant: int) -> None:
        """A copy of the file is of this instant: nothing acknowledged is missing, nothing later is there."""
        found = list(numbers_in(path, self.size))
        last = max(number or 0 for number in found)
        acknowledged, begun = self._range_at(instant)
        assert acknowledged <= last <= begun, f"the last record is {last}, not {acknowledged} to {begun}"
        assert acknowledged > SLOTS, "the writer had hardly begun"
        expected = [last - (last - slot) % SLOTS for slot in range(SLOTS)]
        assert found == expected, f"not the records up to {last}: {found}"
