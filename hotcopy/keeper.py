# SPDX-License-Identifier: GPL-2.0-or-later
"""The keeper: one process for all hot copies, which lets their stores grow and ends them at their floor (design, 3.6).

hcp starts it (starter.py) and it ends with the last hot copy; there is no state that a new one would miss. While it has nothing
to do it holds /dev/hcp and its workers, and nothing else: no mount, no file of any filesystem.
"""

from __future__ import annotations

import errno
import os
import time

from hotcopy import abi, blocks, context, daemon, grow, mounts
from hotcopy.devid import DevId
from hotcopy.driver import Driver, HotCopy
from hotcopy.errors import DriverError
from hotcopy.grow import Outcome
from hotcopy.light import TYPE_CHECKING
from hotcopy.mounts import Mount
from hotcopy.store import Space
from hotcopy.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PERIOD = 1.0  # seconds between looks at the free space
_BUSY_PERIOD = 0.02  # seconds, while a store is growing
_MOST_IDLE = 2  # workers
_SOON = 2.0  # seconds that this takes unless the filesystem is frozen
_PAUSE = 0.5  # seconds until the next attempt after one that did not succeed, twice that after the next, ...
_LONGEST_PAUSE = {Outcome.GROWN: 0.0, Outcome.NO_ROOM: 1.0, Outcome.UNUSABLE: 60.0, Outcome.FAILED: 5.0}

Origins = dict[DevId, list[HotCopy]]


def by_origin(copies: Iterable[HotCopy]) -> Origins:
    """The hot copies that are alive, by their origins."""
    found: Origins = {}
    for copy in copies:
        if copy.state == "active":
            found.setdefault(copy.origin, []).append(copy)
    return found


def wants_space(copies: Sequence[HotCopy]) -> bool:
    """Whether the store that these hot copies share should grow."""
    return any(copy.wants_space for copy in copies) and not any(copy.fixed_store for copy in copies)


def floor_of(copies: Iterable[HotCopy]) -> int:
    """The highest of the floors that were asked for, in percent."""
    return max(copy.floor_percent for copy in copies)


class _MountTable:
    """The mounts, read again when they have changed: there can be thousands."""

    def __init__(self) -> None:
        self._text = b""
        self._mounts: tuple[Mount, ...] = ()

    def whole(self, dev: DevId) -> Mount | None:
        """Where the root of the filesystem on ``dev`` can be written to."""
        with context.suppress(OSError, ValueError), open("/proc/self/mountinfo", "rb") as file:
            text = file.read()
            if text != self._text:
                self._mounts = mounts.parse(os.fsdecode(text))
                self._text = text
        return mounts.whole_and_writable(mounts.of_device(self._mounts, dev))


class _Growth:
    """What is known of the growth of one store; ``worker`` is at it."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.started = 0.0
        self.not_before = 0.0
        self.failures = 0

    def note(self, outcome: Outcome) -> None:
        """When the next attempt may be. The free blocks of a new hot copy become known in a moment, or never."""
        self.failures = 0 if outcome is Outcome.GROWN else self.failures + 1
        pause = min(_PAUSE * 2 ** min(self.failures - 1, 10), _LONGEST_PAUSE[outcome])
        self.not_before = time.monotonic() + pause


class Keeper:
    """What the keeper remembers between two looks."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.table = _MountTable()
        self.growths: dict[DevId, _Growth] = {}
        self.idle: list[Worker] = []
        self.looked = 0.0
        self.locked = False

    def step(self) -> None:
        """Looks at every hot copy once, and does what there is to do. DriverError."""
        origins = by_origin(self.driver.hot_copies())
        for growth in self.growths.values():
            self._reap(growth)
        self.growths = {origin: growth for origin, growth in self.growths.items() if growth.worker or origin in origins}
        for origin, copies in origins.items():
            if wants_space(copies):
                with context.suppress(OSError):  # no memory for a process now
                    self._grow(origin, copies)
        if time.monotonic() >= self.looked + _PERIOD:
            self.looked = time.monotonic()
            self._mind_floors(origins)
        if self.period == _PERIOD:
            self._prepare()

    def _prepare(self) -> None:
        """What is better done ahead of need, but not when it is in the way."""
        if not self.locked:
            daemon.lock_memory()
            self.locked = True
        if not self.idle:
            with context.suppress(OSError):
                self.idle.append(Worker())

    @property
    def period(self) -> float:
        """How long to wait for the driver: a child of ours may end before."""
        soon = time.monotonic() - _SOON
        growing = any(growth.worker and growth.started > soon for growth in self.growths.values())
        return _BUSY_PERIOD if growing else _PERIOD

    def _reap(self, growth: _Growth) -> None:
        outcome = growth.worker.outcome() if growth.worker else None
        if growth.worker is None or outcome is None:
            return
        growth.note(outcome)
        if growth.worker.is_alive and len(self.idle) < _MOST_IDLE:
            self.idle.append(growth.worker)
        else:
            growth.worker.close()
        growth.worker = None

    def _grow(self, origin: DevId, copies: list[HotCopy]) -> None:
        growth = self.growths.setdefault(origin, _Growth())
        if growth.worker or time.monotonic() < growth.not_before:
            return
        mount = self.table.whole(copies[0].store)
        if mount is None:
            return
        worker = self.idle.pop() if self.idle else Worker()
        growth.started = time.monotonic()
        growth.worker = worker
        worker.give(grow.need_of(copies, mount))

    def close(self) -> None:
        """Lets the workers end."""
        for worker in [*self.idle, *(growth.worker for growth in self.growths.values() if growth.worker)]:
            worker.close()

    def _mind_floors(self, origins: Origins) -> None:
        for copies in origins.values():
            mount = self.table.whole(copies[0].store)
            if mount is None:
                continue
            percent = floor_of(copies)
            try:
                at_floor = Space.of(mount.mount_point, percent).at_floor
            except OSError:
                continue
            if at_floor:
                reason = f"the free space of {mount.mount_point} is at its floor of {percent} % (hcp -q)"
                with context.suppress(DriverError):  # it went meanwhile
                    self.driver.end(copies[0].minor, abi.State.OVERFLOW, reason)


def _serve(driver: Driver, starter: int, served: bool) -> bool:
    """Until there is no hot copy left. False when there is another keeper, or the driver does not want one.

    The first hot copy may come as long as the hcp that started us runs.
    """
    keeper = Keeper(driver)
    seen = 0
    try:
        while True:
            try:
                # The first call returns at once.
                waited = driver.wait(seen, keeper.period, keeper=True)
                seen = waited.seen
                served = served or waited.hot_copies > 0
                if not waited.hot_copies and (served or daemon.has_ended(starter)):
                    return True
                keeper.step()
            except DriverError as error:
                if error.errno not in (errno.EINTR, errno.ENOMEM):
                    return False
    finally:
        keeper.close()


def run(driver: Driver, starter: int) -> None:
    """What the keeper does; ``driver`` is registered as its own. ``starter``: a pipe that ends with the hcp that started it."""
    blocks.get_ready()
    served = False
    with Driver() as asking:
        while True:
            with driver:
                if not _serve(driver, starter, served):
                    return
            # Whoever asked while we were registered has relied on us: a hot copy may have come since.
            waited = asking.wait(0, 0)
            if not waited.hot_copies or waited.keepers:
                return
            served = True
            driver = Driver()
