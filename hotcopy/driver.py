# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver, spoken to through /dev/hcp (kmod/hcp_ioctl.h). Nothing else in hcp knows an ioctl of it."""

from __future__ import annotations

import ctypes
import errno
import os
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from hotcopy import __version__, abi, libc
from hotcopy.devid import DevId
from hotcopy.errors import DriverError, HcpError
from hotcopy.fiemap import Extent
from hotcopy.signals import blocked

CONTROL_NODE = f"/dev/{abi.CONTROL_NAME}"
STATE_NAMES = {abi.State.ACTIVE: "active", abi.State.OVERFLOW: "overflow", abi.State.FAILED: "failed"}

_REMEDIES = {
    errno.EPERM: "run hcp as root",
    errno.ENOMEM: "free some memory and try again",
    errno.EPROTO: "install hcp and the driver of the same version",
}


@dataclass(frozen=True)
class Segment:
    """Space for the store: a regular file open read-only and where its blocks are on an open block device."""

    file_fd: int
    bdev_fd: int
    extents: Sequence[Extent]


@dataclass(frozen=True)
class Origin:
    """One device to copy; ``segment`` None when the origin has its store already."""

    bdev_fd: int
    path: str
    store_path: str
    read_only: bool
    segment: Segment | None


@dataclass(frozen=True)
class Created:
    """What one create call made: a hot copy number per origin, and its times in nanoseconds."""

    minors: tuple[int, ...]
    frozen_ns: int
    total_ns: int


@dataclass(frozen=True)
class HotCopy:
    """One hot copy as the driver reports it; sizes in bytes, sectors of 512 bytes, times in nanoseconds."""

    minor: int
    read_only: bool
    is_open: bool
    state: str
    reason: str
    device: DevId
    origin: DevId
    store: DevId
    store_ino: int
    sequence: int
    created_ns: int
    frozen_ns: int
    nr_sectors: int
    preserved_bytes: int
    private_bytes: int
    store_bytes: int
    store_used_bytes: int
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
        store_ino=info.store_ino,
        sequence=info.sequence,
        created_ns=info.created_ns,
        frozen_ns=info.frozen_ns,
        nr_sectors=info.nr_sectors,
        preserved_bytes=info.preserved_bytes,
        private_bytes=info.private_bytes,
        store_bytes=info.store_bytes,
        store_used_bytes=info.store_used_bytes,
        in_flight_bytes=info.in_flight_bytes,
        path=os.fsdecode(info.path),
        store_path=os.fsdecode(info.store_path),
    )


@final
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
            item.bdev_fd = origin.bdev_fd
            item.path = _path_field(origin.path)
            item.store_path = _path_field(origin.store_path)
            if origin.segment is not None:
                pairs = [
                    abi.IocExtent(e.physical // abi.SECTOR_SIZE, e.length // abi.SECTOR_SIZE)
                    for e in origin.segment.extents
                ]
                extents = (abi.IocExtent * len(pairs))(*pairs)
                segment = abi.IocSegment(
                    size=ctypes.sizeof(abi.IocSegment),
                    nr_extents=len(pairs),
                    file_fd=origin.segment.file_fd,
                    bdev_fd=origin.segment.bdev_fd,
                    extents=ctypes.addressof(extents),
                )
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

    @staticmethod
    def _error(what: str, error: OSError, reason: bytes) -> DriverError:
        number = error.errno or 0
        why = os.fsdecode(reason) or os.strerror(number)
        return DriverError(f"{what}: {why}", number, os.fsdecode(reason), _REMEDIES.get(number, ""))
