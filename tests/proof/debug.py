# SPDX-License-Identifier: GPL-2.0-or-later
"""make debug-kernel: the driver on a kernel with KASAN, lockdep, kmemleak, object and list checks, compiled from Debian's source.

The guest tests of the driver, programs against the model, random calls, every call with each of its allocations
refused, and hot copies whose I/O fails at random. A report of any checker is a failure. Emulated, this kernel is several times slower than Debian's.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest, GuestError
from tests.driver.bench.kernels import DEBUG
from tests.driver.bench.progress import say
from tests.driver.bench.session import GuestTest, list_tests, run_and_print
from tests.proof.__main__ import call_at_random, play

PARTS = ("tests", "model", "calls", "memory", "io")
DRIVER = "test_driver_"
LIMIT = 3600.0  # seconds for all allocations of all calls, or all rounds of I/O


def chosen(expression: str, quick: bool) -> list[GuestTest]:
    """The driver's guest tests, or any that the expression fits; of these perhaps only the quick ones."""
    tests = list_tests(["-k", expression] if expression else [])
    return [
        test for test in tests if (expression or test.name.startswith(DRIVER)) and (not quick or "quick" in test.marks)
    ]


def run_guest_tests(bench: Bench, tests: list[GuestTest]) -> int:
    """How many of these failed."""
    results = run_and_print(bench, DEBUG.name, tests)
    passed = sum(result.outcome == "passed" for result in results)
    failed = len(results) - passed
    print(f"{DEBUG.name}: {passed} guest tests passed, {failed} failed", flush=True)
    return failed + (not passed)


def inject_faults(bench: Bench, what: str, module: str, *arguments: str) -> int:
    """1 when the half in the guest fails, with memory or I/O refused to the driver, or a checker complains."""
    say(f"{DEBUG.name}: {what}")
    begin = time.monotonic()
    try:
        with Guest(bench, DEBUG.name, check=False) as guest:  # the half in the guest reads the log
            command = f"cd /hotcopy && exec python3 -m tests.proof.guest.{module} {' '.join(arguments)}"
            status = guest.stream(["/bin/sh", "-c", command], sys.stdout, timeout=LIMIT)
            if status:
                raise guest.error(f"{module} ended with {status}")
            guest.ask_checkers()
    except GuestError as error:
        print(f"{DEBUG.name} {what} FAILED\n{error}", flush=True)
        return 1
    print(f"{DEBUG.name}: {what}: nothing found in {time.monotonic() - begin:.0f} s", flush=True)
    return 0


def main() -> int:
    """Every part, or those named; exit status 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.proof.debug", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS, help="all of them if none is named")
    parser.add_argument("-k", default="", help="guest tests that fit, as pytest has it; else those of the driver")
    parser.add_argument("--quick", action="store_true", help="of these only the quick ones")
    parser.add_argument("--programs", type=int, default=60, help="for the model (60)")
    parser.add_argument("--calls", type=int, default=5000, help="at random (5000)")
    parser.add_argument("--rounds", type=int, default=40, help="of I/O that fails at random (40)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--call", default="", help="a word in the names of the calls whose allocations are refused")
    options = parser.parse_args()
    bench = Bench()
    parts = options.part or (["tests"] if options.k else PARTS)
    bad = 0
    if "tests" in parts:
        bad += run_guest_tests(bench, chosen(options.k, options.quick))
    if "model" in parts:
        bad += play(bench, DEBUG.name, options.programs, options.seed, None)
    if "calls" in parts:
        bad += call_at_random(bench, DEBUG.name, options.calls, options.seed)
    if "memory" in parts:
        bad += inject_faults(bench, "each allocation of each call refused once", "no_memory", options.call)
    if "io" in parts:
        bad += inject_faults(bench, "I/O refused at random", "io_faults", str(options.rounds), str(options.seed))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
