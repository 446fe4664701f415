# SPDX-License-Identifier: GPL-2.0-or-later
"""Direct I/O that is under way while the caller goes on: Linux AIO, io_uring, threads. Python's library has none of the first two."""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import platform
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

LARGEST = 1 << 20  # bytes of one transfer
SLOTS = 16  # transfers under way at once

NOWAIT, DSYNC = os.RWF_NOWAIT, os.RWF_DSYNC

_LIBC = ctypes.CDLL(None, use_errno=True)
# asm/unistd_64.h; the io_uring numbers are the same everywhere.
_AIO_SETUP, _AIO_DESTROY, _AIO_GETEVENTS, _AIO_SUBMIT = 206, 207, 208, 209
_URING_SETUP, _URING_ENTER = 425, 426


def _syscall(number: int, *arguments: object) -> int:
    """A system call by number; OSError."""
    result = int(_LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


@functools.cache
def buffers() -> tuple[list[mmap.mmap], list[int]]:
    """Memory for every slot, and where it is: the same for all engines, of which one is busy at a time."""
    memory = [mmap.mmap(-1, LARGEST) for _ in range(SLOTS)]
    for part in memory:
        part[:] = bytes(LARGEST)  # from here on it is there
    return memory, [ctypes.addressof(ctypes.c_char.from_buffer(part)) for part in memory]


@dataclass
class Io:
    """One transfer; ``result`` is bytes or minus an errno, when Engine.wait() has returned."""

    kind: str  # read, write, flush
    fd: int
    offset: int
    length: int
    flags: int
    slot: int
    result: int = 0


class Engine:
    """Transfers that are begun one by one, and waited for together."""

    def __init__(self) -> None:
        self._memory, self._addresses = buffers()
        self._ios: list[Io] = []

    @property
    def full(self) -> bool:
        """Whether wait() has to come before anything else."""
        return len(self._ios) == SLOTS

    @property
    def busy(self) -> bool:
        """Whether anything was begun since the last wait()."""
        return bool(self._ios)

    def read(self, fd: int, offset: int, length: int, flags: int = 0) -> Io:
        """Begin to read; data() tells what, after wait()."""
        return self._add(Io("read", fd, offset, length, flags, len(self._ios)))

    def write(self, fd: int, offset: int, data: bytes, flags: int = 0) -> Io:
        """Begin to write."""
        self._memory[len(self._ios)][: len(data)] = data
        return self._add(Io("write", fd, offset, len(data), flags, len(self._ios)))

    def flush(self, fd: int) -> Io:
        """Begin to flush the device's cache."""
        return self._add(Io("flush", fd, 0, 0, 0, len(self._ios)))

    def data(self, io: Io) -> bytes:
        """What was read; until the next transfer is begun."""
        return self._memory[io.slot][: io.length]

    def again(self, io: Io) -> None:
        """A transfer that would have had to wait, once more, waiting; after wait()."""
        with memoryview(self._memory[io.slot]) as whole, whole[: io.length] as part:
            call = os.preadv if io.kind == "read" else os.pwritev
            io.result = call(io.fd, [part], io.offset, io.flags & ~NOWAIT)

    def _add(self, io: Io) -> Io:
        self._ios.append(io)
        self._begin(io)
        return io

    def wait(self) -> list[Io]:
        """Until everything has ended; what there was."""
        ios, self._ios = self._ios, []
        if ios:
            self._finish(ios)
        return ios

    def close(self) -> None:
        """Nothing is under way."""

    def _begin(self, io: Io) -> None:
        raise NotImplementedError

    def _finish(self, ios: list[Io]) -> None:
        raise NotImplementedError


class Aio(Engine):
    """io_submit(2) and io_getevents(2)."""

    _OPCODES: ClassVar = {"read": 0, "write": 1, "flush": 2}
    _IOCB = struct.Struct("<QIIHhIQQqQII")

    def __init__(self) -> None:
        super().__init__()
        if platform.machine() != "x86_64":
            raise NotImplementedError("the numbers of the AIO calls are those of x86-64")
        context = ctypes.c_ulong(0)
        _syscall(_AIO_SETUP, ctypes.c_uint(SLOTS), ctypes.byref(context))
        self._context = context
        self._blocks = [ctypes.create_string_buffer(64) for _ in range(SLOTS)]
        self._events = ctypes.create_string_buffer(32 * SLOTS)
        self._begun = 0

    def _begin(self, io: Io) -> None:
        block = self._blocks[io.slot]
        address = 0 if io.kind == "flush" else self._addresses[io.slot]
        self._IOCB.pack_into(
            block, 0, io.slot, 0, io.flags, self._OPCODES[io.kind], 0, io.fd, address, io.length, io.offset, 0, 0, 0
        )
        pointer = ctypes.c_void_p(ctypes.addressof(block))
        try:
            _syscall(_AIO_SUBMIT, self._context, ctypes.c_long(1), ctypes.byref(pointer))
            self._begun += 1
        except OSError as error:
            io.result = -(error.errno or errno.EIO)

    def _finish(self, ios: list[Io]) -> None:
        while self._begun:
            got = _syscall(
                _AIO_GETEVENTS, self._context, ctypes.c_long(1), ctypes.c_long(SLOTS), self._events, ctypes.c_void_p()
            )
            for number in range(got):
                slot, _, result, _ = struct.unpack_from("<QQqq", self._events, 32 * number)
                ios[slot].result = result
            self._begun -= got

    def close(self) -> None:
        """The context is gone."""
        _syscall(_AIO_DESTROY, self._context)


class Uring(Engine):
    """io_uring(7), by its memory: what could not be done at once is done by the kernel's own threads."""

    _OPCODES: ClassVar = {"read": 22, "write": 23, "flush": 3}
    _SQE = struct.Struct("<BBHiQQIIQHHiQQ")
    _GETEVENTS = 1

    def __init__(self) -> None:
        super().__init__()
        parameters = ctypes.create_string_buffer(120)
        self._fd = _syscall(_URING_SETUP, ctypes.c_uint(SLOTS), parameters)
        numbers = struct.unpack("<30I", parameters.raw)
        self._sq_tail, self._sq_mask, self._sq_array = numbers[11], numbers[12], numbers[16]
        self._cq_head, self._cq_tail, self._cq_mask, self._cqes = numbers[20], numbers[21], numbers[22], numbers[25]
        entries, cq_entries = numbers[0], numbers[1]
        self._sq = mmap.mmap(self._fd, self._sq_array + 4 * entries, offset=0)
        self._cq = mmap.mmap(self._fd, self._cqes + 16 * cq_entries, offset=0x8000000)
        self._entries = mmap.mmap(self._fd, 64 * entries, offset=0x10000000)

    @staticmethod
    def _get(memory: mmap.mmap, offset: int) -> int:
        return int(struct.unpack_from("<I", memory, offset)[0])

    def _begin(self, io: Io) -> None:
        tail = self._get(self._sq, self._sq_tail)
        index = tail & self._get(self._sq, self._sq_mask)
        address = 0 if io.kind == "flush" else self._addresses[io.slot]
        self._SQE.pack_into(
            self._entries, 64 * index,
            self._OPCODES[io.kind], 0, 0, io.fd, io.offset, address, io.length, io.flags, io.slot, 0, 0, 0, 0, 0,
        )  # fmt: skip
        struct.pack_into("<I", self._sq, self._sq_array + 4 * index, index)
        struct.pack_into("<I", self._sq, self._sq_tail, tail + 1)
        self._enter(1, 0)

    def _enter(self, submit: int, wait: int) -> None:
        _syscall(
            _URING_ENTER, ctypes.c_int(self._fd), ctypes.c_uint(submit), ctypes.c_uint(wait),
            ctypes.c_uint(self._GETEVENTS if wait else 0), ctypes.c_void_p(), ctypes.c_size_t(0),
        )  # fmt: skip

    def _finish(self, ios: list[Io]) -> None:
        left = len(ios)
        while left:
            head, tail = self._get(self._cq, self._cq_head), self._get(self._cq, self._cq_tail)
            if head == tail:
                self._enter(0, 1)
                continue
            at = self._cqes + 16 * (head & self._get(self._cq, self._cq_mask))
            slot, result = struct.unpack_from("<Qi", self._cq, at)
            ios[slot].result = result
            struct.pack_into("<I", self._cq, self._cq_head, head + 1)
            left -= 1

    def close(self) -> None:
        """The ring is gone."""
        os.close(self._fd)


class Threads(Engine):
    """preadv2(2) and pwritev2(2), by several threads."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(4)
        self._futures: list[Future[int]] = []

    def _begin(self, io: Io) -> None:
        self._futures.append(self._pool.submit(self._perform, io))

    def _perform(self, io: Io) -> int:
        try:
            if io.kind == "flush":
                os.fsync(io.fd)
                return 0
            with memoryview(self._memory[io.slot]) as whole, whole[: io.length] as part:
                call = os.preadv if io.kind == "read" else os.pwritev
                return call(io.fd, [part], io.offset, io.flags)
        except OSError as error:
            return -(error.errno or errno.EIO)

    def _finish(self, ios: list[Io]) -> None:
        for io, future in zip(ios, self._futures):
            io.result = future.result()
        self._futures = []

    def close(self) -> None:
        """The threads have ended."""
        self._pool.shutdown()


ENGINES: dict[str, type[Engine]] = {"aio": Aio, "uring": Uring, "threads": Threads}
