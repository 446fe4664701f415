# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured, as data for both sides: set-ups, works, sizes. Python 3.9, no imports of the project."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

MIB = 1 << 20
UNIT = 4096

# The disk everything is measured on. A guest too slow for it gets less of both, in proportion.
FULL_IOPS = 3000
FULL_BPS = 100_000_000
STEPS = (3000, 2500, 2000, 1500, 1200, 1000, 800, 600, 500, 400, 300, 200, 150, 100)


@dataclass(frozen=True)
class SetUp:
    """What lies between the file system and the disk."""

    name: str
    title: str
    kind: str  # plain, loaded, hotcopy, elsewhere (-c, on another disk), classic or thin
    snapshots: int = 0
    once: bool = False  # in the first round only: no target depends on it


BASELINE = "none"
LOADED = "loaded"
SETUPS = (
    SetUp(BASELINE, "no snapshot", "plain"),
    SetUp(LOADED, "module loaded, no hot copy", "loaded"),
    SetUp("hcp1", "Hot Copy, 1", "hotcopy", 1),
    SetUp("hcp4", "Hot Copy, 4", "hotcopy", 4, once=True),
    SetUp("hcp8", "Hot Copy, 8", "hotcopy", 8),
    SetUp("elsewhere1", "Hot Copy, 1, -c", "elsewhere", 1),
    SetUp("classic1", "LVM classic, 1", "classic", 1),
    SetUp("classic4", "LVM classic, 4", "classic", 4, once=True),
    SetUp("thin1", "LVM thin, 1", "thin", 1),
    SetUp("thin4", "LVM thin, 4", "thin", 4, once=True),
)
QUICK_SETUPS = (BASELINE, LOADED, "hcp1", "hcp8", "elsewhere1", "classic1", "thin1")


@dataclass(frozen=True)
class Work:
    """One thing that is done to a set-up; the order below is the order it is done in."""

    name: str
    title: str
    unit: str  # what the rate counts: bytes or ios


WORKS = (
    Work("sparse", "random 4 KiB, first overwrite, sparse", "ios"),
    Work("dense", "random 4 KiB, first overwrite, dense", "ios"),
    Work("again", "random 4 KiB, second overwrite", "ios"),
    Work("sequential", "sequential 1 MiB, first overwrite", "bytes"),
    Work("new_file", "new file in free space", "bytes"),
    Work("mixed", "mixed, fsync-heavy", "ios"),
    Work("read_sequential", "sequential read of the snapshot", "bytes"),
    Work("read_random", "random 4 KiB read of the snapshot", "ios"),
)
FREEZES = "freezes"  # not a work on a set-up: the frozen time and the command, measured by themselves
# Of some kinds not everything is worth its time: these show whether the module costs anything by itself, and what
# another disk for the store saves.
WORKS_OF_KIND = {"loaded": ("sparse", "sequential"), "elsewhere": ("sparse", "sequential")}
LATENCY_WORKS = ("sparse", "dense", "again", "sequential", "mixed")


def setup(name: str) -> SetUp:
    """The set-up of this name."""
    return next(row for row in SETUPS if row.name == name)


def work(name: str) -> Work:
    """The work of this name."""
    return next(row for row in WORKS if row.name == name)


def works_of(row: SetUp) -> tuple[Work, ...]:
    """What is done to a set-up."""
    names = WORKS_OF_KIND.get(row.kind)
    return tuple(item for item in WORKS if names is None or item.name in names)


def bps_of(iops: int) -> int:
    """The bandwidth that goes with so many I/Os a second."""
    return FULL_BPS * iops // FULL_IOPS


def affordable(iops: float, copied: float, bps: float) -> int:
    """The throttle for a guest that, unthrottled, does so many plain writes, first overwrites, and bytes a second.

    Other programs of the host take their part of its CPU, so that much less than what fits is chosen.
    """
    for step in STEPS:
        if step <= iops * 0.4 and step <= copied * 0.6 and bps_of(step) <= bps * 0.5:
            return step
    return STEPS[-1]


