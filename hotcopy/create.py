# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp DEVICE``: one new hot copy, or nothing at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

from hotcopy import (
    __version__,
    attach,
    checks,
    libc,
    listing,
    lock,
    mounting,
    mounts,
    nodes,
    sessions,
    signals,
    store,
)
from hotcopy.device import BlockDevice, resolve
from hotcopy.devid import DevId
from hotcopy.driver import Created, Driver, HotCopy, Origin, Segment
from hotcopy.errors import HcpError
from hotcopy.mounting import MountPoint
from hotcopy.mounts import Mount
from hotcopy.output import Output

Check = Callable[[], None]
_NS = 1e9


@dataclass(frozen=True)
class Request:
    """What the command line asked for; ``store_size`` in bytes."""

    device: str
    mount_point: str | None = None
    skip_mount: bool = False
    read_only: bool = False
    store_size: int | None = None


@dataclass(frozen=True)
class _Plan:
    """Everything that is known before something is made."""

    request: Request
    device: BlockDevice
    filesystem: Mount
    sharing: tuple[HotCopy, ...]  # earlier hot copies of the origin, whose store the new one uses too

    @property
    def store_path(self) -> str:
        if self.sharing:
            return self.sharing[0].store_path
        return os.path.join(self.filesystem.mount_point, store.DIRECTORY)


@contextlib.contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise HcpError(f"cannot open {path}: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)


def _plan(request: Request, device: BlockDevice, copies: Sequence[HotCopy], table: Sequence[Mount]) -> _Plan:
    checks.refuse_device(device, copies)
    sharing = tuple(copy for copy in copies if copy.origin == device.dev)
    if sharing and request.store_size is not None:
        raise HcpError(
            f"{device.path} has hot copies already, and a new one shares their store", "leave out --store-size"
        )
    filesystem = checks.filesystem_of(device, table)
    if request.mount_point is not None:
        taken = [device.dev] + [copy.device for copy in copies]
        mounting.refuse_occupied(request.mount_point, table, taken)
    return _Plan(request, device, filesystem, sharing)


def _clean(root: int, driver: Driver) -> None:
    with contextlib.suppress(OSError):  # a leftover costs space only; the next hcp tries again
        store.clean(root, sessions.stores_in_use(driver.hot_copies()))


def _make_store(plan: _Plan, root: int, driver: Driver) -> store.Store | None:
    if plan.sharing:
        return None
    where = plan.filesystem.mount_point
    _clean(root, driver)
    size = store.plan_size(store.Space.of(root), plan.device.size, plan.request.store_size, where)
    return store.make(root, where, size)


def _arm(plan: _Plan, driver: Driver, root: int, bdev: int, made: store.Store | None) -> Created:
    # Most of the write-back happens here, where nobody waits, so that the freeze has little left to do.
    try:
        libc.syncfs(root)
    except OSError as error:
        where = plan.filesystem.mount_point
        raise HcpError(f"cannot write back {where}: {error.strerror}", "look into the kernel log (dmesg)") from error
    segment = Segment(made.file_fd, bdev, made.extents) if made is not None else None
    origin = Origin(bdev, plan.device.path, plan.store_path, plan.request.read_only, segment)
    return driver.create([origin], [root])


def _snapshot(plan: _Plan, driver: Driver, out: Output, check: Check) -> Created:
    """Makes the store and the hot copy; when it fails the store is gone again."""
    directory = plan.filesystem.mount_point
    with _opened(directory, os.O_RDONLY | os.O_DIRECTORY) as root, _opened(plan.device.node, os.O_RDONLY) as bdev:
        if DevId.of(os.fstat(root).st_dev) != plan.device.dev or DevId.of(os.fstat(bdev).st_rdev) != plan.device.dev:
            raise HcpError(f"{plan.device.path} is not what is mounted on {directory} any more", "try again")
        made = _make_store(plan, root, driver)
        try:
            out.line(f"Changed blocks stored: {plan.store_path}")
            check()
            return _arm(plan, driver, root, bdev, made)
        except BaseException:
            if made is not None:
                _clean(root, driver)
            raise
        finally:
            if made is not None:
                made.close()


def _report(copy: HotCopy, created: Created, out: Output) -> None:
    out.line(f"Snapshot completed: {created.total_ns / _NS:.3f} seconds")
    out.line(f"File system frozen: {created.frozen_ns / _NS:.3f} seconds")
    out.line(f"Hot Copy created: {listing.local_date(copy.created_ns)}")
    out.line(f"Hot Copy created at: {copy.node}")


def _mount(plan: _Plan, copy: HotCopy, ready: MountPoint | None, out: Output) -> None:
    """Mounts the hot copy on ``ready``, or on the default place."""
    out.line(f"Mounting {copy.node} {'read-only' if plan.request.read_only else 'read-write'}")
    place = ready or mounting.prepare(mounting.default_path(plan.device.label, copy.name))
    try:
        remark = mounting.mount(copy.node, plan.filesystem.fstype, place.path, plan.request.read_only)
    except BaseException:
        place.undo()
        raise
    if remark:
        out.line(remark)
    out.line(f"Hot Copy mounted at: {place.path}")


def _undo(driver: Driver, copy: HotCopy, cause: BaseException) -> None:
    try:
        sessions.end(driver, copy)
    except HcpError as error:
        raise HcpError(f"{cause}, and {error.cause}", f"remove the unfinished one: hcp -r {copy.node}") from cause
    in_use = sessions.stores_in_use(driver.hot_copies())
    if (copy.store, copy.store_ino) not in in_use:
        sessions.give_back(copy.store, in_use)


def _made(driver: Driver, created: Created) -> HotCopy:
    for copy in driver.hot_copies():
        if copy.minor == created.minors[0]:
            return copy
    raise HcpError(f"the new hot copy /dev/hcp{created.minors[0]} has vanished", "look into the kernel log (dmesg)")


def _create(plan: _Plan, driver: Driver, out: Output, check: Check) -> None:
    undo: list[MountPoint] = []
    ready: MountPoint | None = None
    if plan.request.mount_point is not None and not plan.request.skip_mount:
        ready = mounting.prepare(plan.request.mount_point)
        undo.append(ready)
    try:
        out.line(f"Hot Copy {__version__}")
        out.line(f"Starting Hot Copy: {plan.device.path}.")
        created = _snapshot(plan, driver, out, check)
        copy = _made(driver, created)
        try:
            nodes.appear(copy.node, copy.device)
            _report(copy, created, out)
            check()
            if not plan.request.skip_mount:
                _mount(plan, copy, ready, out)
        except BaseException as error:
            _undo(driver, copy, error)
            raise
    except BaseException:
        for place in undo:
            place.undo()
        raise


def create(request: Request, out: Output) -> None:
    """Makes a hot copy as asked, printing what it does. HcpError; nothing is left behind then."""
    checks.need_root()
    device = resolve(request.device)
    with attach.attach() as driver, lock.held(), signals.deferred() as check:
        plan = _plan(request, device, driver.hot_copies(), mounts.read())
        _create(plan, driver, out, check)
