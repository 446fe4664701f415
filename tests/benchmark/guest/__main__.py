# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: ``prepare`` the disk while it is fast, or ``measure`` on it once it is throttled."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

from tests.benchmark.guest import place
from tests.benchmark.guest.calibrate import calibrate
from tests.benchmark.guest.freezes import measure_freezes
from tests.benchmark.guest.report import report, say
from tests.benchmark.guest.stages import stage
from tests.benchmark.guest.works import Works
from tests.benchmark.plan import FREEZES, Plan, SetUp

PLAN = Path("/hotcopy/plan.json")


def prepare(plan: Plan) -> None:
    """The throttle if it is not given, and a disk to go with it."""
    if not plan.iops:
        say("what can this guest do? ...")
        plan = dataclasses.replace(plan, iops=calibrate())
    say(f"files for {plan.iops} I/Os a second on three file systems ...")
    place.make(plan.sizes)
    report("plan", plan=plan.to_json())


def measure_setup(plan: Plan, number: int, row: SetUp) -> None:
    """All works on one set-up, its snapshots fresh."""
    begin = time.monotonic()
    with stage(row, plan.sizes) as found:
        say(f"round {number + 1}: {row.title} (ready in {time.monotonic() - begin:.1f} s)")
        works = Works(found, plan.sizes)
        for work in plan.works_of(row):
            found_out = works.measure(work)
            if found_out:
                report("sample", round=number, setup=row.name, work=work.name, **found_out)


def measure(plan: Plan) -> None:
    """Round after round, every set-up once in each, as far as there is time."""
    place.activate()
    begin = time.monotonic()
    number = 0
    while True:
        for row in plan.setups_of_round(number):
            measure_setup(plan, number, row)
        if not plan.another_round(number, time.monotonic() - begin):
            break
        number += 1
    if plan.is_wanted(FREEZES):
        measure_freezes(plan)


def main() -> None:
    """One of the two."""
    plan = Plan.from_json(PLAN.read_text(encoding="utf-8"))
    place.calm()
    {"prepare": prepare, "measure": measure}[sys.argv[1]](plan)


if __name__ == "__main__":
    main()
