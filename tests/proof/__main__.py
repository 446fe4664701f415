# SPDX-License-Identifier: GPL-2.0-or-later
"""make proof: thousands of programs against the driver in booted kernels, failures shrunk and kept as cases; random calls; PostgreSQL."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import Guest, GuestError
from tests.driver.bench.kernels import DEBUG, KERNELS, by_name
from tests.driver.bench.progress import say
from tests.proof import postgresql
from tests.proof.programs import Program, write_programs
from tests.proof.session import CASES, LOST_KIB, Outcome, play_in_guest, regression_cases
from tests.proof.shrink import shrink

BATCH = 250  # programs of one boot
REPEATS = 4  # of a candidate, when shrinking
SHOWN = 5  # failures that are shrunk


def shrunk(bench: Bench, kernel: str, program: Program) -> Program:
    """A small program that fails as well."""

    def fails(candidates: Sequence[tuple[str, Program]]) -> set[str]:
        say(f"{kernel}: {len(candidates)} smaller programs")
        played = play_in_guest(bench, kernel, candidates, times=REPEATS, until=lambda outcome: not outcome.ok)
        return {outcome.name.partition("#")[0] for outcome in played.failures}

    return shrink(program, fails)


def play(bench: Bench, kernel: str, count: int, number: int, keep: Path | None) -> int:
    """So many programs and every kept case on one kernel; how many failed."""
    say(f"{kernel}: hypothesis writes {count} programs (seed {number})")
    jobs = [
        *regression_cases(),
        *((f"{number}-{at}", program) for at, program in enumerate(write_programs(count, number))),
    ]
    by_name = dict(jobs)
    failures: list[Outcome] = []
    seconds, cpu, steps, ended, worst = 0.0, 0.0, 0, 0, 0
    begin = time.monotonic()
    for first in range(0, len(jobs), BATCH):
        played = play_in_guest(bench, kernel, jobs[first : first + BATCH])
        failures += played.failures
        seconds += played.seconds
        cpu += played.cpu
        worst = max(worst, played.lost_kib)
        steps += sum(outcome.played for outcome in played.outcomes)
        ended += sum(outcome.ended for outcome in played.outcomes)
        say(
            f"{kernel}: {min(first + BATCH, len(jobs))} of {len(jobs)} programs, {len(failures)} failed, {time.monotonic() - begin:.0f} s"
        )
        for outcome in played.failures:
            print(f"{kernel} {outcome.name} FAILED\n{outcome.detail}\n", flush=True)
        if len(failures) >= SHOWN:
            break
    for outcome in failures[:SHOWN]:
        if keep and outcome.name in by_name:
            keep.mkdir(parents=True, exist_ok=True)
            small = shrunk(bench, kernel, by_name[outcome.name])
            path = keep / f"{kernel}-{outcome.name}.json"
            path.write_text(json.dumps(small, indent=1) + "\n", encoding="utf-8")
            print(f"{kernel} {outcome.name}: {len(small['steps'])} steps are left, in {path}", flush=True)
    if worst > LOST_KIB:
        print(f"{kernel}: {worst} KiB of memory did not come back", flush=True)
    print(
        f"{kernel}: {len(jobs)} programs, {steps} steps, {ended} hot copies ended by a full store as they should, "
        f"{len(failures)} failures, {seconds:.0f} s in guests ({cpu:.0f} of a core), at most {worst} KiB of memory missing afterwards",
        flush=True,
    )
    return len(failures) + (worst > LOST_KIB)


def call_at_random(bench: Bench, kernel: str, calls: int, number: int) -> int:
    """Random calls of /dev/hcp on one kernel; 1 when one of them did something it must not."""
    say(f"{kernel}: {calls} random calls")
    begin = time.monotonic()
    try:
        with Guest(bench, kernel) as guest:
            command = f"cd /hotcopy && python3 -m tests.proof.guest.fuzz {calls} {number}"
            text = guest.run(command, timeout=1800 * by_name(kernel).slow).output
            guest.ask_checkers()
    except GuestError as error:
        print(f"{kernel} random calls FAILED\n{error}", flush=True)
        return 1
    results = ", ".join(" ".join(line.split()) for line in text.splitlines())
    print(f"{kernel}: {calls} random calls in {time.monotonic() - begin:.0f} s: {results}", flush=True)
    return 0


def main() -> int:
    """Parse the command line and do it."""
    names = [kernel.name for kernel in KERNELS]
    parser = argparse.ArgumentParser(prog="python3 -m tests.proof", description=__doc__)
    parser.add_argument("--programs", type=int, default=3000, help="in all, shared out among the kernels (3000)")
    parser.add_argument("--calls", type=int, default=50_000, help="random ioctl calls on each kernel (50000)")
    parser.add_argument(
        "--kernel", action="append", choices=[*names, DEBUG.name], help="all of Debian's if none is named"
    )
    parser.add_argument("--seed", type=int, help="another one writes other programs (the time, if not given)")
    parser.add_argument("--keep", type=Path, default=CASES, help="where failures go, made small")
    parser.add_argument("--no-shrink", action="store_true", help="only tell of failures")
    parser.add_argument("--play", type=Path, help="play one program of a file, and nothing else")
    parser.add_argument("--times", type=int, default=10, help="how often, with --play")
    options = parser.parse_args()
    bench = Bench()
    kernels = options.kernel or names
    if options.play:
        program = json.loads(options.play.read_text(encoding="utf-8"))
        bad = 0
        for kernel in kernels:
            played = play_in_guest(bench, kernel, [(options.play.stem, program)], times=options.times)
            bad += len(played.failures)
            print(f"{kernel}: {len(played.failures)} of {options.times} failed")
            for outcome in played.failures[:1]:
                print(outcome.detail)
        return 1 if bad else 0
    number = options.seed if options.seed is not None else int(time.time())
    share = -(-options.programs // len(kernels))
    keep = None if options.no_shrink else options.keep
    bad = 0
    for at, kernel in enumerate(kernels):
        bad += play(bench, kernel, share, number + at, keep)
        bad += call_at_random(bench, kernel, options.calls, number + at) if options.calls else 0
    if postgresql.KERNEL in kernels:
        bad += sum(
            not postgresql.prove(bench, postgresql.KERNEL, kind, postgresql.COPIES, number) for kind in postgresql.KINDS
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
