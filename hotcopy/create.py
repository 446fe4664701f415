# SPDX-License-Identifier: GPL-2.0-or-later
"""``hcp DEVICE...``: new hot copies of one instant, or nothing at all."""

from __future__ import annotations

import errno
import os

from hotcopy import (
    __version__,
    attach,
    checks,
    context,
    dates,
    filesystems,
    freespace,
    frozen,
    lock,
    mounting,
    nodes,
    planning,
    signals,
    starter,
    stores,
)
from hotcopy.device import resolve
from hotcopy.driver import Created, Driver, HotCopy, Origin
from hotcopy.errors import DriverError, HcpError
from hotcopy.filesystems import Filesystem
from hotcopy.light import TYPE_CHECKING
from hotcopy.mounting import MountPoint
from hotcopy.output import Output
from hotcopy.planning import OriginPlan, Plan, Request
from hotcopy.sysfs import Sysfs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable, TypeAlias

Check: TypeAlias = "Callable[[], None]"
_NS = 1e9
_PROBE_PATIENCE = 2.0  # seconds that a write may take
_FROZEN_PATIENCE = 10.0  # seconds without an end of a write-back, and then of a write


def _write_back(roots: Sequence[int], mounted: Sequence[Filesystem]) -> None:
    """Most of the write-back happens here, where nobody waits, so that the freeze has little left to do. HcpError."""
    for number, (root, filesystem) in enumerate(zip(roots, mounted)):
        below = roots[number + 1 :]
        try:
            if not below:
                filesystems.write_back(root, filesystem.fstype)
                continue
            if frozen.is_frozen(root, _PROBE_PATIENCE):
                continue  # it was written back then; if it is only slow, the freeze takes longer
            # It may be on a loop device, whose file is in one of those.
            stuck = frozen.write_back(root, filesystem.fstype, below, _FROZEN_PATIENCE)
        except OSError as error:
            raise HcpError(
                f"cannot write back {filesystem.place}: {error.strerror}", "look into the kernel log (dmesg)"
            ) from error
        if stuck is not None:
            place = mounted[roots.index(stuck)].place
            raise HcpError(
                f"the filesystem on {place} is frozen, so that {filesystem.place}, which is on it, cannot be written back",
                f"thaw it (fsfreeze -u {place}), or freeze {filesystem.place} before it",
            )


def _write_back_device(bdev: int, path: str) -> None:
    # What was written through the node itself: a database on a raw device, a partition table.
    try:
        os.fsync(bdev)
    except OSError as error:
        raise HcpError(f"cannot write back {path}: {error.strerror}", "look into the kernel log (dmesg)") from error


def _origin(
    plan: OriginPlan, request: Request, driver: Driver, stack: context.ExitStack, out: Output, frozen_too: bool
) -> Origin:
    """Opens the device and makes its store; ``stack`` closes them, and takes the store back after an error.

    ``frozen_too``: filesystems are frozen for others of its group, and then nobody waits for writes to raw devices.
    """
    out.line(f"Starting Hot Copy: {plan.device.path}.")
    bdev = stack.enter_context(stores.opened_device(plan.device))
    segment = stack.enter_context(stores.made(plan, request, driver))
    out.line(f"Changed blocks stored: {plan.store_path}")
    return Origin(
        bdev,
        plan.device.path,
        plan.store_path,
        request.read_only,
        segment,
        floor_percent=plan.floor_percent,
        fixed_store=plan.fixed and segment is not None,
        uncounted=plan.target.filesystem is None and (frozen_too or not _counts_writes(plan)),
    )


def _counts_writes(plan: OriginPlan) -> bool:
    from hotcopy import counting  # for raw devices only

    return counting.counts_writes(Sysfs(), plan.device.dev)


def _explained(error: DriverError, plan: Plan) -> HcpError:
    """Names the filesystem where the driver only knows that there is one."""
    moving = [filesystem.place for filesystem in plan.freeze if filesystem.fstype == "btrfs"]
    if error.errno == errno.EOPNOTSUPP and moving:
        return HcpError(
            f"{error.cause} (this kernel does not let the driver freeze the btrfs on {', '.join(moving)})",
            "unmount it for the hot copy, or use btrfs subvolume snapshot",
        )
    return error


def _snapshot(plan: Plan, driver: Driver, out: Output, check: Check) -> Created:
    """Makes the stores and the hot copies; when it fails the stores are gone again."""
    with context.ExitStack() as stack:
        roots = []
        for filesystem in plan.freeze:
            roots.append(filesystems.open_any(filesystem))
            stack.callback(os.close, roots[-1])
        stores.clean_leftovers(plan.origins, driver)
        origins = [_origin(item, plan.request, driver, stack, out, bool(plan.freeze)) for item in plan.origins]
        check()
        _write_back(roots, plan.freeze)
        for item, origin in zip(plan.origins, origins):
            if item.target.filesystem is None:
                _write_back_device(origin.bdev_fd, item.device.path)
        starter.ensure(driver)  # the store can be full a moment after the freeze
        try:
            return driver.create(origins, roots)
        except DriverError as error:
            raise _explained(error, plan) from error


