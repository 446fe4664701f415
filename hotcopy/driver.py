# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver, spoken to through /dev/hcp (kmod/hcp_ioctl.h). Nothing else in hcp knows an ioctl of it."""

from __future__ import annotations

import ctypes
import errno
import os

from hotcopy import __version__, abi, libc
from hotcopy.devid import DevId
from hotcopy.errors import DriverError, HcpError
from hotcopy.fiemap import Extent
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.signals import blocked

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator, Sequence

CONTROL_NODE = f"/dev/{abi.CONTROL_NAME}"
STATE_NAMES = {abi.State.ACTIVE: "active", abi.State.OVERFLOW: "overflow", abi.State.FAILED: "failed"}

_REMEDIES = {
    errno.EPERM: "run hcp as root",
    errno.ENOMEM: "free some memory and try again",
    errno.EPROTO: "install hcp and the driver of the same version",
}


class Segment(NamedTuple):
    """Space for the store: a regular file open read-only and where its blocks are on an open block device.

    Or ``file_fd`` equals ``bdev_fd``: a block device opened O_RDWR | O_EXCL, which is the store's alone.
    """

    file_fd: int
    bdev_fd: int
    extents: Sequence[Extent]


class Origin(NamedTuple):
    """One device to copy; ``segment`` None when the origin has its store already.

    ``floor_percent`` of the store's filesystem stay free (the keeper sees to it); with ``fixed_store`` the segment
    is all the store ever gets. ``uncounted``: writes under way are in no counter of the device, so that nobody can
    wait for them.
    """

    bdev_fd: int
    path: str
    store_path: str
    read_only: bool
    segment: Segment | None
    floor_percent: int = 5
    fixed_store: bool = False
    uncounted: bool = False


class StoreSegment(NamedTuple):
    """A part of a store as the driver knows it: sizes in bytes, ``ino`` 0 for a block device."""

    device: DevId
    ino: int
    size: int
    used: int


class Waited(NamedTuple):
    """What a wait told: the event number to wait past, and how many hot copies and keepers (0 or 1) there are."""

    seen: int
    hot_copies: int
    keepers: int


class Created(NamedTuple):
    """What one create call made: a hot copy number per origin, and its times in nanoseconds."""

    minors: tuple[int, ...]
    frozen_ns: int
    total_ns: int


class HotCopy(NamedTuple):
    """One hot copy as the driver reports it; sizes in bytes, sectors of 512 bytes, times in nanoseconds."""

    minor: int
    read_only: bool
    is_open: bool
    state: str
    reason: str
    device: DevId
    origin: DevId
    store: DevId
    floor_percent: int
    free_known: bool
    wants_space: bool
    fixed_store: bool
    changed_lost: bool
    sequence: int
    created_ns: int
    frozen_ns: int
    nr_sectors: int
    preserved_bytes: int
    private_bytes: int
    store_bytes: int
    store_used_bytes: int
    free_bytes: int
    growths: int
    in_flight_bytes: int
    path: str
    store_path: str

    @property
    def name(self) -> str:
        """``hcp1``."""
        return f"hcp{self.minor}"

    @property
    def node(self) -> str:
        """``/dev/hcp1``."""
        return f"/dev/{self.name}"


def _path_field(path: str) -> bytes:
    # Only shown to people: a path that does not fit is better cut than a reason to refuse the hot copy.
    return os.fsencode(path)[: abi.PATH_LEN - 1]


