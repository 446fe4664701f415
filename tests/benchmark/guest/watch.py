# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes on while a work runs: the CPU, the disk, and old data on its way to the store."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.guest.place import DISK
from tests.driver.guest.hotcopies import copies

INTERVAL = 0.04
PATIENCE = 60.0
STAT = Path("/sys/block") / os.path.basename(DISK) / "stat"


@dataclass(frozen=True)
class DiskUse:
    """I/Os and bytes of the disk since its boot."""

    ios: int
    nr_bytes: int
    read_bytes: int

    @classmethod
    def now(cls) -> DiskUse:
        """From sysfs: reads, merged, sectors, ms, writes, merged, sectors."""
        fields = [int(field) for field in STAT.read_text(encoding="ascii").split()]
        return cls(fields[0] + fields[4], (fields[2] + fields[6]) * 512, fields[2] * 512)

    def since(self, before: DiskUse) -> DiskUse:
        """The difference."""
        return DiskUse(self.ios - before.ios, self.nr_bytes - before.nr_bytes, self.read_bytes - before.read_bytes)


@dataclass(frozen=True)
class Moment:
    """One look."""

    when: float  # time.time()
    idle: int  # ticks of the CPU
    ticks: int
    in_flight: int  # bytes of old data in memory


def look() -> Moment:
    """Take one."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    in_flight = max((copy.in_flight_bytes for copy in copies()), default=0)
    return Moment(time.time(), ticks[3] + ticks[4], sum(ticks), in_flight)


class Watch:
    """Looks again and again while in the with block, and at its end until all old data is stored."""

    def __init__(self) -> None:
        self._moments: list[Moment] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _go_on(self) -> None:
        deadline = None
        while True:
            moment = look()
            self._moments.append(moment)
            if self._over.is_set():
                deadline = deadline or moment.when + PATIENCE
                if not moment.in_flight or moment.when > deadline:
                    return
            time.sleep(INTERVAL)

    def settled(self, ended: float) -> float:
        """When the last old data was stored, and not before the work ended."""
        assert not self._moments[-1].in_flight, "old data is not stored"
        late = [moment.when for moment in self._moments if moment.in_flight]
        after = [moment.when for moment in self._moments if late and moment.when > late[-1]]
        return max([ended, *after[:1]])

    def most_in_flight(self) -> int:
        """Bytes."""
        return max(moment.in_flight for moment in self._moments)

    def busy(self, begun: float, ended: float) -> float:
        """The share of the time in which the CPU was not idle."""
        part = [moment for moment in self._moments if begun <= moment.when <= ended]
        if len(part) < 2 or part[-1].ticks == part[0].ticks:
            return 1.0
        return 1 - (part[-1].idle - part[0].idle) / (part[-1].ticks - part[0].ticks)
