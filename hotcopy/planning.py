# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that is decided about new hot copies before anything is made."""

from __future__ import annotations

from hotcopy import abi, checks, cycles, filesystems, mounting, mounts, places, store, targets
from hotcopy.device import BlockDevice
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.errors import HcpError
from hotcopy.filesystems import Filesystem
from hotcopy.light import TYPE_CHECKING, NamedTuple
from hotcopy.mounts import Mount
from hotcopy.places import DevicePlace, Place, Surroundings
from hotcopy.sysfs import Sysfs
from hotcopy.targets import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Request(NamedTuple):
    """What the command line asked for; ``store_size`` in bytes, ``changed_blocks`` as -c has it, ``quota`` in percent."""

    devices: tuple[str, ...]
    mount_point: str | None = None
    skip_mount: bool = False
    read_only: bool = False
    store_size: int | None = None
    changed_blocks: str | None = None
    force: bool = False
    quota: int | None = None
    all_blocks: bool = False  # keep what was free, too: deleted files, an image exact to the last byte


class OriginPlan(NamedTuple):
    """One hot copy to make. ``place`` is None when it shares the store of earlier ones of its origin.

    ``fixed``: the store is made once and for all. ``fstype`` is what to mount it as, "" when it is not mounted, and
    ``not_mounted`` says why that is.
    """

    target: Target
    place: Place | None
    store_path: str
    floor_percent: int
    fixed: bool
    fstype: str
    not_mounted: str = ""

    @property
    def device(self) -> BlockDevice:
        """The origin."""
        return self.target.device


class Plan(NamedTuple):
    """One instant: its hot copies, and what is frozen for them, the upper filesystems first."""

    request: Request
    origins: tuple[OriginPlan, ...]
    freeze: tuple[Filesystem, ...]


def _sharing(request: Request, device: BlockDevice, hot_copies: Sequence[HotCopy]) -> tuple[HotCopy, ...]:
    """The earlier hot copies of the device, whose store the new one uses too."""
    found = tuple(copy for copy in hot_copies if copy.origin == device.dev)
    if found and request.store_size is not None:
        raise HcpError(
            f"{device.path} has hot copies already, and a new one shares their store", "leave out --store-size"
        )
    return found


def _refuse_other_place(device: BlockDevice, sharing: Sequence[HotCopy], place: Place) -> None:
    if place.device.dev != sharing[0].store:
        raise HcpError(
            f"{device.path} has hot copies already, whose changed blocks are in {sharing[0].store_path}, and a new one"
            f" shares them with {'it' if len(sharing) == 1 else 'them'}",
            "leave out -c, or end the others first (hcp -r)",
        )


def _refuse_all_blocks(request: Request, device: BlockDevice, sharing: Sequence[HotCopy]) -> None:
    """A store in the origin itself that grows would stop growing: every block it could have would be needed."""
    if request.all_blocks and sharing[0].store == device.dev and not sharing[0].fixed_store:
        raise HcpError(
            f"{device.path} has hot copies without --all-blocks, whose space for changed blocks would stop growing",
            "leave it out, or end the others first (hcp -r)",
        )


def _refuse_cycles(origins: Sequence[OriginPlan], stores: Mapping[DevId, frozenset[DevId]], sysfs: Sysfs) -> None:
    """Refuses a store whose writes would be copied into itself, perhaps by way of other origins."""
    made = {item.device.dev: frozenset([item.place.device.dev]) for item in origins if item.place is not None}
    for item in origins:
        place, device = item.place, item.device
        if place is None:
            continue
        if place.device.dev == device.dev and isinstance(place, DevicePlace):
            raise HcpError(f"{device.path} cannot take its own changed blocks", places.ELSEWHERE)
        if cycles.comes_back(device.dev, place.device.dev, {**stores, **made}, sysfs):
            raise HcpError(
                f"changed blocks cannot be kept in {place.shown}: what is written there ({place.device.path}) is"
                f" written to {device.path} in the end",
                "name another disk, or a partition with a filesystem directly on it, with -c",
            )


def _mountable(request: Request, target: Target, sysfs: Sysfs) -> tuple[str, str]:
    """What to mount the hot copy as, and why not if it is not mounted."""
    if target.filesystem is not None:
        if request.skip_mount:
            return "", ""
        checks.refuse_unmountable(target.filesystem, target.device, sysfs)
        return target.filesystem.fstype, ""
    if request.mount_point is not None:
        raise HcpError(
            f"{target.device.path} has no filesystem mounted directly from it, so its hot copy is not mounted either",
            "leave out --mount-point",
        )
    if request.skip_mount:
        return "", ""
    if target.carries_others:
        return "", "it holds a whole disk; 'losetup --find --show --read-only --partscan {node}' shows its partitions"
    return "", "it holds no filesystem that was mounted"


