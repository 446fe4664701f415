# SPDX-License-Identifier: GPL-2.0-or-later
"""Stores of programs: raw devices cut into pieces, and a keeper that lets them grow."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from dataclasses import dataclass

from hotcopy.driver import Driver, Segment
from hotcopy.errors import DriverError
from hotcopy.fiemap import Extent
from tests.driver.guest.disks import UNIT

GROWN = 256  # units of each further segment
ENOUGH = 6000  # units that no program fills: four hot copies of 641, all of it preserved and all of it written to
LOOKS = 0.2  # seconds between two looks of the keeper for its own end


@dataclass(frozen=True)
class Plan:
    """How a program wants its stores: units at first, in so many pieces; further segments for the keeper to add."""

    units: int
    pieces: int
    near: bool
    growth: int

    @property
    def never_full(self) -> bool:
        """Whether a hot copy that overflows is a fault."""
        return self.units + self.growth * GROWN >= ENOUGH


class Store:
    """Space on one device, handed out segment by segment."""

    def __init__(self, node: str, plan: Plan, seed: int) -> None:
        self.fd = os.open(node, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        self._plan = plan
        self._source = random.Random(seed)
        self._at = 0  # units handed out
        self._left = plan.growth

    def first(self) -> Segment:
        """What the first hot copy brings along."""
        return self._take(self._plan.units, self._plan.pieces)

    def next(self) -> Segment | None:
        """What lets it grow; None: there is no more."""
        if not self._left:
            return None
        self._left -= 1
        return self._take(GROWN, 1 + self._left % 3)

    def _take(self, units: int, pieces: int) -> Segment:
        """So many units, in pieces that do not follow each other, in any order; begins that are no unit's are rounded."""
        pieces = min(pieces, units)
        cuts = sorted(self._source.sample(range(1, units), pieces - 1)) if pieces > 1 else []
        extents = []
        for begin, end in zip([0, *cuts], [*cuts, units]):
            self._at += 1  # a gap
            extents.append(Extent(0, self._at * UNIT, (end - begin) * UNIT))
            self._at += end - begin
        self._source.shuffle(extents)
        return Segment(self.fd, self.fd, extents)

    def close(self) -> None:
        """The driver keeps it as long as it has to."""
        os.close(self.fd)


class Keeper:
    """A thread that is the driver's keeper and lets every store grow that wants to."""

    def __init__(self) -> None:
        self._stores: dict[int, Store] = {}  # by a hot copy's number
        self._driver = Driver()
        self._driver.wait(0, 0, keeper=True)
        self._lock = threading.Lock()
        self._stop = False
        self.trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def knows(self, minor: int, store: Store) -> None:
        """The store of a hot copy may grow by what is left of this."""
        with self._lock:
            self._stores[minor] = store

    def forgets(self, minor: int) -> None:
        """A hot copy is about to go."""
        with self._lock:
            self._stores.pop(minor, None)

    def _run(self) -> None:
        seen = 0
        try:
            while not self._stop:
                with contextlib.suppress(InterruptedError):
                    seen = self._driver.wait(seen, LOOKS).seen
                self._grow()
        except BaseException as error:
            self.trouble = error

    def _grow(self) -> None:
        for copy in self._driver.hot_copies():
            if not copy.wants_space or copy.state != "active":
                continue
            with self._lock:
                store = self._stores.get(copy.minor)
                segment = store.next() if store else None
                if segment:
                    with contextlib.suppress(DriverError):  # it has ended meanwhile
                        self._driver.grow(copy.minor, segment)

    def close(self) -> None:
        """No keeper any more."""
        self._stop = True
        self._thread.join(30)
        self._driver.close()
        if self.trouble:
            raise self.trouble
