# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL, busy when hot copies are made, starts from each of them: part of make proof, or python3 -m tests.proof.postgresql."""

from __future__ import annotations

import argparse
import sys

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest, GuestError
from tests.driver.bench.kernels import by_name
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.userland import userland_image

KERNEL = "6.12"
PACKAGES = ("postgresql", "python3-psycopg2")
KINDS = ("ext4", "xfs")
COPIES = 4
LIMIT = 1200.0  # seconds


def prove(bench: Bench, kernel: str, kind: str, copies: int, seed: int) -> bool:
    """Whether every hot copy of a filesystem of this kind started, complete."""
    userland = userland_image(bench.cache, by_name(kernel), PACKAGES)
    machine = Machine(disks=(Disk("data0"), Disk("data1", size="64M")), userland=userland)
    command = f"cd /hotcopy && exec python3 -m tests.proof.guest.postgresql {kind} {copies} {seed}"
    try:
        with Guest(bench, kernel, machine) as guest:
            status = guest.stream(["/bin/sh", "-c", command], sys.stdout, timeout=LIMIT)
    except GuestError as error:
        print(f"{kernel} PostgreSQL on {kind} FAILED\n{error}", flush=True)
        return False
    print(f"{kernel}: PostgreSQL on {kind}: {'started from every hot copy' if status == 0 else 'FAILED'}", flush=True)
    return status == 0


def main() -> int:
    """Every kind of filesystem; exit status 1 when a hot copy did not start, or something was missing in it."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.proof.postgresql", description=__doc__)
    parser.add_argument("--kernel", default=KERNEL)
    parser.add_argument("--kind", action="append", choices=KINDS, help="all of them if none is named")
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bench = Bench()
    done = [prove(bench, options.kernel, kind, options.copies, options.seed) for kind in options.kind or KINDS]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