def _report(copy: HotCopy, created: Created, out: Output) -> None:
    out.line(f"Snapshot completed: {created.total_ns / _NS:.3f} seconds")
    out.line(f"File system frozen: {created.frozen_ns / _NS:.3f} seconds")
    out.line(f"Hot Copy created: {dates.local_date(copy.created_ns)}")
    out.line(f"Hot Copy created at: {copy.node}")


def _tell_free(item: OriginPlan, copy: HotCopy, request: Request, driver: Driver) -> str:
    """Tells the driver what was free, before anything is written to the hot copy; a line for the user, "" if all is well."""
    nodes.appear(copy.node, copy.device)
    if item.target.filesystem is None or request.all_blocks:
        return ""
    told = freespace.tell(driver, copy, item.target.filesystem.fstype)
    if told.free or copy.fixed_store or copy.store != copy.origin:
        return ""
    return (
        f"Its store does not grow beyond {copy.store_bytes >> 20} MiB: which blocks of {item.device.path} were free is not"
        f" known ({told.doubt}). Keep changed blocks elsewhere (-c) if that is too little."
    )


def _mount(item: OriginPlan, copy: HotCopy, ready: MountPoint | None, out: Output) -> None:
    """Mounts the hot copy on ``ready``, or on the default place."""
    out.line(f"Mounting {copy.node} {'read-only' if copy.read_only else 'read-write'}")
    place = ready or mounting.prepare(mounting.default_path(item.device.label, copy.name))
    try:
        remark = mounting.mount(copy.node, item.fstype, place.path, copy.read_only)
    except BaseException:
        place.undo()
        raise
    if remark:
        out.line(remark)
    out.line(f"Hot Copy mounted at: {place.path}")


def _show(item: OriginPlan, copy: HotCopy, ready: MountPoint | None, out: Output) -> None:
    if item.fstype:
        _mount(item, copy, ready, out)
    elif item.not_mounted:
        out.line(f"The hot copy is not mounted: {item.not_mounted.format(node=copy.node)}")


def _undo(driver: Driver, copies: Sequence[HotCopy], cause: BaseException) -> None:
    """Ends what was made, the last first. HcpError names what is left."""
    from hotcopy import ending

    for copy in reversed(copies):
        try:
            ending.finish(driver, copy)
        except HcpError as error:
            left = [other for other in copies if other.sequence <= copy.sequence]
            raise HcpError(
                f"{cause}, and {error.cause}",
                f"remove what is unfinished: {', '.join(f'hcp -r {other.node}' for other in left)}",
            ) from cause


def _made(driver: Driver, created: Created) -> tuple[HotCopy, ...]:
    by_minor = {copy.minor: copy for copy in driver.hot_copies()}
    gone = [minor for minor in created.minors if minor not in by_minor]
    if gone:
        raise HcpError(f"the new hot copy /dev/hcp{gone[0]} has vanished", "look into the kernel log (dmesg)")
    return tuple(by_minor[minor] for minor in created.minors)


def _create(plan: Plan, driver: Driver, out: Output, check: Check) -> None:
    ready: MountPoint | None = None
    if plan.request.mount_point is not None and not plan.request.skip_mount:
        ready = mounting.prepare(plan.request.mount_point)
    try:
        out.line(f"Hot Copy {__version__}")
        starter.begin(driver)  # it gets ready while the stores are made
        created = _snapshot(plan, driver, out, check)
        copies = _made(driver, created)
        try:
            starter.ensure(driver)  # it may have ended with the last hot copy just before
            remarks = [_tell_free(item, copy, plan.request, driver) for item, copy in zip(plan.origins, copies)]
            for item, copy, remark in zip(plan.origins, copies, remarks):
                _report(copy, created, out)
                if remark:
                    out.line(remark)
                check()
                _show(item, copy, ready, out)
        except BaseException as error:
            _undo(driver, copies, error)
            raise
    except BaseException:
        if ready is not None:
            ready.undo()
        raise


def create(request: Request, out: Output) -> None:
    """Makes hot copies as asked, printing what it does. HcpError; nothing is left behind then."""
    checks.need_root()
    devices = [resolve(name) for name in request.devices]
    with attach.attach() as driver, lock.held(), signals.deferred() as check:
        _create(planning.plan(request, devices, driver), driver, out, check)
