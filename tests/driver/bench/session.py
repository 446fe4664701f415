"""Runs guest tests on a kernel and tells of each as it ends."""

from __future__ import annotations

import functools
import json
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.driver.bench.bench import TREE, Bench
from tests.driver.bench.guest import Guest, GuestError
from tests.driver.bench.kernels import by_name
from tests.driver.bench.machine import Machine
from tests.driver.bench.run import Arg, CommandError, run

GUEST_TESTS = TREE / "tests/driver/guest"
GRACE = 60.0  # seconds past a test's own limit after which the guest counts as hung
DEATHS = 4  # after so many the rest of a kernel's tests is not tried


def one_of(kernels: Sequence[str], test: str, turn: int = 0) -> str:
    """Always the same one for a test, or so many further on; the variants of a test are on all kernels in sum."""
    return kernels[(zlib.crc32(test.encode()) + turn) % len(kernels)]


def two_of(kernels: Sequence[str], test: str) -> list[str]:
    """One of the older and one of the newer, by the test's name; of a single kernel, that one."""
    half = len(kernels) // 2
    return [one_of(part, test) for part in (kernels[:half], kernels[half:]) if part]


@dataclass(frozen=True)
class GuestTest:
    """A test as the listing has it."""

    name: str  # file.py::function[parameters]
    marks: tuple[str, ...]
    timeout: float
    variant: int | None = None  # which of the function's several, from 0

    @property
    def function(self) -> str:
        """Without its parameters."""
        return self.name.partition("[")[0]

    @property
    def core(self) -> bool:
        """Whether it is of the driver's core: what no marker takes from any kernel."""
        single = {"one_kernel", "two_kernels", "kernel_independent"}
        return self.name.startswith("test_driver_") and not single.intersection(self.marks)

    def kernels(self, chosen: Sequence[str], *, thorough: bool = False) -> list[str]:
        """Of these kernels, oldest first, those it is worth running on.

        Not ``thorough``: what is not quick runs on one of the older and one of the newer; of that, what tests the
        command (``test_hcp_*``) on one, and the variants of one function in turn, each on the next kernel, since CI has
        90 minutes, and machines that are at times three times slower.
        """
        if "one_kernel" in self.marks:
            return [one_of(chosen, self.name)]
        if not thorough and "quick" not in self.marks:
            if self.variant is not None and "kernel_independent" not in self.marks:
                return [one_of(chosen, self.function, self.variant)]
            return [one_of(chosen, self.name)] if self.name.startswith("test_hcp_") else two_of(chosen, self.name)
        two = "two_kernels" in self.marks and not thorough
        # Quick ones of the driver are cells of the matrix, of which make test fills those of the oldest and the newest kernel.
        if "kernel_independent" in self.marks or (two and self.name.startswith("test_driver_")):
            return [name for name in chosen if name in (chosen[0], chosen[-1])]
        if two:
            return two_of(chosen, self.name)
        return list(chosen)


@dataclass(frozen=True)
class Result:
    """How one test ended on one kernel."""

    kernel: str
    test: str
    outcome: str  # passed, failed or skipped
    seconds: float
    detail: str = ""


def list_tests(arguments: Iterable[str] = ()) -> list[GuestTest]:
    """The guest tests, as pytest collects them here without running any."""
    return list(_listed(tuple(arguments)))


@functools.cache
def _listed(arguments: tuple[str, ...]) -> tuple[GuestTest, ...]:
    """Once for the same arguments: pytest takes seconds to collect them."""
    with tempfile.TemporaryDirectory() as scratch:
        listing = Path(scratch) / "listing"
        argv: list[Arg] = [
            sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider",
            "-c", "/dev/null", f"--rootdir={GUEST_TESTS}", f"--confcutdir={GUEST_TESTS}",
            "-p", "tests.driver.guest.plugin", f"--bench-list={listing}", *arguments, GUEST_TESTS,
        ]  # fmt: skip
        done = run(argv, cwd=TREE, env={"PYTHONPATH": str(TREE)}, check=False, timeout=60)
        if done.returncode not in (0, 5) or not listing.exists():
            raise CommandError(f"the guest tests cannot be collected:\n{done.stdout}")
        rows = json.loads(listing.read_text(encoding="utf-8"))
    return tuple(_numbered([GuestTest(row["test"], tuple(row["marks"]), row["timeout"]) for row in rows]))


def _numbered(tests: Sequence[GuestTest]) -> list[GuestTest]:
    """With the place of each among those of its function that are not for one kernel anyway, where there are several."""
    several = Counter(test.function for test in tests if "one_kernel" not in test.marks)
    seen: Counter[str] = Counter()
    numbered = []
    for test in tests:
        if several[test.function] > 1 and "one_kernel" not in test.marks:
            test = replace(test, variant=seen[test.function])
            seen[test.function] += 1
        numbered.append(test)
    return numbered


def run_and_print(bench: Bench, kernel: str, tests: Iterable[GuestTest]) -> list[Result]:
    """As run_tests(), for somebody who watches: a line for each, and what a failure was."""
    results: list[Result] = []

    def report(result: Result) -> None:
        results.append(result)
        print(f"{result.kernel} {result.test} {result.outcome} {result.seconds:.1f} s", flush=True)
        if result.outcome != "passed":
            print(result.detail, flush=True)

    run_tests(bench, kernel, tests, report)
    return results


def run_tests(
    bench: Bench,
    kernel: str,
    tests: Iterable[GuestTest],
    report: Callable[[Result], None],
    machine: Machine | None = None,
) -> None:
    """Run these tests on this kernel; every one is reported, whatever happens to the guest."""
    left = {test.name: test for test in tests}

    def settle(name: str, outcome: str, seconds: float, detail: str) -> None:
        left.pop(name, None)
        report(Result(kernel, name, outcome, seconds, detail))

    for _ in range(DEATHS):
        if bench.stopped:
            break
        running = ""
        slow = by_name(kernel).slow
        job = {"job.json": json.dumps({"tests": list(left)})}
        try:
            with Guest(bench, kernel, machine or Machine(cpus=by_name(kernel).cpus), files=job, check=False) as guest:
                total = slow * sum(test.timeout + GRACE for test in left.values())
                guest.send("pytest", timeout=total)
                while True:
                    limit = (left[running].timeout if running in left else 0) + GRACE
                    event = guest.next_event(limit * slow)
                    if event["event"] == "start":
                        running = event["test"]
                    elif event["event"] == "result":
                        running = ""
                        settle(event["test"], event["outcome"], float(event["seconds"]), event["detail"])
                    elif event["event"] == "done":
                        said = event["output"]
                        break
                guest.ask_checkers()
            for name in list(left):
                settle(name, "failed", 0, f"no result from the guest; its pytest said:\n{said}")
        except (GuestError, CommandError) as error:
            if not left:
                settle("checkers", "failed", 0, str(error))
            elif not running:
                # Not the fault of a test: no boot, or a death between two of them.
                for name in list(left):
                    settle(name, "failed", 0, str(error))
            else:
                settle(running, "failed", 0, str(error))
        if not left:
            return
    for name in list(left):
        settle(name, "failed", 0, f"not run: the guest had died {DEATHS} times")
