# SPDX-License-Identifier: GPL-2.0-or-later
"""One more file for the store of an origin. Every step can sleep for long, since the filesystem may be frozen."""

from __future__ import annotations

import enum
import errno
import os

from hotcopy import context, store
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy, Segment
from hotcopy.errors import DriverError, HcpError
from hotcopy.light import NamedTuple
from hotcopy.mounts import Mount
from hotcopy.store import Extension, Space, Store
from hotcopy.sysfs import Sysfs, node

_FILLED = ("vfat", "msdos", "ext2", "ext3")
_TRIES = 4  # files whose blocks the hot copies need: the next one gets other blocks, while those are not given back


class Outcome(enum.IntEnum):
    """How it ended, as an exit status."""

    GROWN = 0
    NO_ROOM = 1  # the floor is near, or the filesystem is full
    UNUSABLE = 2  # all blocks that could be had are needed by a hot copy, or may be
    FAILED = 3


class Need(NamedTuple):
    """A store that should grow: that of hot copy ``minor``, whose files are on the filesystem on ``dev``."""

    minor: int
    floor_percent: int
    dev: DevId
    mount_point: str
    fstype: str


def is_settled(fstype: str, dev: DevId, root: str = "/proc/fs/ext4") -> bool:
    """Whether blocks freed here are not used again before that is on the disk (see Extension.make)."""
    if fstype == "xfs":
        return True
    if fstype not in ("ext4", "ext3"):
        return False
    try:
        with open(f"{root}/{Sysfs().name(dev)}/options", encoding="utf-8", errors="replace") as file:
            options = file.read().split()
    except OSError:
        return False
    # Without a journal there is no such line; with data=writeback the blocks of a deleted file are free at once.
    return "data=ordered" in options or "data=journal" in options


def _hand_over(driver: Driver, need: Need, device: int, made: Store) -> bool:
    """False when none of its blocks can be used. DriverError."""
    try:
        driver.grow(need.minor, Segment(made.file_fd, device, made.extents))
    except DriverError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise
    return True


def _attempt(driver: Driver, need: Need, extension: Extension, device: int, useless: list[Store]) -> Outcome:
    """Makes one file and hands it over; one that cannot be used goes to ``useless``. OSError, HcpError."""
    allocated = sum(segment.size for segment in driver.stores(need.minor))
    space = Space.of(extension.root, need.floor_percent)
    size = store.next_size(space, allocated, need.fstype in _FILLED)
    if not size:
        return Outcome.UNUSABLE if useless else Outcome.NO_ROOM
    made = extension.make(size, need.fstype, is_settled(need.fstype, need.dev))
    try:
        if _hand_over(driver, need, device, made):
            made.close()
            return Outcome.GROWN
    except BaseException:
        extension.drop(made)
        raise
    useless.append(made)
    return Outcome.UNUSABLE


def _grow(driver: Driver, need: Need, extension: Extension, device: int) -> Outcome:
    # Writing the useless blocks would make them usable, but each costs the store as much as it brings: what
    # was in it is kept there. So they are let go, and the driver does with what it has.
    useless: list[Store] = []
    outcome = Outcome.UNUSABLE
    try:
        while outcome is Outcome.UNUSABLE and len(useless) < _TRIES:
            before = len(useless)
            outcome = _attempt(driver, need, extension, device, useless)
            if len(useless) == before:
                break
    finally:
        for made in useless:
            extension.drop(made)
    return outcome


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_RDONLY | os.O_CLOEXEC)


def grow(need: Need) -> Outcome:
    """Makes the store larger, or says why not. OSError, HcpError."""
    with context.ExitStack() as stack:
        driver = stack.enter_context(Driver())
        root = _open(need.mount_point, os.O_DIRECTORY)
        stack.callback(os.close, root)
        device = _open(node(Sysfs().name(need.dev)), 0)
        stack.callback(os.close, device)
        if DevId.of(os.fstat(root).st_dev) != need.dev or DevId.of(os.fstat(device).st_rdev) != need.dev:
            return Outcome.FAILED
        try:
            with store.extending(root, need.mount_point) as extension:
                return _grow(driver, need, extension, device)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return Outcome.NO_ROOM
            raise


def need_of(copies: list[HotCopy], mount: Mount) -> Need:
    """What the hot copies of one origin need."""
    floor = max(copy.floor_percent for copy in copies)
    return Need(copies[0].minor, floor, mount.dev, mount.mount_point, mount.fstype)


def attempt(need: Need) -> Outcome:
    """As grow(), never raises."""
    try:
        return grow(need)
    except (OSError, HcpError):
        return Outcome.FAILED