def _origin(request: Request, target: Target, named: Place | None, around: Surroundings) -> OriginPlan:
    checks.refuse_device(target, around.hot_copies, around.sysfs)
    checks.refuse_filesystems(target)
    sharing = _sharing(request, target.device, around.hot_copies)
    if sharing:
        _refuse_all_blocks(request, target.device, sharing)
        if named is not None:
            _refuse_other_place(target.device, sharing, named)
        floor = sharing[-1].floor_percent if request.quota is None else request.quota
        return OriginPlan(target, None, sharing[0].store_path, floor, False, *_mountable(request, target, around.sysfs))
    place = named if named is not None else places.default(target, around)
    fixed = (
        request.store_size is not None or isinstance(place, DevicePlace) or _needs_all_at_once(request, target, place)
    )
    floor = store.FLOOR_PERCENT if request.quota is None else request.quota
    # The last, as the least of what can be wrong: there is a way around it.
    return OriginPlan(target, place, place.shown, floor, fixed, *_mountable(request, target, around.sysfs))


def _needs_all_at_once(request: Request, target: Target, place: Place) -> bool:
    """Whether the store cannot grow.

    It grows into blocks that no hot copy needs. With --all-blocks each is needed; on a disk of several filesystems
    nobody tells the driver which blocks were free. So no later file there would do.
    """
    if request.all_blocks and place.device.dev == target.device.dev:
        return True
    return target.filesystem is None and place.device.dev in target.carried


def _refuse_twice(devices: Sequence[BlockDevice]) -> None:
    seen: dict[DevId, BlockDevice] = {}
    for device in devices:
        if device.dev in seen:
            raise HcpError(f"{seen[device.dev].path} and {device.path} are one device", "name it once")
        seen[device.dev] = device


def _refuse_crowd(request: Request, named: Place | None, freeze: Sequence[Filesystem]) -> None:
    if len(request.devices) > 1 and isinstance(named, DevicePlace):
        raise HcpError(
            f"{named.shown} can take the changed blocks of one device only, not of {len(request.devices)}",
            "name a mounted device or a directory with -c",
        )
    if len(freeze) > abi.MAX_FREEZE:
        raise HcpError(
            f"{len(freeze)} filesystems would have to be frozen at once, the driver takes {abi.MAX_FREEZE}",
            "copy some of the devices at a time",
        )


def _stores(driver: Driver, hot_copies: Sequence[HotCopy]) -> dict[DevId, frozenset[DevId]]:
    """Every origin that has hot copies, and the devices of its store."""
    return {copy.origin: frozenset(part.device for part in driver.stores(copy.minor)) for copy in hot_copies}


def _refuse_occupied(request: Request, devices: Sequence[BlockDevice], around: Surroundings) -> None:
    if request.mount_point is not None:
        taken = [device.dev for device in devices] + [copy.device for copy in around.hot_copies]
        mounting.refuse_occupied(request.mount_point, around.table, taken)


def _mounted(devices: Sequence[BlockDevice], table: Sequence[Mount], sysfs: Sysfs) -> tuple[Filesystem, ...]:
    """The mounted filesystems; those that only others see too, if something is on a device that we do not see."""
    own = filesystems.read(table, sysfs)
    carried = filesystems.carried([device.dev for device in devices], own, sysfs)
    leaves = [dev for dev in carried if not sysfs.partitions(dev) and not sysfs.holders(dev)]
    if all(filesystems.on(own, dev) for dev in leaves):
        return own
    from hotcopy import namespaces  # for raw devices only

    return own + filesystems.read(namespaces.foreign_mounts({mount.dev for mount in table}), sysfs)


def _freeze(found: Sequence[Target], around: Surroundings) -> tuple[Filesystem, ...]:
    """All that is frozen for them, the upper filesystems first."""
    if len(found) == 1:
        return found[0].above
    devices = [target.device.dev for target in found]
    return filesystems.in_freeze_order(devices, around.filesystems, around.sysfs)


def _upper_first(origins: Sequence[OriginPlan], sysfs: Sysfs) -> tuple[OriginPlan, ...]:
    """Each before those it is built on: the driver holds their writes one after the other."""
    if len(origins) < 2:
        return tuple(origins)
    return tuple(sorted(origins, key=lambda item: -cycles.depth(item.device.dev, sysfs)))


def plan(request: Request, devices: Sequence[BlockDevice], driver: Driver) -> Plan:
    """Decides all of it, or says what speaks against it. HcpError."""
    sysfs, table = Sysfs(), mounts.read()
    around = Surroundings(table, _mounted(devices, table, sysfs), driver.hot_copies(), sysfs)
    _refuse_twice(devices)
    named = None
    if request.changed_blocks is not None:
        named = places.named(request.changed_blocks, request.force, around)
    found = [targets.of(device, around.filesystems, sysfs) for device in devices]
    freeze = _freeze(found, around)
    _refuse_crowd(request, named, freeze)
    origins = _upper_first([_origin(request, target, named, around) for target in found], sysfs)
    _refuse_cycles(origins, _stores(driver, around.hot_copies), sysfs)
    _refuse_occupied(request, devices, around)
    return Plan(request, origins, freeze)
