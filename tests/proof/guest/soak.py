# SPDX-License-Identifier: GPL-2.0-or-later
"""Mixed load for a long time, hot copies coming and going: python3 -m tests.proof.guest.soak MINUTES.

A line of JSON every minute and at the end: rounds, what the kernel has allocated for itself, what is available. A
round is a hot copy that is compared with what the origin was, read while the origin changes, written to, and removed;
every third one outlives two others. The kernel's memory must not grow.
"""

from __future__ import annotations

import contextlib
import gc
import json
import random
import sys
import time
from collections.abc import Iterator

from tests.driver.guest.background import Beat, background
from tests.driver.guest.commands import run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, SIZE, Filesystem, filesystem, partitions
from tests.driver.guest.hotcopies import hot_copy, info, remove
from tests.driver.guest.memory import kept_for_later, quiet_memory
from tests.driver.guest.plugin import KernelLog
from tests.driver.guest.scene import taken_with_truth
from tests.driver.guest.workload import Changes, noise

SETTLING = 5  # rounds after which everything that is loaded once is there
GROWTH = {"slab": 2048, "memory": 24 * 1024}  # KiB that may come and go


def memory() -> dict[str, int]:
    """KiB: what the kernel cannot give back, and what is gone of what is available."""
    gc.collect()
    now = quiet_memory()
    return {"slab": now["SUnreclaim"], "memory": now["MemTotal"] - now["MemAvailable"] - kept_for_later()}


def write_to(node: str, source: random.Random) -> None:
    """Some private writes."""
    with Direct(node, 2) as device:
        for _ in range(8):
            length = source.randrange(1, 64) * 512
            device.write(source.randrange((SIZE - length) // 512) * 512, noise(source, length))


def read_through(node: str, beat: Beat) -> None:
    """All of it, again and again."""
    with Direct(node) as device:
        at = 0
        while beat():
            device.read(at, MIB)
            at = (at + MIB) % SIZE


@contextlib.contextmanager
def origin() -> Iterator[tuple[Filesystem, list[Changes]]]:
    """A filesystem with files to change."""
    with partitions(SIZE) as (node,), filesystem("ext4", node) as fs:
        changes = [Changes(fs.path / name, seed) for seed, name in enumerate("ab")]
        for change in changes:
            change.populate()
        yield fs, changes


def one_round(fs: Filesystem, source: random.Random, kept: list[str]) -> None:
    """A hot copy from its making to its end."""
    copy, truth = taken_with_truth(fs)
    with background(lambda beat: read_through(copy, beat)) as (reader,):
        reader.wait_rounds(20)
    truth.check(copy, fs.store_ranges())
    assert info(copy).state == "active", info(copy)
    write_to(copy, source)
    kept.append(copy)
    if len(kept) > 2:
        remove(kept.pop(source.randrange(len(kept))))


def soak(minutes: float) -> dict[str, object]:
    """Rounds until the time is over; what has been measured. AssertionError."""
    source = random.Random(1)
    log = KernelLog()
    end, said = time.monotonic() + 60 * minutes, time.monotonic()
    rounds, first = 0, {"slab": 0, "memory": 0}
    kept: list[str] = []
    with origin() as (fs, changes), hot_copy(fs.node, "--store-size", "48M"), background(*changes):
        while time.monotonic() < end:
            one_round(fs, source, kept)
            rounds += 1
            bad = log.bad()
            assert not bad, bad
            if rounds == SETTLING:
                first = memory()
            if time.monotonic() > said + 60:
                said = time.monotonic()
                print(json.dumps({"rounds": rounds, **memory()}), flush=True)
        last = memory()
        while kept:
            remove(kept.pop())
    run("rmmod", "hcpdriver")
    grown = {name: last[name] - first[name] for name in last}
    return {"rounds": rounds, "minutes": minutes, "grown_kib": grown}


def main() -> int:
    """Exit status 1 when memory has grown."""
    figures = soak(float(sys.argv[1]))
    print(json.dumps(figures), flush=True)
    grown = figures["grown_kib"]
    assert isinstance(grown, dict)
    assert int(str(figures["rounds"])) > SETTLING, "too short to tell anything"
    return 1 if any(grown[name] > most for name, most in GROWTH.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
