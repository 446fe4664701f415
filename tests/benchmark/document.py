# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/benchmarks.md, from a run."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmark import tables
from tests.benchmark.plan import FULL_BPS, FULL_IOPS
from tests.benchmark.record import Record
from tests.benchmark.targets import judge

METHOD = """\
Everything runs in one booted guest on one disk that QEMU throttles, so that the cost follows I/Os and bytes and not the
emulated processor. Each share is a rate divided by that of the same work in the same round on the same disk without a
snapshot; the tables have the median of the rounds.

- ext4 on a plain partition (no snapshot, Hot Copy), on an LVM volume (classic, 4 KiB chunks) and on a thin volume (64 KiB
  chunks), each LVM's defaults; the same files, every block written before. Direct I/O by fio; caches dropped.
- Hot copies are made by hcp as it comes: the store begins small in the file system itself and grows while the works run, and
  what was free is known. **-c** is the same with the store on a second disk, throttled like the first; its "disk" figures are the
  first one's.
- Every round begins every set-up with new snapshots; each "first overwrite" is of blocks not written since.
- **sparse**: one 4 KiB write for about each 128 KiB of a file, depth 16.
  **dense**: every block of a file, at random, to the end (or 12 s). **second overwrite**: those blocks again. **sequential**: 1 MiB, 4 at a time.
  **new file**: 1 MiB writes to a file that was not there. **mixed**: four programs, half reads, half writes of 4 KiB, an
  fsync after every fourth write. **reads**: of the oldest snapshot's device, where the works before have changed it.
- The clock stops when Hot Copy has stored the last old data (`in_flight_bytes` is 0), not when the last write returns; 100 ms
  are added, for what QEMU's throttle lets pass at once after a pause."""


def _throttle(record: Record) -> str:
    sizes = record.plan.sizes
    text = f"{sizes.iops} I/Os and {sizes.bps / 1e6:.1f} MB a second"
    if sizes.iops < FULL_IOPS:
        text += (
            f": {FULL_IOPS} and {FULL_BPS / 1e6:.0f} MB lowered in proportion, since this guest does no more than "
            f"{record.capacity} without a throttle"
        )
    return text


def _sections(record: Record) -> Iterator[str]:
    figures = record.figures
    found = judge(figures)
    missed = [row for row in found if row.missed]
    yield "# Benchmarks"
    yield "Made by `make bench`; nothing here is written by hand."
    yield "![shares of the undisturbed disk](benchmarks.svg)"
    yield "## Shares of the undisturbed disk"
    yield tables.shares(figures).markdown()
    yield "## Targets"
    yield f"{len(missed)} of {len(found)} missed." if missed else "None missed."
    yield tables.verdicts(found).markdown()
    yield "## The freeze and the command"
    yield tables.freezes(figures).markdown()
    yield tables.commands(figures).markdown()
    yield (
        f"On a disk of its own with {FULL_IOPS} I/Os and {FULL_BPS / 1e6:.0f} MB a second; the commands in turn, on the emulated "
        "processor."
    )
    yield "## Latency of writes"
    yield "99th percentile in milliseconds, and as a multiple of the undisturbed disk's."
    yield tables.latencies(figures).markdown()
    yield "## What the disk is asked for"
    yield (
        "Its I/Os for each I/O of the work / its bytes for each byte of the work: counted by the guest's kernel, and so free "
        "of noise."
    )
    yield tables.disk_use(figures).markdown()
    yield "## Method"
    yield METHOD
    rows = [
        *record.facts.items(),
        ("guest kernel", record.release),
        ("disk", _throttle(record)),
        ("rounds", f"{figures.rounds()} (one of what has four snapshots)"),
        ("host's load average", f"{record.loads[0]:.1f} before, {record.loads[1]:.1f} after"),
    ]
    yield "\n".join(f"- {name}: {value}" for name, value in rows)
    yield "## How sure this is"
    yield "The lowest and the highest share of all rounds."
    yield tables.spreads(figures).markdown()
    yield "How busy the guest's processor was: near 1.00 it has set the pace, and not the disk."
    yield tables.busyness(figures).markdown()


def document(record: Record) -> str:
    """The page."""
    return "\n\n".join(_sections(record)) + "\n"
