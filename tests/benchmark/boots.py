# SPDX-License-Identifier: GPL-2.0-or-later
"""The two boots: one prepares the disk at full speed, the other measures on it throttled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmark.lines import Lines
from tests.benchmark.plan import FULL_BPS, FULL_IOPS, STEPS, Plan
from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.progress import say

MODULE = "tests.benchmark.guest"
TIMEOUT = 3600.0
# Few I/Os lie within a freeze: this one need not be as slow as an emulated CPU asks for.
FREEZE_DISK = Disk("data1", "1G", iops=FULL_IOPS, bps=FULL_BPS)

Result = dict[str, Any]


class BenchmarkError(RuntimeError):
    """The half in the guest did not come to its end."""


def boot(
    bench: Bench, kernel: str, plan: Plan, what: str, disks: tuple[Disk, ...], on_result: Callable[[Result], None]
) -> None:
    """One guest, one half of the benchmark."""
    said: list[str] = []

    def text(line: str) -> None:
        said.append(line)
        say(line)

    # One CPU: QEMU may run a guest's CPUs on one thread, and then its idle time would mean nothing.
    machine = Machine(disks=disks, cpus=1)
    say(f"booting kernel {kernel} to {what} ({bench.accelerator()}) ...")
    with Guest(bench, kernel, machine, files={"plan.json": plan.to_json()}) as guest:
        on_result({"kind": "boot", "release": guest.ready["release"], "seconds": guest.boot_seconds})
        status = guest.stream(["python3", "-m", MODULE, what], Lines(on_result, text), timeout=TIMEOUT)
        if status:
            raise BenchmarkError(f"the guest could not {what}:\n" + "\n".join(said[-30:]))


def run_benchmark(bench: Bench, kernel: str, plan: Plan, on_result: Callable[[Result], None]) -> Plan:
    """Every result as it comes; returns the plan with the throttle that was chosen."""
    found: list[Plan] = []

    def take(result: Result) -> None:
        if result["kind"] == "plan":
            found.append(Plan.from_json(result["plan"]))
        else:
            on_result(result)

    bench.prepare(kernel)
    bench.module(kernel)
    with bench.cache.scratch("benchmark") as scratch:
        image: Path = scratch / "data.raw"
        # Sparse on the host; as large as any throttle needs.
        size = str(dataclasses.replace(plan, iops=plan.iops or STEPS[0]).sizes.disk)
        boot(bench, kernel, plan, "prepare", (Disk("data0", size, image), FREEZE_DISK), take)
        if not found:
            raise BenchmarkError("the guest did not say what it prepared")
        plan = found[0]
        sizes = plan.sizes
        throttled = Disk("data0", size, image, iops=sizes.iops, bps=sizes.bps)
        store = Disk("data2", str(sizes.store), iops=sizes.iops, bps=sizes.bps)
        boot(bench, kernel, plan, "measure", (throttled, FREEZE_DISK, store), take)
    return plan