def _hot_copy(info: abi.IocInfo) -> HotCopy:
    return HotCopy(
        minor=info.minor,
        read_only=bool(info.flags & abi.INFO_READ_ONLY),
        is_open=bool(info.flags & abi.INFO_OPEN),
        state=STATE_NAMES.get(info.state, f"unknown-{info.state}"),
        reason=os.fsdecode(info.reason),
        device=DevId(info.dev_major, info.dev_minor),
        origin=DevId(info.origin_major, info.origin_minor),
        store=DevId(info.store_major, info.store_minor),
        floor_percent=info.floor_percent,
        free_known=bool(info.flags & abi.INFO_FREE_KNOWN),
        wants_space=bool(info.flags & abi.INFO_WANTS_SPACE),
        fixed_store=bool(info.flags & abi.INFO_FIXED_STORE),
        changed_lost=bool(info.flags & abi.INFO_CHANGED_LOST),
        sequence=info.sequence,
        created_ns=info.created_ns,
        frozen_ns=info.frozen_ns,
        nr_sectors=info.nr_sectors,
        preserved_bytes=info.preserved_bytes,
        private_bytes=info.private_bytes,
        store_bytes=info.store_bytes,
        store_used_bytes=info.store_used_bytes,
        free_bytes=info.free_bytes,
        growths=info.growths,
        in_flight_bytes=info.in_flight_bytes,
        path=os.fsdecode(info.path),
        store_path=os.fsdecode(info.store_path),
    )


