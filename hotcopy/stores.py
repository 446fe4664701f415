# SPDX-License-Identifier: GPL-2.0-or-later
"""The store of a new origin, made where its plan says, as the segment that the driver takes."""

from __future__ import annotations

import errno
import os

from hotcopy import context, store
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.driver import Driver, Segment
from hotcopy.errors import HcpError
from hotcopy.fiemap import Extent
from hotcopy.light import TYPE_CHECKING
from hotcopy.places import DevicePlace, FilesystemPlace
from hotcopy.planning import OriginPlan, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LARGEST_FIXED = 64 << 30  # bytes, unless the user wants more


@context.contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """An open file or device. HcpError."""
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise HcpError(f"cannot open {path}: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)


@context.contextmanager
def opened_device(device: BlockDevice, flags: int = os.O_RDONLY) -> Iterator[int]:
    """The open device, still the one that was looked at. HcpError."""
    with opened(device.node, flags) as fd:
        if DevId.of(os.fstat(fd).st_rdev) != device.dev:
            raise HcpError(f"{device.path} has become another device", "try again")
        yield fd


def _clean(root: int, driver: Driver) -> None:
    with context.suppress(OSError, HcpError):  # a leftover costs space only; the next hcp tries again
        store.clean(root, driver.stores_in_use())


def _check_root(root: int, place: FilesystemPlace) -> None:
    if DevId.of(os.fstat(root).st_dev) != place.device.dev:
        raise HcpError(f"{place.device.path} is not what is mounted on {place.mount.mount_point} any more", "try again")


def clean_leftovers(plans: Iterable[OriginPlan], driver: Driver) -> None:
    """Deletes the unused stores in the filesystems that stores are about to be made in; all of them before the first."""
    for place in {plan.place for plan in plans}:
        if isinstance(place, FilesystemPlace):
            with opened(place.mount.mount_point, os.O_RDONLY | os.O_DIRECTORY) as root:
                _check_root(root, place)
                _clean(root, driver)


def _size(plan: OriginPlan, request: Request, space: store.Space, where: str) -> int:
    wanted = request.store_size
    if wanted is None and plan.fixed:  # no more comes later
        wanted = min(max(space.usable // 4, store.SMALLEST), plan.device.size, _LARGEST_FIXED)
    return store.plan_size(space, plan.device.size, wanted, where, plan.floor_percent)


@context.contextmanager
def _in_filesystem(plan: OriginPlan, place: FilesystemPlace, request: Request, driver: Driver) -> Iterator[Segment]:
    where = place.mount.mount_point
    with opened(where, os.O_RDONLY | os.O_DIRECTORY) as root, opened_device(place.device) as bdev:
        _check_root(root, place)
        size = _size(plan, request, store.Space.of(root, plan.floor_percent), where)
        new = store.make(root, where, size, place.mount.fstype)
        try:
            yield Segment(new.file_fd, bdev, new.extents)
        except BaseException:
            _clean(root, driver)
            raise
        finally:
            new.close()


@context.contextmanager
def _on_device(place: DevicePlace, request: Request) -> Iterator[Segment]:
    device = place.device
    try:
        fd = os.open(device.node, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        busy = error.errno == errno.EBUSY
        raise HcpError(
            f"cannot use {device.path} for changed blocks: {'it is in use' if busy else error.strerror}",
            "give a device that nobody uses",
        ) from error
    try:
        if DevId.of(os.fstat(fd).st_rdev) != device.dev:
            raise HcpError(f"{device.path} has become another device", "try again")
        size = request.store_size or device.size
        if size > device.size:
            raise HcpError(
                f"{device.path} has no room for {size >> 20} MiB of changed blocks: it has {device.size >> 20} MiB",
                f"give --store-size {device.size >> 20}M or less",
            )
        yield Segment(fd, fd, [Extent(0, 0, size)])
    finally:
        os.close(fd)


@context.contextmanager
def made(plan: OriginPlan, request: Request, driver: Driver) -> Iterator[Segment | None]:
    """The segment for the driver, None where the origin has its store already.

    What was made is gone again when the with block ends with an error. HcpError.
    """
    if plan.place is None:
        yield None
    elif isinstance(plan.place, DevicePlace):
        with _on_device(plan.place, request) as segment:
            yield segment
    else:
        with _in_filesystem(plan, plan.place, request, driver) as segment:
            yield segment
