# SPDX-License-Identifier: GPL-2.0-or-later
"""How long file systems stand still for a hot copy, and how long the command takes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmark.guest import place
from tests.benchmark.guest.fio import fill, fio_in_background, mixed
from tests.benchmark.guest.report import report, say
from tests.benchmark.guest.stages import load_module, mounted
from tests.benchmark.plan import MIB, Plan
from tests.driver.guest.hcp import hcp
from tests.driver.guest.hotcopies import info, take_as_users_do

COMMANDS = 15
FILE = 32 * MIB
JOBS = 4  # of the mixed work
PAUSE = 0.5
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
PROJECT = Path("/hotcopy")
INSTALLED = Path("/usr/lib/hotcopy")


@contextlib.contextmanager
def load(iops: int) -> Iterator[None]:
    """The mixed work at half of these I/Os a second, for as long as the with block lasts."""
    path = str(place.MOUNTED / "mixed")
    # Not more than the emulated CPU can do: it would be busy with the load while the file system is frozen.
    pace = f"--rate_iops={iops // (4 * JOBS)}"  # reads and writes of each job by themselves
    process = fio_in_background(*mixed(path, FILE), pace, "--time_based", "--runtime=3600")
    try:
        time.sleep(2)
        assert process.poll() is None, "the load has ended"
        yield
        assert process.poll() is None, "the load has ended"
    finally:
        process.terminate()
        process.wait()


def frozen_times(count: int) -> list[float]:
    """Seconds, for hot copies taken one after the other, each the only one."""
    times = []
    for _ in range(count):
        node = take_as_users_do(place.FREEZE_DISK, "--skip-mount")
        times.append(info(node).frozen_ns / 1e9)
        hcp("-r", node)
    return times


def alone_times(count: int) -> list[float]:
    """Seconds of freeze and thaw without any hot copy: what the kernel and the file system take."""
    times = []
    fd = os.open(place.MOUNTED, os.O_RDONLY)
    try:
        for number in range(count):
            # Something to write back, as the store's file is for a hot copy.
            (place.MOUNTED / f"alone-{number}").write_bytes(b"x")
            os.sync()
            # A freeze soon after another one need not wait for RCU again, and hot copies are not that close.
            time.sleep(PAUSE)
            begin = time.monotonic()
            fcntl.ioctl(fd, FIFREEZE, 0)
            fcntl.ioctl(fd, FITHAW, 0)
            times.append(time.monotonic() - begin)
    finally:
        os.close(fd)
    return times


def seconds_of(*argv: str) -> float:
    """From the start of a program to its end, with nothing of ours in between."""
    begin = time.monotonic()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    _, status = os.waitpid(os.posix_spawn(argv[0], argv, os.environ, file_actions=quiet), 0)
    taken = time.monotonic() - begin
    assert status == 0, (argv, status)
    return taken


def command_times() -> dict[str, list[float]]:
    """Seconds of the whole command as packages install it, on a quiet file system, and of the interpreter's start alone.

    In turn, so that the machine is as quick for one as for the others.
    """
    if not INSTALLED.exists():
        INSTALLED.symlink_to(PROJECT)
    command = str(PROJECT / "packaging/common/hcp")
    kinds = {
        "made": (command, "--skip-mount", place.FREEZE_DISK),
        "mounted": (command, place.FREEZE_DISK),
        "python": ("/usr/bin/python3", "-IS", "-c", "pass"),
    }
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(COMMANDS + 1):
        for kind, argv in kinds.items():
            times[kind].append(seconds_of(*argv))
            if kind != "python":
                hcp("-r", "hcp1")
            time.sleep(PAUSE)  # the keeper's end is no part of the next one
    return {kind: found[1:] for kind, found in times.items()}  # the first one compiles


def measure_freezes(plan: Plan) -> None:
    """Quiet, under load, and the command."""
    load_module(True)
    place.make_file_system(place.FREEZE_DISK)
    with mounted(place.FREEZE_DISK):
        fill(str(place.MOUNTED / "mixed"), FILE)
        say("frozen time, quiet ...")
        os.sync()
        report("freeze", where="quiet", seconds=frozen_times(plan.freezes))
        report("freeze", where="alone", seconds=alone_times(plan.freezes))
        say("the command ...")
        for kind, times in command_times().items():
            report("command", where=kind, seconds=times)
        say("frozen time, under load ...")
        with load(plan.iops):
            report("freeze", where="load", seconds=frozen_times(plan.freezes))
    load_module(False)
