# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device must hold, byte for byte, while things that change it are under way."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Callable

from tests.driver.guest.direct import LARGEST, Direct

SECTOR = 512
SHOWN = 6  # differing sectors named in a failure

Read = Callable[[int, int], bytes]  # offset, length: what is there


class MismatchError(AssertionError):
    """A device holds what it must not."""


@dataclass
class Change:
    """Bytes that are being written; ``may``: or perhaps stay as they were (a discard, a write that failed)."""

    first: int
    end: int
    data: bytes
    may: bool = False

    def overlaps(self, first: int, end: int) -> bool:
        """Whether any byte of it is in this range."""
        return self.first < end and first < self.end

    def sector(self, at: int) -> bytes:
        """What it has for the sector at this byte."""
        return self.data[at - self.first : at - self.first + SECTOR]


def union(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same bytes as sorted ranges that do not touch."""
    first = end = 0
    for begin, behind in sorted(ranges):
        if begin <= end and end:
            end = max(end, behind)
            continue
        if first < end:
            yield first, end
        first, end = begin, behind
    if first < end:
        yield first, end


class Content:
    """A device's bytes when nothing is under way, and what is: a window, from one settle() to the next."""

    def __init__(self, name: str, data: bytes | bytearray) -> None:
        self.name = name
        self.data = bytearray(data)  # changed in place only: Python would take long to hold it twice
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        self.window: list[Change] = []

    def begin(self, first: int, data: bytes, *, may: bool = False) -> Change:
        """Something begins to write here."""
        change = Change(first, first + len(data), data, may)
        self.window.append(change)
        return change

    def disturbed(self, first: int, end: int) -> bool:
        """Whether something is being written there."""
        return any(change.overlaps(first, end) for change in self.window)

    def check_read(self, first: int, got: bytes, what: str) -> None:
        """What was read during the window may be what was there before, or any of what was being written. MismatchError."""
        end = first + len(got)
        if self.data[first:end] == got:
            return
        changes = [change for change in self.window if change.overlaps(first, end)]
        wrong = [
            at
            for at in range(first, end, SECTOR)
            if not self._explained(at, got[at - first : at - first + SECTOR], changes)
        ]
        if wrong:
            raise MismatchError(self.complaint(what, wrong, first, got))

    def _explained(self, at: int, got: bytes, changes: list[Change]) -> bool:
        if self.data[at : at + SECTOR] == got:
            return True
        return any(change.overlaps(at, at + SECTOR) and change.sector(at) == got for change in changes)

    def complaint(self, what: str, wrong: list[int], first: int, got: bytes) -> str:
        """Which sectors differ, and whether they hold zeros or something else."""
        zeros = sum(got[at - first : at - first + SECTOR] == bytes(SECTOR) for at in wrong)
        places = ", ".join(str(at // SECTOR) for at in wrong[:SHOWN])
        return f"{what}: {len(wrong)} sectors of {self.name} are wrong ({zeros} of them zeros): {places}"

    def pin(self, doubts: list[Change], read: Read, what: str) -> None:
        """What was being written when this content came into being is there or not, sector by sector. MismatchError."""
        for first, end in union((change.first, change.end) for change in doubts):
            got = read(first, end - first)
            changes = [change for change in doubts if change.overlaps(first, end)]
            wrong = [
                at
                for at in range(first, end, SECTOR)
                if not self._explained(at, got[at - first : at - first + SECTOR], changes)
            ]
            if wrong:
                raise MismatchError(self.complaint(what, wrong, first, got))
            self.data[first:end] = got

    def settle(self, read: Read, what: str) -> None:
        """Everything under way has ended: what of it decides is looked up where it is not known. MismatchError."""
        changes, self.window = self.window, []
        before: list[Change] = []
        doubtful: list[tuple[int, int]] = []
        for change in changes:
            if change.may or any(other.overlaps(change.first, change.end) for other in before):
                doubtful.append((change.first, change.end))
            before.append(change)
        places = list(union(doubtful))
        was = [bytes(self.data[first:end]) for first, end in places]
        for change in changes:
            if not change.may:
                self.data[change.first : change.end] = change.data
        for (first, end), old in zip(places, was):
            got = read(first, end - first)
            wrong = []
            for at in range(first, end, SECTOR):
                found = got[at - first : at - first + SECTOR]
                here = [change for change in changes if change.overlaps(at, at + SECTOR)]
                allowed = [change.sector(at) for change in here]
                if all(change.may for change in here):
                    allowed.append(old[at - first : at - first + SECTOR])
                if found not in allowed:
                    wrong.append(at)
            if wrong:
                raise MismatchError(self.complaint(what, wrong, first, got))
            self.data[first:end] = got

    def check(self, device: Direct, start: int, what: str) -> None:
        """Every byte of a device from this one on. MismatchError."""
        for first in range(0, len(self.data), LARGEST):
            length = min(LARGEST, len(self.data) - first)
            if not device.holds(start + first, self._address + first, length):
                self.check_read(first, device.held(length), what)
