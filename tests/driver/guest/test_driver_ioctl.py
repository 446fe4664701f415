# SPDX-License-Identifier: GPL-2.0-or-later
"""/dev/hcp: every argument is checked, nothing is left behind, and only root may ask."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import random
import time
from collections.abc import Iterator
from typing import Callable

import pytest

from hotcopy import abi, fiemap
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.disks import MIB, SIZE, Filesystem, filesystem, partitions
from tests.driver.guest.hcp import Running
from tests.driver.guest.hotcopies import copies, hot_copy, remove, take_bare
from tests.driver.guest.layouts import ARGUMENTS
from tests.driver.guest.workload import noise


@contextlib.contextmanager
def control() -> Iterator[int]:
    """The control node."""
    run("modprobe", "hcpdriver")
    fd = os.open("/dev/hcp", os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


def failure(fd: int, request: int, argument: ctypes.Structure | bytearray) -> int:
    """The errno with which a call must fail."""
    with pytest.raises(OSError) as caught:
        fcntl.ioctl(fd, request, argument)
    assert caught.value.errno is not None
    return caught.value.errno


def is_removed(fd: int, removal: ctypes.Structure) -> bool:
    """Whether the driver has let go of the hot copy, which is busy while somebody looks at it."""
    try:
        fcntl.ioctl(fd, abi.IOC_REMOVE, removal)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def headed(request: int, size: int | None = None, version: int = abi.ABI_VERSION) -> ctypes.Structure:
    """An argument of zeros with its head filled in."""
    layout = ARGUMENTS[request]
    argument = layout()
    argument.size = ctypes.sizeof(layout) if size is None else size
    argument.abi = version
    return argument


@pytest.mark.quick
def test_the_head_of_every_argument_is_checked() -> None:
    with control() as fd:
        for request, layout in ARGUMENTS.items():
            right = ctypes.sizeof(layout)
            for size in (0, 1, right - 1, right + 1, right + 8, 0xFFFFFFFF):
                assert failure(fd, request, headed(request, size)) == errno.EINVAL
            for version in (0, abi.ABI_VERSION + 1, 0xFFFFFFFF):
                assert failure(fd, request, headed(request, version=version)) == errno.EPROTO
            with pytest.raises(OSError) as caught:
                fcntl.ioctl(fd, request, 0)
            assert caught.value.errno == errno.EFAULT
        version_argument = abi.IocVersion(size=3)
        assert failure(fd, abi.IOC_VERSION, version_argument) == errno.EINVAL
        for request in (abi.IOC_REMOVE, abi.IOC_NEXT, abi.IOC_STORE, abi.IOC_FREE, abi.IOC_GROW, abi.IOC_CHANGED):
            assert failure(fd, request, headed(request)) == errno.ENXIO
        assert failure(fd, abi.IOC_END, headed(abi.IOC_END)) == errno.EINVAL  # no state
        assert failure(fd, abi.IOC_CREATE, headed(abi.IOC_CREATE)) == errno.EINVAL  # no origin
        assert failure(fd, abi.IOC_CREATE + 40, headed(abi.IOC_CREATE)) == errno.ENOTTY
        for request in (abi.IOC_REMOVE, abi.IOC_GROW):
            reserved = headed(request)
            reserved.reserved = 1
            assert failure(fd, request, reserved) == errno.EINVAL
        flags = headed(abi.IOC_WAIT)
        flags.flags = 1 << 5
        assert failure(fd, abi.IOC_WAIT, flags) == errno.EINVAL


@pytest.mark.quick
def test_only_root_may_ask() -> None:
    with control() as fd:
        assert os.stat("/dev/hcp").st_mode & 0o777 == 0o600
        child = os.fork()
        if child == 0:
            status = 70
            try:
                os.setresuid(65534, 65534, 65534)
                errors = [failure(fd, request, headed(request)) for request in ARGUMENTS]
                errors.append(failure(fd, abi.IOC_VERSION, abi.IocVersion(size=ctypes.sizeof(abi.IocVersion))))
                with contextlib.suppress(PermissionError):
                    os.open("/dev/hcp", os.O_RDWR)
                    errors.append(0)
                status = 0 if set(errors) == {errno.EPERM} else 1
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Attempt:
    """The pieces of a create call for a real origin, each of which a test can spoil."""

    def __init__(self, fs: Filesystem, file_fd: int, bdev_fd: int, root: int) -> None:
        self.root = root
        self.extents = (abi.IocExtent * 4)()
        ranges = fs_ranges(file_fd)
        for number, (first, behind) in enumerate(ranges[:4]):
            self.extents[number] = abi.IocExtent(first // 512, (behind - first) // 512)
        self.segment = abi.IocSegment(
            size=ctypes.sizeof(abi.IocSegment),
            nr_extents=min(4, len(ranges)),
            file_fd=file_fd,
            bdev_fd=bdev_fd,
            extents=ctypes.addressof(self.extents),
        )
        self.origin = (abi.IocOrigin * 2)()
        for item in self.origin:
            item.size = ctypes.sizeof(abi.IocOrigin)
            item.bdev_fd = bdev_fd
            item.segment = ctypes.addressof(self.segment)
        self.freeze = (ctypes.c_int32 * 2)(root, root)
        self.call = abi.IocCreate(
            size=ctypes.sizeof(abi.IocCreate),
            abi=abi.ABI_VERSION,
            nr_origins=1,
            nr_freeze=1,
            origins=ctypes.addressof(self.origin),
            freeze_fds=ctypes.addressof(self.freeze),
        )


def fs_ranges(fd: int) -> list[tuple[int, int]]:
    """Where an open file's blocks are."""
    return [(extent.physical, extent.physical + extent.length) for extent in fiemap.extents_of(fd)]


