# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that fail where and when a test says so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.driver.guest.commands import run
from tests.driver.guest.direct import size_of
from tests.driver.guest.disks import SECTOR, Range, mapped

MEDIUM_ERROR = 2  # a bit of scsi_debug's opts
SCSI_PARAMETERS = Path("/sys/module/scsi_debug/parameters")


@dataclass(frozen=True)
class Faulty:
    """A device-mapper device that is another device, but for some ranges."""

    node: str
    below: str

    def table(self, ranges: Sequence[Range], target: str) -> str:
        """Its table; {} {} in the target stand for the device below and where in it a range begins."""
        rows, at, end = [], 0, size_of(self.below) // SECTOR
        for first, behind in sorted((first // SECTOR, behind // SECTOR) for first, behind in ranges):
            if at < first:
                rows.append(f"{at} {first - at} linear {self.below} {at}")
            rows.append(f"{first} {behind - first} {target.format(self.below, first)}")
            at = behind
        if at < end:
            rows.append(f"{at} {end - at} linear {self.below} {at}")
        return "\n".join(rows) + "\n"

    def _load(self, table: str) -> None:
        # Neither a freeze of the filesystem nor a flush: only the table changes.
        name = os.path.basename(self.node)
        run("dmsetup", "load", name, stdin=table)
        run("dmsetup", "suspend", "--nolockfs", "--noflush", name)
        run("dmsetup", "resume", name)

    @contextlib.contextmanager
    def failing(self, ranges: Sequence[Range], target: str = "error") -> Iterator[None]:
        """I/O to these bytes fails for the time of a with block."""
        self._load(self.table(ranges, target))
        try:
            yield
        finally:
            self.heal()

    def resume(self) -> None:
        """I/O goes on."""
        run("dmsetup", "resume", os.path.basename(self.node))

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Until resume() or the end of the with block no I/O ends."""
        run("dmsetup", "suspend", "--nolockfs", "--noflush", os.path.basename(self.node))
        try:
            yield
        finally:
            self.resume()

    def heal(self) -> None:
        """Everything works again."""
        self._load(self.table((), ""))


@contextlib.contextmanager
def faulty(below: str) -> Iterator[Faulty]:
    """A device that can fail."""
    run("modprobe", "dm_flakey")
    with mapped(f"0 {size_of(below) // SECTOR} linear {below} 0\n", "hcpfaulty") as node:
        yield Faulty(node, below)


# Reads work, writes fail: down for ever.
WRITES_FAIL = "flakey {} {} 0 1 1 error_writes"


@contextlib.contextmanager
def bad_sectors(place: Range) -> Iterator[None]:
    """Reads of these bytes of the SCSI disk fail with a medium error; writes do not."""
    begin, behind = place
    _set("medium_error_start", begin // SECTOR)
    _set("medium_error_count", (behind - begin) // SECTOR)
    _set_opts(MEDIUM_ERROR)
    try:
        yield
    finally:
        _set_opts(0)


def _set(name: str, value: int) -> None:
    (SCSI_PARAMETERS / name).write_text(str(value), encoding="ascii")


def _set_opts(value: int) -> None:
    Path("/sys/bus/pseudo/drivers/scsi_debug/opts").write_text(hex(value), encoding="ascii")
