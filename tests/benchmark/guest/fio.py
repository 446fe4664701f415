# SPDX-License-Identifier: GPL-2.0-or-later
"""fio, and what it says."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from tests.benchmark.plan import MIB
from tests.driver.guest.commands import run

COMMON = (
    "--name=work", "--direct=1", "--output-format=json", "--group_reporting", "--thread", "--lat_percentiles=1",
    "--randrepeat=1", "--scramble_buffers=0", "--invalidate=0",
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """One run of fio."""

    begun: float  # both of time.time()
    ended: float
    io_bytes: int
    ios: int
    write_p99_ms: float  # 0 without writes

    @property
    def seconds(self) -> float:
        """How long it did I/O; its own start and end do not count."""
        return self.ended - self.begun


def parse(text: str, started: float) -> Ran:
    """What fio printed; started is for versions that do not tell when the I/O began."""
    document: dict[str, Any] = json.loads(text[text.index("{") :])
    job = document["jobs"][0]
    assert not job["error"], text
    sides = [job["read"], job["write"]]
    seconds = max(side["runtime"] for side in sides) / 1000
    begun = job.get("job_start", started * 1000) / 1000
    percentiles = job["write"].get("lat_ns", {}).get("percentile", {})
    return Ran(
        begun=begun,
        ended=begun + seconds,
        io_bytes=sum(side["io_bytes"] for side in sides),
        ios=sum(side["total_ios"] for side in sides),
        write_p99_ms=percentiles.get("99.000000", 0) / 1e6,
    )


def fio(*words: str) -> Ran:
    """Run it to its end."""
    started = time.time()
    return parse(run("fio", *COMMON, *words), started)


def fio_in_background(*words: str) -> subprocess.Popen[bytes]:
    """Run it until it is killed."""
    return subprocess.Popen(("fio", *COMMON, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def random_writes(path: str, size: int) -> tuple[str, ...]:
    """4 KiB at random at depth 16, no block twice, the same order every time."""
    return (f"--filename={path}", f"--size={size}", "--bs=4k", "--rw=randwrite", "--ioengine=libaio", "--iodepth=16")


def sequential_writes(path: str, size: int) -> tuple[str, ...]:
    """1 MiB one behind the other, four at a time."""
    return (f"--filename={path}", f"--size={size}", "--bs=1M", "--rw=write", "--ioengine=libaio", "--iodepth=4")


def mixed(path: str, size: int) -> tuple[str, ...]:
    """Four programs that read and write 4 KiB at random, each with an fsync after every fourth write."""
    return (
        f"--filename={path}", f"--size={size}", "--bs=4k", "--rw=randrw", "--rwmixread=50", "--fsync=4",
        "--ioengine=psync", "--numjobs=4",
    )  # fmt: skip


def reads(path: str, offset: int, size: int, *, at_random: bool) -> tuple[str, ...]:
    """A part of a device, read past the cache."""
    how = ("--bs=4k", "--rw=randread", "--iodepth=16") if at_random else ("--bs=1M", "--rw=read", "--iodepth=4")
    # Not the seed of the writes: their old data lies in the store in the order of the writes.
    where = (f"--filename={path}", f"--offset={offset}", f"--size={size}", "--randseed=7", "--time_based")
    return ("--readonly", *where, "--ioengine=libaio", *how)


def fill(path: str, size: int) -> None:
    """A file with every block written."""
    fio(f"--filename={path}", f"--size={size}", "--bs=1M", "--rw=write", "--ioengine=libaio", "--iodepth=4",
        "--fallocate=posix", "--end_fsync=1")  # fmt: skip
    assert size % MIB == 0