@contextlib.contextmanager
def attempted(fs: Filesystem) -> Iterator[Attempt]:
    """A create call that would succeed as it is."""
    path = fs.path / "store"
    if not path.exists():
        path.write_bytes(bytes(8 * MIB))
        fs.sync()
    fds = [os.open(name, os.O_RDONLY) for name in (path, fs.node, fs.path)]
    try:
        yield Attempt(fs, *fds)
    finally:
        for fd in fds:
            os.close(fd)


def test_a_bad_create_leaves_nothing() -> None:
    closed = 999
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs, control() as fd:
        spoilt: dict[str, tuple[Callable[[Attempt], None], int]] = {
            "origin fd": (lambda a: setattr(a.origin[0], "bdev_fd", closed), errno.EBADF),
            "origin is a directory": (lambda a: setattr(a.origin[0], "bdev_fd", a.root), errno.ENOTBLK),
            "origin flags": (lambda a: setattr(a.origin[0], "flags", 1 << 7), errno.EINVAL),
            "origin size": (lambda a: setattr(a.origin[0], "size", 7), errno.EINVAL),
            "origin minor": (lambda a: setattr(a.origin[0], "minor", 7), errno.EINVAL),
            "no store": (lambda a: setattr(a.origin[0], "segment", 0), errno.ENODATA),
            "store address": (lambda a: setattr(a.origin[0], "segment", 64), errno.EFAULT),
            "store fd": (lambda a: setattr(a.segment, "file_fd", closed), errno.EBADF),
            "store device fd": (lambda a: setattr(a.segment, "bdev_fd", closed), errno.EBADF),
            "store size": (lambda a: setattr(a.segment, "size", 1), errno.EINVAL),
            "no extents": (lambda a: setattr(a.segment, "nr_extents", 0), errno.EINVAL),
            "too many extents": (lambda a: setattr(a.segment, "nr_extents", abi.MAX_EXTENTS + 1), errno.EINVAL),
            "extents address": (lambda a: setattr(a.segment, "extents", 64), errno.EFAULT),
            "extent behind the end": (lambda a: setattr(a.extents[0], "sector", 1 << 60), errno.EINVAL),
            "extent overflows": (lambda a: setattr(a.extents[0], "nr_sectors", (1 << 64) - 8), errno.EINVAL),
            "extent too small": (lambda a: setattr(a.extents[0], "nr_sectors", 1), errno.ENOSPC),
            "freeze fd": (lambda a: a.freeze.__setitem__(0, closed), errno.EBADF),
            "freeze a device": (lambda a: a.freeze.__setitem__(0, a.origin[0].bdev_fd), errno.EOPNOTSUPP),
            "freeze address": (lambda a: setattr(a.call, "freeze_fds", 64), errno.EFAULT),
            "too many to freeze": (lambda a: setattr(a.call, "nr_freeze", abi.MAX_FREEZE + 1), errno.EINVAL),
            "origins address": (lambda a: setattr(a.call, "origins", 64), errno.EFAULT),
            "too many origins": (lambda a: setattr(a.call, "nr_origins", abi.MAX_ORIGINS + 1), errno.EINVAL),
            "no origins": (lambda a: setattr(a.call, "nr_origins", 0), errno.EINVAL),
            "reserved": (lambda a: a.call.reserved.__setitem__(2, 1), errno.EINVAL),
        }
        for name, (spoil, number) in spoilt.items():
            with attempted(fs) as tried:
                if name == "extent too small":
                    tried.segment.nr_extents = 1
                spoil(tried)
                assert (name, failure(fd, abi.IOC_CREATE, tried.call)) == (name, number)
            assert copies() == ()
            (fs.path / "probe").write_bytes(name.encode())  # not frozen
            fs.sync()
        with attempted(fs) as tried:
            tried.call.nr_origins = 2  # the same one twice
            assert failure(fd, abi.IOC_CREATE, tried.call) in (errno.EINVAL, errno.EEXIST, errno.EBUSY)
        assert copies() == ()
        # Nothing holds the file: it can be written, and used by a call that is right.
        with open(fs.path / "store", "r+b") as file:
            file.truncate(4 * MIB)
        (fs.path / "store").unlink()
        with attempted(fs) as tried:
            tried.call.nr_freeze = 2  # the same one twice is accepted as frozen already
            fcntl.ioctl(fd, abi.IOC_CREATE, tried.call)
            assert tried.origin[0].minor == 1
        assert [copy.minor for copy in copies()] == [1]
        with pytest.raises(OSError):  # the blocks are the driver's now
            os.truncate(fs.path / "store", 0)
        removal = headed(abi.IOC_REMOVE)
        removal.minor = 1
        # Busy for a moment: udev looks at every new device.
        assert eventually(functools.partial(is_removed, fd, removal))
        assert copies() == ()
        os.truncate(fs.path / "store", 0)


