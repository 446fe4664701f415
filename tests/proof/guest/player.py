# SPDX-License-Identifier: GPL-2.0-or-later
"""Plays one program against the driver and the model of it; see tests/proof/programs.py for what a program is."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import random
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from hotcopy import fiemap
from hotcopy.driver import Driver, HotCopy
from hotcopy.driver import Origin as DriverOrigin
from hotcopy.errors import DriverError
from hotcopy.fiemap import Extent
from tests.driver.guest.commands import eventually
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import FIFREEZE, FITHAW, SECTOR, UNIT
from tests.driver.guest.workload import BLKDISCARD, BLKZEROOUT, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate, trim
from tests.proof.guest.content import Change, Content, MismatchError
from tests.proof.guest.engines import DSYNC, LARGEST, NOWAIT, Engine, Io
from tests.proof.guest.stage import Scene
from tests.proof.guest.stores import Keeper, Plan, Store

MOST = 4  # hot copies at one time
QUIET = 30.0  # seconds in which what was copied is in the store, or the store has waited in vain to grow
BUSY = 10.0  # seconds in which whoever still has a hot copy open has let go of it
FLAGS = {"": 0, "nowait": NOWAIT, "dsync": DSYNC, "nowait dsync": NOWAIT | DSYNC}
ENDED = (errno.EIO, errno.ENOSPC)

Step = dict[str, Any]


@dataclass
class Copy:
    """A hot copy and what it must show."""

    minor: int
    origin: int  # which of the scene's
    device: Direct
    content: Content
    must: bytearray  # a byte for each unit: written since
    may: bytearray
    doubts: list[Change] = field(default_factory=list)  # under way when it was made
    free_told: bool = False
    written: bool = False
    dead: bool = False
    fresh: bool = True  # made since the last settle()

    @property
    def name(self) -> str:
        """``hcp1``."""
        return f"hcp{self.minor}"


@dataclass
class Pending:
    """A transfer under way, and what it means."""

    io: Io
    content: Content | None  # of what is read or written; None: a flush
    copy: Copy | None
    first: int
    change: Change | None
    step: int


class Player:
    """One program from its first step to the last comparison."""

    def __init__(self, scene: Scene, program: dict[str, Any], engine: Engine, pool: bytes) -> None:
        self.scene = scene
        self.program = program
        self.plan = Plan(**program["store"])
        self.pool = pool
        self.step = -1
        self.copies: list[Copy] = []
        self.stores: dict[int, Store] = {}
        self.pending: list[Pending] = []
        self.played = 0
        self.ended = 0  # hot copies that ended by themselves
        seed = int(program["seed"])
        self.source = random.Random(seed)
        self.driver = Driver()
        self.engine = engine
        self.keeper = Keeper() if self.plan.growth else None
        self.ways = [(Direct(node, os.O_RDWR), start) for node, start in scene.origins[0].ways]
        self.size = os.lseek(self.ways[0][0].fd, 0, os.SEEK_END)
        self.origin = Content("the origin", self._first_bytes())
        self.places = self._places()

    # Data and places

    def _noise(self, length: int) -> bytes:
        """Bytes of which hardly any sector was there before."""
        at = self.source.randrange(len(self.pool) - length)
        return self.pool[at : at + length]

    def _first_bytes(self) -> bytes:
        data = b""
        device, start = self.ways[0]
        while len(data) < self.size:
            part = self._noise(min(LARGEST, self.size - len(data)))
            device.write(start + len(data), part)
            data += part
        return data

    def _places(self) -> list[tuple[int, int, int]]:
        """Where bytes of the origin are on its device: (first, end, first there)."""
        if not self.scene.fs:
            return [(0, self.size, 0)]
        fd = os.open(self.scene.origins[0].ways[0][0], os.O_RDONLY)
        try:
            return [(e.logical, e.logical + e.length, e.physical) for e in fiemap.extents_of(fd)]
        finally:
            os.close(fd)

    def _range(self, step: Step) -> tuple[int, int]:
        """Bytes of the origin that a step names, in whole sectors."""
        first = step["at"] * SECTOR % self.size
        return first, min(first + step["n"] * SECTOR, self.size)

    def _copy_range(self, copy: Copy, step: Step) -> tuple[int, int]:
        """The same place, in a hot copy: where the bytes of the origin were when the program began."""
        first, end = self._range(step)
        for begin, behind, there in self.places:
            if begin <= first < behind:
                first, end = there + first - begin, there + min(end, behind) - begin
                break
        size = len(copy.content.data)
        return first % size, min(first % size + (end - first), size)

    # What is under way

    def _add(self, io: Io, content: Content | None, copy: Copy | None, first: int, change: Change | None) -> None:
        self.pending.append(Pending(io, content, copy, first, change, self.step))

    def _room(self) -> None:
        if self.engine.full:
            self.settle()

    def _read_origin(self, first: int, length: int) -> bytes:
        device, start = self.ways[0]
        return b"".join(
            device.read(start + at, min(LARGEST, first + length - at)) for at in range(first, first + length, LARGEST)
        )

    @staticmethod
    def _read_copy(copy: Copy, first: int, length: int) -> bytes:
        return b"".join(
            copy.device.read(at, min(LARGEST, first + length - at)) for at in range(first, first + length, LARGEST)
        )

    def settle(self) -> None:
        """Everything under way ends; every result and every byte read is looked at. MismatchError."""
        self.engine.wait()
        pending, self.pending = self.pending, []
        for item in pending:
            self._look_at_result(item)
        if any(item.copy and item.io.result != item.io.length for item in pending):
            self._look_at_states()
        for copy in self.copies:
            if copy.fresh and not copy.dead:
                with self._may_end(copy):
                    copy.content.pin(copy.doubts, functools.partial(self._read_copy, copy), self._where())
            copy.fresh, copy.doubts = False, []
        for item in pending:
            if item.io.kind == "read" and item.content and item.io.result == item.io.length:
                item.content.check_read(item.first, self.engine.data(item.io), f"step {item.step}, read")
        self.origin.settle(self._read_origin, self._where())
        for copy in self.copies:
            if not copy.dead:
                with self._may_end(copy):
                    copy.content.settle(functools.partial(self._read_copy, copy), self._where())

    def _where(self) -> str:
        return f"after step {self.step}"

    def _look_at_result(self, item: Pending) -> None:
        io = item.io
        if io.result == -errno.EAGAIN and io.flags & NOWAIT:
            self.engine.again(io)
        if io.result == io.length:
            return
        if item.copy and not self.plan.never_full and -io.result in ENDED:
            if item.change:
                item.change.may = True
            return
        raise MismatchError(
            f"step {item.step}: {io.kind} of {io.length} bytes at {io.offset}: {io.result}"
            f" ({os.strerror(-io.result) if io.result < 0 else 'short'})"
        )

    def _states(self) -> dict[int, HotCopy]:
        return {held.minor: held for held in self.driver.hot_copies()}

    def _look_at_states(self) -> dict[int, HotCopy]:
        """Which hot copies have ended by themselves: none, but when the store may be full. All of them by number."""
        states = self._states()
        for copy in self.copies:
            state = states[copy.minor].state
            if state == "active" or copy.dead:
                continue
            if self.plan.never_full or state != "overflow":
                raise MismatchError(f"{self._where()}: {copy.name} is {state}: {states[copy.minor].reason}")
            copy.dead = True
            self.ended += 1
        return states

    def _has_ended(self, copy: Copy) -> bool:
        """Whether this hot copy has ended by itself, and was allowed to."""
        self._look_at_states()
        return copy.dead

    @contextlib.contextmanager
    def _may_end(self, copy: Copy) -> Iterator[None]:
        """A read may fail when the hot copy has ended meanwhile."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.EIO or not self._has_ended(copy):
                raise

    # Steps

    def play(self) -> None:
        """Every step, then every byte of everything. MismatchError, OSError, DriverError."""
        for number, step in enumerate(self.program["steps"]):
            self.step = number
            getattr(self, f"do_{step['do'].replace('-', '_')}")(step)
            if step.get("wait"):
                self.settle()
            self.played += 1
        self.finish()

    def _pick(self, step: Step) -> Copy | None:
        alive = [copy for copy in self.copies if not copy.dead]
        return alive[step["copy"] % len(alive)] if alive else None

    def _pick_settled(self, step: Step) -> Copy | None:
        """One that may be written to: writes to its origin that it may or may not hold have ended."""
        copy = self._pick(step)
        if copy and copy.fresh:
            self.settle()
        return copy if copy and not copy.dead else None

    def _changed(self, first: int, end: int, *, sure: bool) -> None:
        """Units of the origin are being written: every hot copy has to tell so."""
        begin, behind = first // UNIT, -(-end // UNIT)
        for copy in self.copies:
            copy.may[begin:behind] = b"\1" * (behind - begin)
            if sure:
                copy.must[begin:behind] = b"\1" * (behind - begin)

    def do_write(self, step: Step) -> None:
        """To the origin."""
        self._room()
        first, end = self._range(step)
        device, start = self.ways[step["way"] % len(self.ways)]
        data = self._noise(end - first) if not step.get("zeros") else bytes(end - first)
        change = self.origin.begin(first, data)
        self._changed(first, end, sure=True)
        io = self.engine.write(device.fd, start + first, data, FLAGS[step["flags"]])
        self._add(io, self.origin, None, first, change)

    def do_read_origin(self, step: Step) -> None:
        """Of what may be being written."""
        self._room()
        first, end = self._range(step)
        device, start = self.ways[step["way"] % len(self.ways)]
        io = self.engine.read(device.fd, start + first, end - first)
        self._add(io, self.origin, None, first, None)

    def do_read(self, step: Step) -> None:
        """Of a hot copy, where its origin may be being written."""
        self._room()
        copy = self._pick(step)
        if not copy:
            return
        first, end = self._copy_range(copy, step)
        if copy.fresh and any(change.overlaps(first, end) for change in copy.doubts):
            self.settle()
            if copy.dead:
                return
        self._add(self.engine.read(copy.device.fd, first, end - first), copy.content, copy, first, None)

    def do_write_copy(self, step: Step) -> None:
        """To a hot copy."""
        self._room()
        copy = self._pick_settled(step)
        if not copy:
            return
        first, end = self._copy_range(copy, step)
        data = self._noise(end - first)
        copy.written = True
        change = copy.content.begin(first, data)
        io = self.engine.write(copy.device.fd, first, data, FLAGS[step["flags"]] & ~NOWAIT)
        self._add(io, copy.content, copy, first, change)

    def do_zero_copy(self, step: Step) -> None:
        """Zeros, to a hot copy, by the block layer."""
        copy = self._pick_settled(step)
        if not copy:
            return
        first, end = self._copy_range(copy, step)
        copy.written = True
        change = copy.content.begin(first, bytes(end - first))
        try:
            self._ioctl_range(copy.device.fd, BLKZEROOUT, first, end - first)
        except OSError as error:
            if self.plan.never_full or error.errno not in ENDED:
                raise
            change.may = True

    @staticmethod
    def _ioctl_range(fd: int, request: int, first: int, length: int) -> None:
        fcntl.ioctl(fd, request, struct.pack("=QQ", first, length))

    def do_zero(self, step: Step) -> None:
        """Zeros without data, to the origin."""
        first, end = self._range(step)
        device, start = self.ways[step["way"] % len(self.ways)]
        self.origin.begin(first, bytes(end - first))
        if self.scene.fs:
            fallocate(device.fd, ZERO_RANGE | KEEP_SIZE, first, end - first)
            return
        self._changed(first, end, sure=True)
        self._ioctl_range(device.fd, BLKZEROOUT, start + first, end - first)

    def do_discard(self, step: Step) -> None:
        """Advice, to the origin; in a file system a hole, and what is free."""
        first, end = self._range(step)
        device, start = self.ways[step["way"] % len(self.ways)]
        if self.scene.fs:
            self.origin.begin(first, bytes(end - first))
            fallocate(device.fd, PUNCH_HOLE | KEEP_SIZE, first, end - first)
            return
        self.origin.begin(first, bytes(end - first), may=True)
        self._changed(first, end, sure=False)
        self._ioctl_range(device.fd, BLKDISCARD, start + first, end - first)

    def do_trim(self, step: Step) -> None:
        """Everything free in the filesystem is discarded; on a raw device, some ranges."""
        if self.scene.fs:
            self.scene.fs.sync()
            trim(self.scene.fs.path)
            return
        for number in range(4):
            self.do_discard({**step, "at": step["at"] + number * 1999})

    def do_flush(self, step: Step) -> None:
        """The origin's cache."""
        self._room()
        device, _ = self.ways[step["way"] % len(self.ways)]
        self._add(self.engine.flush(device.fd), None, None, 0, None)

    def do_create(self, step: Step) -> None:
        """One hot copy, or one of each origin at the same instant."""
        if len(self.copies) >= MOST:
            self.do_remove(step)
        which = step["of"] % (len(self.scene.origins) + 1)
        chosen = list(range(len(self.scene.origins))) if which == len(self.scene.origins) else [which]
        if self.scene.fs:
            self._create_frozen(chosen)
        else:
            self._create(chosen, [], self.origin.data, list(self.origin.window))

    def _create_frozen(self, chosen: list[int]) -> None:
        """What the device holds while the filesystem stands still is what the hot copy must show."""
        assert self.scene.fs
        fd = os.open(self.scene.fs.path, os.O_RDONLY)
        try:
            # By a thread: what io_uring has written counts as under way until whoever began it runs, and a freeze waits for it.
            with ThreadPoolExecutor(1) as other:
                other.submit(fcntl.ioctl, fd, FIFREEZE, 0).result()
            try:
                with Direct(self.scene.fs.node) as device:
                    data = b"".join(device.read(at, LARGEST) for at in range(0, self.scene.size, LARGEST))
                self._create(chosen, [fd], data, [])
            finally:
                fcntl.ioctl(fd, FITHAW, 0)
        finally:
            os.close(fd)

    def _create(self, chosen: list[int], freeze: list[int], data: bytes | bytearray, doubts: list[Change]) -> None:
        fds, origins = [], []
        for which in chosen:
            fds.append(os.open(self.scene.origins[which].node, os.O_RDONLY))
            segment = None
            if not any(copy.origin == which for copy in self.copies):
                nodes = self.scene.stores[which]
                node = nodes[self.plan.near % len(nodes)]
                self.stores[which] = Store(node, self.plan, self.source.randrange(1 << 30))
                segment = self.stores[which].first()
            path = self.scene.origins[which].node
            origins.append(DriverOrigin(fds[-1], path, "store", False, segment, fixed_store=not self.plan.growth))
        try:
            made = self.driver.create(origins, freeze)
        finally:
            for fd in fds:
                os.close(fd)
        for which, minor in zip(chosen, made.minors):
            units = -(-len(data) // UNIT)
            device = Direct(f"/dev/hcp{minor}", os.O_RDWR)
            copy = Copy(minor, which, device, Content(f"hcp{minor}", data), bytearray(units), bytearray(units), doubts)
            for change in doubts:
                begin, behind = change.first // UNIT, -(-change.end // UNIT)
                copy.may[begin:behind] = b"\1" * (behind - begin)
            self.copies.append(copy)
            if self.keeper:
                self.keeper.knows(minor, self.stores[which])

    def do_remove(self, step: Step) -> None:
        """One, whatever is under way to the others and to the origin."""
        if not self.copies:
            return
        copy = self.copies[step["copy"] % len(self.copies)]
        if any(item.copy is copy for item in self.pending) or copy.content.window or copy.fresh:
            self.settle()
        self._remove(copy)

    def _remove(self, copy: Copy) -> None:
        self.copies.remove(copy)
        os.close(copy.device.fd)
        if self.keeper:
            self.keeper.forgets(copy.minor)
        deadline = time.monotonic() + BUSY
        while True:
            try:
                self.driver.remove(copy.minor)
                break
            except DriverError as error:
                if error.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
        if not any(other.origin == copy.origin for other in self.copies):
            self.stores.pop(copy.origin).close()

    def do_free(self, step: Step) -> None:
        """Ranges were free, one may say, when this was made: they read as zeros."""
        copy = self._pick(step)
        if not copy or copy.free_told or copy.written or self.scene.fs:
            return
        if copy.fresh or any(item.copy is copy for item in self.pending):
            self.settle()
        if copy.dead:
            return
        sectors = len(copy.content.data) // SECTOR
        points = sorted({(step["at"] + number * step["n"] * 7) % sectors for number in range(8)})
        extents = [Extent(0, begin * SECTOR, (end - begin) * SECTOR) for begin, end in zip(points[::2], points[1::2])]
        copy.free_told = True
        try:
            self.driver.set_free(copy.minor, extents)
        except DriverError:
            if not self._has_ended(copy):
                raise
            return
        for extent in extents:
            first, end = -(-extent.physical // UNIT) * UNIT, (extent.physical + extent.length) // UNIT * UNIT
            if first < end:
                copy.content.data[first:end] = bytes(end - first)

    def do_changed(self, step: Step) -> None:
        """What the driver says was written since, and until a newer one of the same origin."""
        copy = self._pick(step)
        if not copy:
            return
        self.settle()
        state = self._look_at_states()[copy.minor]
        newer = [
            other
            for other in self.copies[self.copies.index(copy) + 1 :]
            if other.origin == copy.origin and not other.dead
        ]
        until = newer[step["n"] % len(newer)] if newer and step["at"] % 2 else None
        if copy.dead or (until and until.dead) or state.changed_lost:
            return
        told = bytearray(len(copy.must))
        try:
            for extent in self.driver.changed(copy.minor, until.minor if until else 0):
                begin, end = extent.physical // UNIT, -(-(extent.physical + extent.length) // UNIT)
                told[begin:end] = b"\1" * (end - begin)
        except DriverError as error:
            if error.errno != errno.ENODATA or not self._has_ended(copy):
                raise
            return
        if self.scene.fs:
            return
        for unit in range(len(told)):
            must = copy.must[unit] and not (until and until.may[unit])
            if told[unit] and not copy.may[unit]:
                raise MismatchError(f"step {self.step}: unit {unit} counts as written since {copy.name}, and was not")
            if must and not told[unit]:
                raise MismatchError(f"step {self.step}: unit {unit} was written since {copy.name}, and is not told")

    def do_check(self, _step: Step) -> None:
        """Every byte of every hot copy and of the origin."""
        self.settle()
        self._look_at_states()
        for copy in self.copies:
            self._check(copy)
        self.origin.check(*self.ways[0], self._where())

    def _check(self, copy: Copy) -> None:
        if copy.dead:
            try:
                self._read_copy(copy, 0, UNIT)
            except OSError as error:
                if error.errno == errno.EIO:
                    return
            raise MismatchError(f"{self._where()}: {copy.name} has ended, and is read without an error")
        with self._may_end(copy):
            copy.content.check(copy.device, 0, self._where())

    def _check_space(self) -> None:
        """Of each store so much is in use as its hot copies say they keep: nothing is lost, nothing held twice."""
        for which in sorted({copy.origin for copy in self.copies}):
            mine = [copy.minor for copy in self.copies if copy.origin == which]
            if eventually(functools.partial(self._space_adds_up, mine), QUIET):
                continue
            held = [copy for copy in self.driver.hot_copies() if copy.minor in mine]
            self._look_at_states()
            if all(copy.state == "active" for copy in held):
                told = [(copy.name, copy.preserved_bytes, copy.private_bytes) for copy in held]
                raise MismatchError(f"{self._where()}: {held[0].store_used_bytes} bytes are in use, kept are {told}")

    def _space_adds_up(self, minors: list[int]) -> bool:
        held = [copy for copy in self.driver.hot_copies() if copy.minor in minors]
        kept = sum(copy.preserved_bytes + copy.private_bytes for copy in held)
        ended = any(copy.state != "active" for copy in held)  # by what was on its way when there was no more room
        return ended or (not held[0].in_flight_bytes and held[0].store_used_bytes == kept)

    def finish(self) -> None:
        """Every byte of the origin, and of every hot copy when its turn comes to go, in any order."""
        self.step = len(self.program["steps"])
        self.settle()
        self._look_at_states()
        self._check_space()
        while self.copies:
            copy = self.source.choice(self.copies)
            self._check(copy)
            self._remove(copy)
        self.origin.check(*self.ways[0], "in the end")

    def close(self) -> None:
        """Whatever happened: nothing is under way, and no hot copy is left."""
        self.engine.wait()
        for copy in list(self.copies):
            self._remove(copy)
        if self.keeper:
            self.keeper.close()
        for device, _ in self.ways:
            os.close(device.fd)
        self.driver.close()