def _segment(segment: Segment) -> tuple[abi.IocSegment, ctypes.Array[abi.IocExtent]]:
    """The structure and the array it points to; both have to live until the call is over."""
    pairs = [abi.IocExtent(e.physical // abi.SECTOR_SIZE, e.length // abi.SECTOR_SIZE) for e in segment.extents]
    extents = (abi.IocExtent * len(pairs))(*pairs)
    return (
        abi.IocSegment(
            size=ctypes.sizeof(abi.IocSegment),
            nr_extents=len(pairs),
            file_fd=segment.file_fd,
            bdev_fd=segment.bdev_fd,
            extents=ctypes.addressof(extents),
        ),
        extents,
    )


class Driver:
    """An open /dev/hcp whose version has been compared; a context manager that closes it."""

    def __init__(self, node: str = CONTROL_NODE) -> None:
        """Opens the control node and shakes hands.

        Raises FileNotFoundError when the node is missing, HcpError when it cannot be opened or speaks another abi.
        """
        try:
            self._fd = os.open(node, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except PermissionError as error:
            raise HcpError(f"cannot open {node}: {error.strerror}", "run hcp as root") from error
        except OSError as error:
            raise HcpError(
                f"cannot open {node}: {error.strerror}", "load the driver again: modprobe hcpdriver"
            ) from error
        try:
            self.version = self._handshake()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the control node; harmless when it is closed already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _handshake(self) -> str:
        version = abi.IocVersion(size=ctypes.sizeof(abi.IocVersion))
        same = "install hcp and the driver of the same version"
        try:
            libc.ioctl(self._fd, abi.IOC_VERSION, version)
        except OSError as error:
            raise DriverError(
                f"the driver behind {CONTROL_NODE} does not answer hcp {__version__} ({error.strerror})",
                error.errno or 0,
                remedy=same,
            ) from error
        text = os.fsdecode(version.version)
        if version.abi != abi.ABI_VERSION:
            raise DriverError(
                f"the driver {text} speaks interface {version.abi}, hcp {__version__} speaks {abi.ABI_VERSION}",
                errno.EPROTO,
                remedy=same,
            )
        return text

    def create(self, origins: Sequence[Origin], freeze_fds: Sequence[int]) -> Created:
        """Freezes the filesystems of ``freeze_fds``, arms every origin and thaws, as one call.

        Signals are held back meanwhile. Raises DriverError; the driver then left nothing behind.
        """
        keep_alive: list[ctypes.Array[abi.IocExtent] | abi.IocSegment] = []  # what the addresses point to
        array = (abi.IocOrigin * len(origins))()
        for item, origin in zip(array, origins):
            item.size = ctypes.sizeof(abi.IocOrigin)
            item.flags = abi.CREATE_READ_ONLY if origin.read_only else 0
            item.flags |= abi.CREATE_FIXED_STORE if origin.fixed_store else 0
            item.flags |= abi.CREATE_UNCOUNTED if origin.uncounted else 0
            item.bdev_fd = origin.bdev_fd
            item.floor_percent = origin.floor_percent
            item.path = _path_field(origin.path)
            item.store_path = _path_field(origin.store_path)
            if origin.segment is not None:
                segment, extents = _segment(origin.segment)
                keep_alive += [extents, segment]
                item.segment = ctypes.addressof(segment)
        fds = (ctypes.c_int32 * max(1, len(freeze_fds)))(*freeze_fds)
        call = abi.IocCreate(
            size=ctypes.sizeof(abi.IocCreate),
            abi=abi.ABI_VERSION,
            nr_origins=len(origins),
            nr_freeze=len(freeze_fds),
            origins=ctypes.addressof(array),
            freeze_fds=ctypes.addressof(fds),
        )
        try:
            with blocked():
                libc.ioctl(self._fd, abi.IOC_CREATE, call)
        except OSError as error:
            names = ", ".join(origin.path for origin in origins)
            raise self._error(f"no hot copy of {names} was made", error, call.reason) from error
        return Created(tuple(item.minor for item in array), call.frozen_ns, call.total_ns)

    def remove(self, minor: int) -> None:
        """Ends hot copy ``minor``. Raises DriverError: ENXIO when there is none, EBUSY while its device is open."""
        call = abi.IocRemove(size=ctypes.sizeof(abi.IocRemove), abi=abi.ABI_VERSION, minor=minor)
        try:
            with blocked():
                libc.ioctl(self._fd, abi.IOC_REMOVE, call)
        except OSError as error:
            raise self._error(f"the hot copy /dev/hcp{minor} was not removed", error, call.reason) from error

    def hot_copies(self) -> tuple[HotCopy, ...]:
        """Every hot copy there is, by number. Raises DriverError."""
        found: list[HotCopy] = []
        start = 0
        while True:
            info = abi.IocInfo(size=ctypes.sizeof(abi.IocInfo), abi=abi.ABI_VERSION, minor=start)
            try:
                libc.ioctl(self._fd, abi.IOC_NEXT, info)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return tuple(found)
                raise self._error("the driver does not list its hot copies", error, info.reason) from error
            found.append(_hot_copy(info))
            start = info.minor + 1

    def stores(self, minor: int) -> tuple[StoreSegment, ...]:
        """The segments of the store of hot copy ``minor``; none when there is no such hot copy. DriverError."""
        found: list[StoreSegment] = []
        while True:
            call = abi.IocStore(size=ctypes.sizeof(abi.IocStore), abi=abi.ABI_VERSION, minor=minor, index=len(found))
            try:
                libc.ioctl(self._fd, abi.IOC_STORE, call)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return tuple(found)
                raise self._error("the driver does not list its stores", error, b"") from error
            device = DevId(call.dev_major, call.dev_minor)
            found.append(StoreSegment(device, call.ino, call.bytes, call.used_bytes))

    def stores_in_use(self) -> frozenset[tuple[DevId, int]]:
        """Device and inode of every file the driver holds as a part of some store. DriverError."""
        one_of_each = {copy.origin: copy.minor for copy in self.hot_copies()}
        return frozenset(
            (segment.device, segment.ino)
            for minor in one_of_each.values()
            for segment in self.stores(minor)
            if segment.ino
        )

    def set_free(self, minor: int, ranges: Sequence[Extent]) -> None:
        """Tells which bytes of hot copy ``minor`` were free when it was made (sorted, apart). DriverError.

        EEXIST: told before. At most abi.MAX_FREE ranges. What is named in error is lost to the hot copy.
        """
        array = (abi.IocExtent * max(1, len(ranges)))()
        for item, extent in zip(array, ranges):
            item.sector = extent.physical // abi.SECTOR_SIZE
            item.nr_sectors = extent.length // abi.SECTOR_SIZE
        call = abi.IocFree(
            size=ctypes.sizeof(abi.IocFree),
            abi=abi.ABI_VERSION,
            minor=minor,
            nr=len(ranges),
            ranges=ctypes.addressof(array),
        )
        try:
            libc.ioctl(self._fd, abi.IOC_FREE, call)
        except OSError as error:
            raise self._error(f"the free blocks of /dev/hcp{minor} were not taken", error, call.reason) from error

    def grow(self, minor: int, segment: Segment) -> int:
        """One more segment for the store of hot copy ``minor``; how many bytes of it are usable. DriverError.

        ENOSPC: none of it is, and the segment was not taken.
        """
        layout, extents = _segment(segment)
        call = abi.IocGrow(
            size=ctypes.sizeof(abi.IocGrow), abi=abi.ABI_VERSION, minor=minor, segment=ctypes.addressof(layout)
        )
        try:
            libc.ioctl(self._fd, abi.IOC_GROW, call)
        except OSError as error:
            raise self._error(f"the store of /dev/hcp{minor} did not grow", error, call.reason) from error
        finally:
            del extents  # it had to live until here
        return int(call.usable_bytes)

    def end(self, minor: int, state: int, reason: str) -> None:
        """Stops every hot copy of the origin of ``minor`` with a state and a reason; they stay listed. DriverError."""
        call = abi.IocEnd(
            size=ctypes.sizeof(abi.IocEnd),
            abi=abi.ABI_VERSION,
            minor=minor,
            state=state,
            reason=os.fsencode(reason)[: abi.REASON_LEN - 1],
        )
        try:
            libc.ioctl(self._fd, abi.IOC_END, call)
        except OSError as error:
            raise self._error(f"/dev/hcp{minor} was not ended", error, b"") from error

    def wait(self, seen: int, timeout: float, keeper: bool = False) -> Waited:
        """Waits until something has happened since ``seen``, or ``timeout`` seconds; 0 only tells.

        ``keeper`` makes this Driver the keeper's until it is closed. DriverError: EBUSY, there is a keeper; EINTR.
        """
        call = abi.IocWait(
            size=ctypes.sizeof(abi.IocWait),
            abi=abi.ABI_VERSION,
            flags=abi.WAIT_KEEPER if keeper else 0,
            timeout_ms=round(timeout * 1000),
            seen=seen,
        )
        try:
            libc.ioctl(self._fd, abi.IOC_WAIT, call)
        except OSError as error:
            raise self._error("waiting for the driver failed", error, b"") from error
        return Waited(call.seen, call.nr_hot_copies, call.nr_keepers)

    def changed(self, minor: int, until: int = 0) -> Iterator[Extent]:
        """What was written to the origin since hot copy ``minor`` was made, until ``until`` (0: now); DriverError.

        Extents in bytes of the origin, sorted, of whole units; neighbours may touch. ENODATA: it is not known.
        """
        room = 4096
        array = (abi.IocExtent * room)()
        start, size = 0, 1
        while start < size:
            call = abi.IocChanged(
                size=ctypes.sizeof(abi.IocChanged),
                abi=abi.ABI_VERSION,
                minor=minor,
                until=until,
                next=start,
                extents=ctypes.addressof(array),
                room=room,
            )
            try:
                libc.ioctl(self._fd, abi.IOC_CHANGED, call)
            except OSError as error:
                raise self._error(f"what changed since /dev/hcp{minor} cannot be told", error, call.reason) from error
            for item in array[: call.nr]:
                start_byte = item.sector * abi.SECTOR_SIZE
                yield Extent(start_byte, start_byte, item.nr_sectors * abi.SECTOR_SIZE)
            start, size = call.next, call.nr_sectors

    @staticmethod
    def _error(what: str, error: OSError, reason: bytes) -> DriverError:
        number = error.errno or 0
        why = os.fsdecode(reason) or os.strerror(number)
        return DriverError(f"{what}: {why}", number, os.fsdecode(reason), _REMEDIES.get(number, ""))
