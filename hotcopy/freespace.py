# SPDX-License-Identifier: GPL-2.0-or-later
"""Telling the driver which blocks were free when a hot copy was made, so that they are never copied (design, 3.7).

The hot copy itself is asked: it does not change, so there is no race. Any doubt means "used", and no failure here is
one of the hot copy. For a filesystem that was frozen only: what is on the disk is complete then, the journal of
ext4 is empty, and that of XFS holds nothing that is not in place.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time

from hotcopy import abi, context, fsmap, libc
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.errors import HcpError
from hotcopy.fiemap import Extent
from hotcopy.fsmap import Range
from hotcopy.light import TYPE_CHECKING, NamedTuple, signal
from hotcopy.pipes import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_EXT = ("ext2", "ext3", "ext4")  # ext4's code reads them all, and only it can tell
_FAT = ("vfat", "msdos")
_MOUNTS = {"ext4": "noload", "xfs": "norecovery,nouuid"}  # the journal is left alone
_BLKROSET = 0x125D  # linux/fs.h, _IO(0x12, 93)
_PAIR = struct.Struct("=QQ")
_END = _PAIR.pack(0, 0)  # no free range is empty
_DOUBT = _PAIR.pack((1 << 64) - 1, 0)  # nor does one begin there; why follows
_LET_GO = 0.5  # seconds that a killed child may take to end
# Anything that is there will do: in our mount namespace nobody looks at what it covers.
_HIDDEN = "/proc"


class DoubtError(Exception):
    """Why the free blocks are taken for used."""


class Told(NamedTuple):
    """How many bytes the driver knows to have been free, or (0) why it does not know any."""

    free: int
    doubt: str = ""


def refuse_doubtful(superblock: bytes, fstype: str) -> None:
    """Refuses a filesystem that says of itself that it is damaged, or not complete. ``superblock``: its first 4 KiB."""
    if fstype in _EXT:
        if struct.unpack_from("<H", superblock, 1024 + 0x38)[0] != 0xEF53:
            raise DoubtError("there is no ext superblock")
        if struct.unpack_from("<H", superblock, 1024 + 0x3A)[0] & 0x2:
            raise DoubtError("the filesystem has errors, its bitmaps may be wrong")
        if struct.unpack_from("<I", superblock, 1024 + 0x60)[0] & 0x4:
            raise DoubtError("the journal is not empty, the bitmaps are not complete")
    if fstype == "xfs":
        if superblock[:4] != b"XFSB":
            raise DoubtError("there is no XFS superblock")
        version = struct.unpack_from(">H", superblock, 100)[0] & 0xF
        if version >= 5 and struct.unpack_from(">I", superblock, 216)[0] & 0x10:
            raise DoubtError("the filesystem needs a repair")


def whole_units(ranges: Iterable[Range], size: int) -> list[Range]:
    """Joins neighbours and keeps whole units below ``size``; at most abi.MAX_FREE ranges, the longest."""
    units: list[Range] = []

    def take(start: int, end: int) -> None:
        first, behind = -(-start // abi.UNIT_SIZE) * abi.UNIT_SIZE, min(end, size) // abi.UNIT_SIZE * abi.UNIT_SIZE
        if first < behind:
            units.append(Range(first, behind - first))

    start = end = 0
    for begin, length in ranges:
        if begin < end:
            raise DoubtError("the free ranges overlap or are not sorted")
        if begin != end:
            take(start, end)
            start = begin
        end = begin + length
    take(start, end)
    if len(units) > abi.MAX_FREE:
        units.sort(key=lambda item: item.length, reverse=True)
        units = sorted(units[: abi.MAX_FREE], key=lambda item: item.start)
    return units


def _checked(batches: Iterator[list[Range]], free: int) -> Iterator[list[Range]]:
    """Ends in doubt when more is called free than the filesystem counts as free."""
    total = 0
    for batch in batches:
        total += sum(length for _, length in batch)
        if total > free:
            raise DoubtError("more blocks are called free than the filesystem counts")
        yield batch


def _from_mounted(node: str, fstype: str, dev: DevId) -> Iterator[list[Range]]:
    """The free ranges of the filesystem on ``node``, mounted where nobody sees it; the mount ends with this process."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("none", "/", None, libc.MS_REC | libc.MS_PRIVATE, "")
    flags = libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
    libc.mount(node, _HIDDEN, fstype, flags, _MOUNTS[fstype])
    try:
        root = os.open(_HIDDEN, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.fstatvfs(root)
            if DevId.of(os.fstat(root).st_dev) != dev:
                raise DoubtError("something else was mounted")
            # XFS counts fewer free blocks than its tree holds: it sets some aside for the tree itself.
            slack = status.f_blocks // 50 if fstype == "xfs" else 0
            yield from _checked(fsmap.free_ranges(root, dev), (status.f_bfree + slack) * status.f_frsize)
        finally:
            os.close(root)
    finally:
        libc.unmount(_HIDDEN)


def _batches(node: str, fstype: str, dev: DevId) -> Iterator[list[Range]]:
    device = os.open(node, os.O_RDONLY | os.O_CLOEXEC)
    try:
        refuse_doubtful(os.pread(device, 4096, 0), fstype)
        if fstype in _FAT:
            from hotcopy import fat

            yield from fat.free_ranges(device)
        else:
            yield from _from_mounted(node, "ext4" if fstype in _EXT else fstype, dev)
    finally:
        os.close(device)


def _child(node: str, fstype: str, dev: DevId, pipe: int) -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    for fd in [int(text) for text in os.listdir("/proc/self/fd")]:
        if fd not in (2, pipe):  # the lock among them
            with context.suppress(OSError):
                os.close(fd)
    try:
        for batch in _batches(node, fstype, dev):
            _write(pipe, b"".join(_PAIR.pack(*item) for item in batch))
        _write(pipe, _END)
    except (DoubtError, OSError, ValueError, struct.error) as error:
        _write(pipe, _DOUBT + (getattr(error, "strerror", None) or str(error)).encode(errors="replace"))


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


def _read(pipe: int, deadline: float) -> tuple[bytes, bool]:
    """What came through the pipe until its end or the deadline, and whether it was its end."""
    data = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not readable(pipe, left):
            return bytes(data), False
        part = os.read(pipe, 1 << 20)
        if not part:
            return bytes(data), True
        data += part


def _end(child: int) -> None:
    with context.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + _LET_GO
    pause = 0.0005  # one that has told everything is about to end
    with context.suppress(ChildProcessError):  # our parent has us ignore SIGCHLD
        while not os.waitpid(child, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                return  # it sleeps on the disk; it ends when that answers
            time.sleep(pause)
            pause = min(2 * pause, 0.01)


def find(node: str, dev: DevId, size: int, fstype: str, limit: float) -> list[Range]:
    """The free ranges of the filesystem on a device of ``size`` bytes that does not change, as a child process sees them.

    Whole units; after ``limit`` seconds those that were found. OSError, DoubtError.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            _child(node, fstype, dev, writer)
        finally:
            os._exit(0)
    try:
        os.close(writer)
        data, ended = _read(reader, time.monotonic() + limit)
    finally:
        os.close(reader)
        _end(child)
    pairs, doubt, why = data.partition(_DOUBT)
    if doubt:
        raise DoubtError(why.decode(errors="replace"))
    if ended and data[-_PAIR.size :] != _END:
        raise DoubtError("it was not told to the end")
    if not ended and len(data) < _PAIR.size:
        raise DoubtError(f"the filesystem has not told within {limit:.0f} seconds")
    # Past the limit what has come is right as far as it goes; the rest counts as used.
    found = _PAIR.iter_unpack(pairs[: len(pairs) // _PAIR.size * _PAIR.size])
    return whole_units((Range._make(pair) for pair in found if pair[1]), size)


@context.contextmanager
def _read_only(copy: HotCopy) -> Iterator[None]:
    """Makes the device refuse writes: ext4 cleans up orphans even when mounted read-only, unless the device is."""
    fd = os.open(copy.node, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.ioctl(fd, _BLKROSET, ctypes.c_int(1))
        try:
            yield
        finally:
            libc.ioctl(fd, _BLKROSET, ctypes.c_int(copy.read_only))
    finally:
        os.close(fd)


def tell(driver: Driver, copy: HotCopy, fstype: str, limit: float = 5.0) -> Told:
    """Tells the driver which blocks of a new hot copy were free.

    ``fstype`` is the filesystem directly on the origin. Before anything is written to the hot copy; takes at most
    ``limit`` seconds and a little. Never raises.
    """
    if fstype not in (*_EXT, *_FAT, "xfs"):
        return Told(0, f"{fstype} does not tell")
    try:
        with _read_only(copy):
            ranges = find(copy.node, copy.device, copy.nr_sectors * abi.SECTOR_SIZE, fstype, limit)
        if not ranges:
            return Told(0, "the filesystem has none")
        driver.set_free(copy.minor, [Extent._make((start, start, length)) for start, length in ranges])
    except (DoubtError, HcpError, OSError) as error:
        return Told(0, getattr(error, "strerror", None) or str(error))
    return Told(sum(length for _, length in ranges))
