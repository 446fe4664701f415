# SPDX-License-Identifier: GPL-2.0-or-later
"""Random calls of /dev/hcp while there is a hot copy: python3 -m tests.proof.guest.fuzz CALLS SEED.

As root and as nobody, in processes of their own. Heads are right mostly, numbers and pointers are the ones that hurt
(0, 1, -1, the last byte of a page, a read-only page, other structures). What is right by chance is taken back. In the
end the hot copy shows what it did, its origin is written to, and the kernel has nothing to complain about.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import mmap
import os
import random
import sys
import traceback

from hotcopy import abi, libc
from hotcopy.driver import Driver
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import SIZE, file_ranges, filesystem, partitions, settle
from tests.driver.guest.hotcopies import copies, hot_copy, remove_from_driver
from tests.driver.guest.layouts import ARGUMENTS
from tests.driver.guest.plugin import KernelLog
from tests.proof.guest.stage import no_udev

NOBODY = 65534
LAYOUTS: dict[int, type[ctypes.Structure]] = {abi.IOC_VERSION: abi.IocVersion, **ARGUMENTS}
# Calls that are no error when their numbers happen to be right, and change nothing.
HARMLESS = {abi.IOC_VERSION, abi.IOC_NEXT, abi.IOC_STORE, abi.IOC_WAIT, abi.IOC_CHANGED}
EDGES = (0, 1, 2, 3, 7, 8, 63, 64, 255, 256, 4095, 4096, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
         1 << 32, 1 << 52, 1 << 63, (1 << 64) - 512, (1 << 64) - 1)  # fmt: skip
LONGEST_WAIT = 3  # milliseconds that a call may ask to wait


class Fuzzer:
    """Makes the calls."""

    def __init__(self, seed: int, kept: int, fds: list[int]) -> None:
        self.source = random.Random(seed)
        self.kept = kept
        self.fds = fds
        self._memory = mmap.mmap(-1, 1 << 16)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._read_only = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ)
        self.results: dict[int, int] = {}

    def noise(self, length: int) -> bytes:
        """So many bytes."""
        return self.source.getrandbits(8 * length).to_bytes(length, "little")

    def number(self) -> int:
        """Mostly one at some edge."""
        return self.source.choice(EDGES) if self.source.random() < 0.7 else self.source.getrandbits(64)

    def descriptor(self) -> int:
        """Mostly an open one."""
        return self.source.choice(self.fds) if self.source.random() < 0.8 else self.source.choice((-1, 999, 1 << 30))

    def pointer(self) -> int:
        """Into memory that holds structures or noise, to its very end, to none."""
        kind = self.source.randrange(8)
        if kind == 0:
            return self.number()
        if kind == 1:
            return self._address + len(self._memory) - self.source.randrange(64)
        place = self.source.randrange(0, 1 << 15, 8)
        if kind == 2:
            self._memory[place : place + 4096] = self.noise(4096)
        elif kind == 3:
            for item in range(16):
                begin = item * (1 + self.source.randrange(3))
                self._put(place + 16 * item, abi.IocExtent(begin * 8, self.source.randrange(32)))
        elif kind == 4:
            segment = abi.IocSegment(
                size=ctypes.sizeof(abi.IocSegment),
                nr_extents=self.source.choice((0, 1, 2, 16, abi.MAX_EXTENTS, abi.MAX_EXTENTS + 1)),
                file_fd=self.descriptor(),
                bdev_fd=self.descriptor(),
                extents=self._address + self.source.randrange(0, 1 << 15, 8),
            )
            self._put(place, segment)
        elif kind == 5:
            for item in range(3):
                origin = abi.IocOrigin(
                    size=ctypes.sizeof(abi.IocOrigin),
                    flags=self.source.randrange(9),
                    bdev_fd=self.descriptor(),
                    floor_percent=self.source.choice((0, 5, 99, 100)),
                    segment=self.source.choice((0, self._address + self.source.randrange(0, 1 << 15, 8))),
                )
                self._put(place + item * ctypes.sizeof(abi.IocOrigin), origin)
        elif kind == 6:
            self._put(place, (ctypes.c_int32 * 8)(*(self.descriptor() for _ in range(8))))
        return self._address + place

    def _put(self, place: int, data: ctypes.Structure | ctypes.Array[ctypes.c_int32]) -> None:
        whole = bytes(data)
        self._memory[place : place + len(whole)] = whole

    def argument(self, request: int) -> ctypes.Structure:
        """Filled field by field; what would end the hot copy that is kept names another one."""
        layout = LAYOUTS[request]
        argument = layout()
        if self.source.random() < 0.1:
            ctypes.memmove(ctypes.byref(argument), self.noise(ctypes.sizeof(layout)), ctypes.sizeof(layout))
        else:
            for name, kind in layout._fields_:  # type: ignore[misc]
                if kind is ctypes.c_uint64:
                    setattr(argument, name, self.pointer() if name in POINTERS else self.number())
                elif kind is ctypes.c_uint32 and self.source.random() < 0.6:
                    setattr(argument, name, self.source.choice((0, 1, 2, 3, self.kept, 16)))
                elif kind is ctypes.c_uint32:
                    setattr(argument, name, self.number() & 0xFFFFFFFF)
        if self.source.random() < 0.9:
            argument.size = ctypes.sizeof(layout)
            argument.abi = abi.ABI_VERSION
        if request in (abi.IOC_REMOVE, abi.IOC_END) and argument.minor == self.kept:
            argument.minor += 1
        # What was free by this call reads as zeros, which would be right.
        if request == abi.IOC_FREE and argument.minor == self.kept:
            argument.nr = max(argument.nr, abi.MAX_FREE + 1)
        if request == abi.IOC_WAIT:
            argument.timeout_ms %= LONGEST_WAIT
        return argument

    def call(self, fd: int) -> tuple[int, int]:
        """One call: its number and its errno (0: none)."""
        request = self.source.choice(list(LAYOUTS))
        argument = self.argument(request)
        number = request ^ (1 << self.source.randrange(32)) if self.source.random() < 0.05 else request
        place: ctypes.Structure | ctypes.c_char = argument
        if self.source.random() < 0.03:  # only its address is passed on
            place = ctypes.c_char.from_address(self.source.choice((0, 1, self._address + len(self._memory) - 4)))
        try:
            libc.ioctl(fd, number, place)
            code = 0
        except OSError as error:
            code = error.errno or 0
        self.results[code] = self.results.get(code, 0) + 1
        return request, code


POINTERS = {"origins", "freeze_fds", "segment", "ranges", "extents"}


def take_back(kept: int) -> None:
    """A hot copy that a call has made by chance is gone."""
    for copy in copies():
        if copy.minor != kept:
            remove_from_driver(copy.node)


def as_root(calls: int, seed: int, kept: int, fds: list[int]) -> dict[int, int]:
    """The calls, each an error or harmless; how often which errno."""
    fuzzer = Fuzzer(seed, kept, fds)
    fd = os.open("/dev/hcp", os.O_RDWR)
    try:
        for _ in range(calls):
            request, code = fuzzer.call(fd)
            assert code or request in HARMLESS or request == abi.IOC_CREATE, hex(request)
            if not code and request == abi.IOC_CREATE:
                take_back(kept)
    finally:
        os.close(fd)
    return fuzzer.results


def as_nobody(calls: int, seed: int, kept: int, fds: list[int]) -> dict[int, int]:
    """The same calls by nobody, who was given the open node: EPERM, whatever is asked."""
    fuzzer = Fuzzer(seed, kept, fds)
    fd = os.open("/dev/hcp", os.O_RDWR)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with contextlib.suppress(PermissionError):
                os.close(os.open("/dev/hcp", os.O_RDWR))
                raise AssertionError("nobody may open /dev/hcp")
            for _ in range(calls):
                request, code = fuzzer.call(fd)
                assert code == errno.EPERM, (hex(request), code)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return {errno.EPERM: calls}


def main() -> int:
    """Half of the calls each."""
    calls, seed = int(sys.argv[1]), int(sys.argv[2])
    run("modprobe", "hcpdriver")
    log = KernelLog()
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs, hot_copy(node, "--store-size", "16M") as copy:
        path = fs.path / "file"
        path.write_bytes(bytes([1]) * (1 << 20))
        fs.sync()
        kept = int(copy[len("/dev/hcp") :])
        place = file_ranges(path)[0][0]
        with Direct(copy) as shown:
            before = shown.read(place, 1 << 20)
        with contextlib.ExitStack() as opened:
            fds = [os.open(name, os.O_RDONLY) for name in (node, str(fs.path), str(path), "/dev/null", copy)]
            for fd in fds:
                opened.callback(os.close, fd)
            opened.enter_context(no_udev())
            results = as_root(calls - calls // 2, seed, kept, fds)
            for code, number in as_nobody(calls // 2, seed + 1, kept, fds).items():
                results[code] = results.get(code, 0) + number
        settle()
        assert [held.minor for held in copies()] == [kept]
        path.write_bytes(bytes([2]) * (1 << 20))
        fs.sync()
        with Direct(copy) as shown:
            assert shown.read(place, 1 << 20) == before
    with Driver() as driver:
        assert eventually(functools.partial(_no_keeper, driver))
    bad = log.bad()
    assert not bad, bad
    for code, number in sorted(results.items(), key=lambda item: -item[1]):
        print(f"{number:7} {errno.errorcode.get(code, 'no error')}")
    return 0


def _no_keeper(driver: Driver) -> bool:
    return driver.wait(0, 0).keepers == 0


if __name__ == "__main__":
    sys.exit(main())