def _whole(number: float) -> int:
    """Bytes, as whole MiB."""
    return max(1, -(-int(number) // MIB)) * MIB


@dataclass(frozen=True)
class Sizes:
    """How long each work runs on the undisturbed disk, and how much it then touches, for a throttle."""

    iops: int
    seconds: float = 3.0
    long: float = 8.0  # large writes: old data waits 100 ms for company, which must not weigh
    short: float = 1.5  # reads, and what does not copy
    patience: float = 12.0  # a work that has to be done to its end is given up after so long

    @property
    def bps(self) -> int:
        """Bytes a second of the throttled disk."""
        return bps_of(self.iops)

    @property
    def sparse(self) -> int:
        """The file for sparse writes: one write for each 128 KiB, were they as fast as undisturbed ones."""
        return _whole(self.seconds * self.iops * 128 * 1024)

    @property
    def dense(self) -> int:
        """The file every block of which is written, at random."""
        return _whole(self.seconds * self.iops * UNIT)

    @property
    def sequential(self) -> int:
        """The file for sequential writes."""
        return _whole(1.1 * self.long * self.bps)

    @property
    def new_file(self) -> int:
        """The file that is made."""
        return _whole(0.9 * self.long * self.bps)

    @property
    def mixed(self) -> int:
        """The file for the mixed load."""
        return _whole(self.seconds * self.iops * 4 * UNIT)

    @property
    def store(self) -> int:
        """Space for old data of all works together, with as much again to spare."""
        random = 2 * self.seconds * self.iops * UNIT
        return _whole(2 * (random + self.dense + self.sequential + self.new_file + self.mixed) + 32 * MIB)

    @property
    def file_system(self) -> int:
        """A file system with room for all files and a store."""
        files = self.sparse + self.dense + self.sequential + self.new_file + self.mixed
        return _whole(1.15 * (files + self.store) + 256 * MIB)

    @property
    def pool(self) -> int:
        """A thin pool for such a file system and the 64 KiB chunks of four snapshots."""
        return _whole(self.file_system + 2 * self.store + 2 * self.seconds * self.iops * 65536)

    @property
    def disk(self) -> int:
        """Everything on one disk."""
        return _whole(2 * self.file_system + self.pool + 4 * self.store + 512 * MIB)


@dataclass(frozen=True)
class Plan:
    """What the guest is told; travels as JSON."""

    iops: int  # 0 until it is known what the guest can do
    rounds: int
    setups: tuple[str, ...]
    freezes: int  # how often the frozen time is taken, quiet and under load
    seconds: float  # of a work, on the undisturbed disk
    budget: float  # seconds after which no further round is begun
    works: tuple[str, ...] = ()  # these only, FREEZES among them or not; all of them when it is empty

    @property
    def sizes(self) -> Sizes:
        """The sizes that go with it."""
        return Sizes(self.iops, self.seconds, self.seconds * 8 / 3, self.seconds / 2)

    def is_wanted(self, name: str) -> bool:
        """Whether this work, or FREEZES, is part of it."""
        return not self.works or name in self.works

    def works_of(self, row: SetUp) -> tuple[Work, ...]:
        """What is done to a set-up."""
        return tuple(item for item in works_of(row) if self.is_wanted(item.name))

    def setups_of_round(self, number: int) -> tuple[SetUp, ...]:
        """Which set-ups it has; the first is number 0."""
        rows = tuple(setup(name) for name in self.setups)
        return tuple(row for row in rows if self.works_of(row) and not (number and row.once))

    def another_round(self, number: int, passed: float) -> bool:
        """Whether there is one after this, when so many seconds have passed since the beginning."""
        done = sum(len(self.setups_of_round(past)) for past in range(number + 1))
        needed = passed / max(1, done) * len(self.setups_of_round(number + 1))
        return done > 0 and number + 1 < self.rounds and passed + needed <= self.budget

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Plan:
        """What to_json made."""
        values = json.loads(text)
        values["setups"], values["works"] = tuple(values["setups"]), tuple(values.get("works", ()))
        return Plan(**values)


def full_plan(iops: int = 0, names: Iterable[str] = (), works: Iterable[str] = ()) -> Plan:
    """Everything, three times over if the machine is fast enough for that."""
    return Plan(iops, 3, tuple(names) or tuple(row.name for row in SETUPS), 20, 3.0, 720.0, tuple(works))


def quick_plan(iops: int = 0, names: Iterable[str] = (), works: Iterable[str] = ()) -> Plan:
    """Once, with fewer set-ups."""
    return Plan(iops, 1, tuple(names) or QUICK_SETUPS, 5, 3.0, 120.0, tuple(works))
