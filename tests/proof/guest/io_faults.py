# SPDX-License-Identifier: GPL-2.0-or-later
"""I/O of origin and store that the kernel fails at random (fail_make_request): python3 -m tests.proof.guest.io_faults ROUNDS SEED.

A hot copy shows what it did, or has ended and says why; the origin holds what was written to it without an error.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hotcopy.driver import Driver
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, OTHER_DISK, UNIT, partitions
from tests.driver.guest.plugin import KernelLog
from tests.proof.guest.no_memory import ORIGIN, STORE, Place, placed
from tests.proof.guest.stage import no_udev

INJECTOR = Path("/sys/kernel/debug/fail_make_request")
WRITES = 64
ALLOWED = (r"hcp\d+ of \w+ ended: ", r"I/O error, dev", r"Buffer I/O error on dev hcp")
REASONS = ("the origin's old data could not be read", "writing to the space for changed blocks failed")


@contextlib.contextmanager
def failing(node: str, percent: int) -> Iterator[None]:
    """So many of the bios to this device fail."""
    switch = Path(f"/sys/class/block/{os.path.basename(node)}/make-it-fail")
    for name, value in (("verbose", "0"), ("times", "-1"), ("interval", "1"), ("probability", str(percent))):
        (INJECTOR / name).write_text(value, encoding="ascii")
    switch.write_text("1", encoding="ascii")
    try:
        yield
    finally:
        switch.write_text("0", encoding="ascii")
        (INJECTOR / "probability").write_text("0", encoding="ascii")


def whole(node: str) -> bytearray:
    """Every byte of a device."""
    data = bytearray()
    with Direct(node) as device:
        for at in range(0, ORIGIN, MIB):
            data += device.read(at, min(MIB, ORIGIN - at))
    return data


def written(node: str, data: bytearray, source: random.Random) -> tuple[set[int], int]:
    """Writes of a unit anywhere; ``data`` follows. The units of which nobody knows (a write failed), and how many writes did."""
    unknown, errors = set(), 0
    with Direct(node, os.O_WRONLY) as device:
        for _ in range(WRITES):
            at = source.randrange(ORIGIN // UNIT) * UNIT
            new = source.randbytes(UNIT)
            try:
                device.write(at, new)
            except OSError:
                unknown.add(at)
                errors += 1
                continue
            unknown.discard(at)
            data[at : at + UNIT] = new
    return unknown, errors


def one_round(place: Place, source: random.Random, data: bytearray) -> str:
    """A hot copy while I/O of its origin or its store fails: how it ended. AssertionError."""
    before = bytes(data)
    minor = place.create(first=True)
    broken = source.choice([place.node, place.store])
    with failing(broken, source.choice([2, 10, 50])):
        unknown, errors = written(place.node, data, source)
        assert eventually(lambda: not place.driver.hot_copies()[0].in_flight_bytes)
    assert broken == place.node or not errors, f"{errors} writes to the origin failed with its store"
    now = whole(place.node)
    for at in unknown:
        data[at : at + UNIT] = now[at : at + UNIT]
    assert now == data, "the origin holds what nobody has written"
    (copy,) = place.driver.hot_copies()
    if copy.state == "active":
        assert whole(f"/dev/hcp{minor}") == before, f"hcp{minor} is not what it was"
    else:
        assert copy.reason in REASONS, copy
    place.clear()
    return copy.state


def main() -> int:
    """So many rounds."""
    source = random.Random(int(sys.argv[2]))
    run("modprobe", "hcpdriver")
    log = KernelLog()
    states: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        (node,) = stack.enter_context(partitions(ORIGIN))
        (store,) = stack.enter_context(partitions(STORE, disk=OTHER_DISK))
        stack.enter_context(no_udev())
        place = stack.enter_context(placed(stack.enter_context(Driver()), node, store))
        data = whole(node)
        for _ in range(int(sys.argv[1])):
            states[one_round(place, source, data)] += 1
    bad = log.bad(ALLOWED)
    assert not bad, bad
    assert len(states) == 2, f"only {states}: this tells nothing"
    run("rmmod", "hcpdriver")
    print(f"I/O refused at random: {', '.join(f'{count} hot copies {state}' for state, count in states.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