def test_garbage_gives_errors_only() -> None:
    """Random calls while there is a hot copy; it stays, and works."""
    source = random.Random(1)
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs, hot_copy(node) as copy, control() as fd:
        for number in range(600):
            request = source.choice([*ARGUMENTS, abi.IOC_VERSION])
            layout = ARGUMENTS.get(request, abi.IocVersion)
            data = bytearray(noise(source, ctypes.sizeof(layout)))
            if number % 4:
                head = headed(request) if request in ARGUMENTS else abi.IocVersion(size=ctypes.sizeof(layout))
                data[:8] = bytes(head)[:8]
            if number % 8 == 1 and request == abi.IOC_CREATE:
                data[:] = bytes(headed(request))
                data[8:16] = (1 + source.randrange(3)).to_bytes(4, "little") + source.randrange(3).to_bytes(4, "little")
            if number % 5 == 0:
                request ^= 1 << source.randrange(32)
            if request == abi.IOC_REMOVE:
                data[8] |= 2  # not the one there is
            with contextlib.suppress(OSError):
                fcntl.ioctl(fd, request & 0xFFFFFFFF, data)
                assert request in (abi.IOC_VERSION, abi.IOC_NEXT), hex(request)
        assert [held.node for held in copies()] == [copy]
        (fs.path / "file").write_bytes(b"x")
        fs.sync()


def test_a_killed_caller_leaves_the_origin_thawed() -> None:
    """SIGKILL while hcp is at work; the driver finishes or takes back, and nothing stays frozen."""
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs, control():
        begin = time.monotonic()
        remove(take_bare(node))
        whole = time.monotonic() - begin
        for number in range(4):
            command = Running("--skip-mount", node)
            time.sleep(whole * number / 5)
            command.kill()
            command.wait()
            (fs.path / "probe").write_bytes(b"x")
            fs.sync()
