# SPDX-License-Identifier: GPL-2.0-or-later
"""Every call of /dev/hcp with its first, its second, its third ... allocation refused: python3 -m tests.proof.guest.no_memory.

For kernels with CONFIG_FAULT_INJECTION, which count a task's allocations (Documentation/fault-injection, fail-nth): a
call is made again and again, each time one allocation later fails, until it makes no more. It succeeds, or fails and
leaves nothing behind; hot copies that go on show what they did, others say why they ended, and the next call works.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from hotcopy.driver import Driver, Origin, Segment
from hotcopy.errors import DriverError
from hotcopy.fiemap import Extent
from tests.driver.guest.commands import eventually, run
from tests.driver.guest.direct import Direct
from tests.driver.guest.disks import MIB, OTHER_DISK, UNIT, filesystem, partitions
from tests.driver.guest.kernel_log import bad_lines
from tests.driver.guest.plugin import KernelLog
from tests.proof.guest.stage import no_udev

ORIGIN, STORE = 16 * MIB, 16 * MIB
WRITTEN = MIB  # bytes that differ between the hot copies
INJECTORS = ("failslab", "fail_page_alloc")
LIMIT = 3000  # allocations of one call: more is a loop
# What sysfs, the block layer and filesystems say when they are refused memory; a warning, an oops or a report is none of these.
ALLOWED = (r"hcp\d+ of \w+ ended: no memory", r"I/O error, dev hcp", r"Buffer I/O error on dev hcp", r"VM_FAULT_OOM")
# kmem_cache_create(), below bioset_init(), shows who called it when it gets no memory; the caller is told as well.
NO_CACHE = re.compile(r"kmem_cache_create\w*\(.*\) failed with error -\d+")
END_OF_CALLERS = "</TASK>"


class Injection:
    """Has an allocation of this task fail."""

    def __init__(self) -> None:
        for name in INJECTORS:
            place = Path("/sys/kernel/debug") / name
            (place / "verbose").write_text("0", encoding="ascii")
            (place / "ignore-gfp-wait").write_text("N", encoding="ascii")
        Path("/sys/kernel/debug/fail_page_alloc/min-order").write_text("0", encoding="ascii")
        self._fd = os.open("/proc/thread-self/fail-nth", os.O_RDWR)

    def arm(self, number: int) -> None:
        """The allocation of this number from now on fails (0: none)."""
        os.pwrite(self._fd, b"%d" % number, 0)

    def disarm(self) -> bool:
        """No further one does; whether one has failed."""
        left = int(os.pread(self._fd, 32, 0))
        self.arm(0)
        return left == 0


@dataclass
class Place:
    """An origin and a store on devices of their own, and perhaps the mount point of what is frozen."""

    driver: Driver
    node: str
    store: str
    mounted: str = ""
    fds: dict[str, int] = field(default_factory=dict)

    def origin(self, *, first: bool) -> Origin:
        """What a create call says of it."""
        segment = None
        if first:
            fd = self.fds["store"]
            segment = Segment(fd, fd, [Extent(0, 0, STORE // 2)])
        return Origin(self.fds["origin"], self.node, self.store, False, segment)

    def create(self, *, first: bool) -> int:
        """One more hot copy."""
        (minor,) = self.driver.create([self.origin(first=first)], [self.fds["fs"]] if self.mounted else []).minors
        return minor

    def write(self, byte: int, offset: int = 0) -> None:
        """To the origin, past its filesystem if it has one: where no file is."""
        with Direct(self.node, os.O_WRONLY) as device:
            device.write(ORIGIN - 2 * WRITTEN + offset, bytes([byte]) * WRITTEN)

    def shows(self, minor: int, byte: int) -> bool:
        """Whether a hot copy has this there."""
        with Direct(f"/dev/hcp{minor}") as device:
            return device.read(ORIGIN - 2 * WRITTEN, WRITTEN) == bytes([byte]) * WRITTEN

    def clear(self) -> None:
        """No hot copy is left: the newest is ended first. DriverError."""
        for copy in sorted(self.driver.hot_copies(), key=lambda copy: -copy.sequence):
            assert eventually(functools.partial(self._removed, copy.minor)), copy

    def _removed(self, minor: int) -> bool:
        try:
            self.driver.remove(minor)
        except DriverError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True


@contextlib.contextmanager
def placed(driver: Driver, node: str, store: str, mounted: str = "") -> Iterator[Place]:
    """Opened for the time of a with block."""
    with contextlib.ExitStack() as stack:
        place = Place(driver, node, store, mounted)
        for name, path, flags in (
            ("origin", node, os.O_RDONLY),
            ("store", store, os.O_RDWR | os.O_EXCL),
            ("fs", mounted, os.O_RDONLY),
        ):
            if path:
                place.fds[name] = os.open(path, flags | os.O_CLOEXEC)
                stack.callback(os.close, place.fds[name])
        stack.callback(place.clear)
        yield place


@dataclass(frozen=True)
class Case:
    """What is there before a call; the call; what must be afterwards, when it has succeeded or failed."""

    name: str
    before: Callable[[Place], list[int]]  # the numbers of hot copies, the oldest first
    call: Callable[[Place, list[int]], None]
    after: Callable[[Place, list[int], bool], None]


def unexplained(lines: Iterable[str]) -> Iterator[str]:
    """Less the callers that the kernel shows of a cache which got no memory."""
    showing = False
    for line in lines:
        showing = showing or NO_CACHE.search(line) is not None
        if not showing:
            yield line
        showing = showing and END_OF_CALLERS not in line


def none(_place: Place) -> list[int]:
    """No hot copy."""
    return []


def one(place: Place) -> list[int]:
    """A hot copy that shows 1, where the origin has 2 by now."""
    place.write(1)
    minor = place.create(first=True)
    place.write(2)
    return [minor]


def two(place: Place) -> list[int]:
    """Another one, that shows 2, where the origin has 3."""
    minors = [*one(place), place.create(first=False)]
    place.write(3)
    return minors


def shown(place: Place, minors: list[int]) -> None:
    """Those that go on show what they should, others say that there was no memory."""
    states = {copy.minor: copy for copy in place.driver.hot_copies()}
    for byte, minor in enumerate(minors, 1):
        if minor in states and states[minor].state == "active":
            assert place.shows(minor, byte), f"hcp{minor} does not show {byte}"
        elif minor in states:
            assert "memory" in states[minor].reason, states[minor]


def created(place: Place, minors: list[int], done: bool) -> None:
    """One more, or none."""
    assert len(place.driver.hot_copies()) == len(minors) + done
    shown(place, minors)


def removed(place: Place, minors: list[int], done: bool) -> None:
    """One less, or as many."""
    assert len(place.driver.hot_copies()) == len(minors) - done
    shown(place, minors)


def kept(place: Place, minors: list[int], _done: bool) -> None:
    """As many as before."""
    assert len(place.driver.hot_copies()) == len(minors)
    shown(place, minors)


def grow(place: Place, minors: list[int]) -> None:
    """The other half of the store."""
    fd = place.fds["store"]
    place.driver.grow(minors[0], Segment(fd, fd, [Extent(0, STORE // 2, STORE // 2)]))


def set_free(place: Place, minors: list[int]) -> None:
    """Some units that nobody looks at."""
    place.driver.set_free(minors[0], [Extent(at, at, UNIT) for at in range(0, 64 * UNIT, 2 * UNIT)])


def changed(place: Place, minors: list[int]) -> None:
    """What was written."""
    ranges = list(place.driver.changed(minors[0]))
    assert any(extent.physical <= ORIGIN - 2 * WRITTEN < extent.physical + extent.length for extent in ranges), ranges


CASES = (
    Case("create the first", none, lambda place, _minors: none_of(place.create(first=True)), created),
    Case("create another", one, lambda place, _minors: none_of(place.create(first=False)), created),
    Case("remove the newer", two, lambda place, minors: place.driver.remove(minors[1]), removed),
    Case("remove the older", two, lambda place, minors: place.driver.remove(minors[0]), removed),
    Case("remove the last", one, lambda place, minors: place.driver.remove(minors[0]), removed),
    Case("grow", one, grow, kept),
    Case("tell what is free", one, set_free, kept),
    Case("ask what changed", one, changed, kept),
)


def none_of(_number: int) -> None:
    """The number of a hot copy is found in the list."""


def play(case: Case, place: Place, injection: Injection, log: KernelLog) -> Counter[str]:
    """Once for each allocation of the call; how often which errno, and how often the kernel complained. AssertionError."""
    results: Counter[str] = Counter()
    for number in range(1, LIMIT):
        minors = case.before(place)
        error = None
        injection.arm(number)
        try:
            case.call(place, minors)
        except DriverError as caught:
            error = caught
        except OSError as caught:  # of Python's own system calls
            error = DriverError(str(caught), caught.errno or 0)
        failed = injection.disarm()
        assert failed or error is None, f"{case.name}: {error} without a refusal"
        case.after(place, minors, error is None)
        place.clear()
        said = log.read()
        if any(bad_lines(unexplained(said), ALLOWED)):
            results["reports"] += 1
            print("\n".join((f"{case.name}, allocation {number}: the kernel said", *said)), flush=True)
        if not failed:
            return results
        results[errno.errorcode.get(error.errno, "?") if error else "done"] += 1
    raise AssertionError(f"{case.name}: no end after {LIMIT} allocations")


def main() -> int:
    """Every case (or those whose name has the argument in it), on a raw device and on an ext4."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    run("modprobe", "hcpdriver")
    log, injection, reports = KernelLog(), Injection(), 0
    with contextlib.ExitStack() as stack:
        raw, node = stack.enter_context(partitions(ORIGIN, ORIGIN))
        stores = stack.enter_context(partitions(STORE, STORE, disk=OTHER_DISK))
        stack.enter_context(no_udev())
        fs = stack.enter_context(filesystem("ext4", node))
        driver = stack.enter_context(Driver())
        fs.sync()
        for kind, args in (("raw", (raw, stores[0])), ("ext4", (node, stores[1], str(fs.path)))):
            with placed(driver, *args) as place:
                for case in CASES:
                    if word in case.name:
                        results = play(case, place, injection, log)
                        reports += results.pop("reports", 0)
                        said = ", ".join(f"{count} {name}" for name, count in results.most_common())
                        print(f"{kind}: {case.name}: {results.total()} allocations refused: {said}", flush=True)
    run("rmmod", "hcpdriver")
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
