# SPDX-License-Identifier: GPL-2.0-or-later
"""What this guest can do without a throttle, so that the throttle and not the emulated CPU sets the pace."""

from __future__ import annotations

from tests.benchmark.guest import place
from tests.benchmark.guest.fio import fill, fio, random_writes, sequential_writes
from tests.benchmark.guest.report import report
from tests.benchmark.guest.stages import hot_copies, mounted
from tests.benchmark.guest.watch import Watch
from tests.benchmark.plan import MIB, affordable
from tests.driver.guest.commands import eventually, run

FILE = 256 * MIB
SECONDS = "--runtime=2500ms"


def calibrate() -> int:
    """The throttle, in I/Os a second."""
    run("sfdisk", "-q", "--wipe=always", place.DISK, stdin="label: dos\nsize=4194304\nsize=4194304\n")
    assert eventually(lambda: is_there(place.PLAIN))
    place.make_file_system(place.PLAIN)
    path = str(place.MOUNTED / "calibration")
    with mounted(place.PLAIN):
        fill(path, FILE)
        fill(f"{path}-copied", FILE)
        sequential = fio(*sequential_writes(path, FILE), SECONDS)
        plain = fio(*random_writes(path, FILE), SECONDS)
        with hot_copies(1), Watch() as watch:
            copied = fio(*random_writes(f"{path}-copied", FILE), SECONDS)
        settled = watch.settled(copied.ended) - copied.begun
    rates = {
        "iops": plain.ios / plain.seconds,
        "copied": copied.ios / settled,
        "bps": sequential.io_bytes / sequential.seconds,
    }
    iops = affordable(**rates)
    report("capacity", chosen_iops=iops, **rates)
    return iops


def is_there(node: str) -> bool:
    """Whether a device node exists by now."""
    try:
        with open(node, "rb"):
            return True
    except OSError:
        return False
