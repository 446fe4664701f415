# SPDX-License-Identifier: GPL-2.0-or-later
"""make mutants: drivers with one fault on purpose each (kmod/mutant.h); the model and the quick guest tests must find it.

Which test found which fault is written into docs/mutants.md.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.driver.bench.bench import DRIVER, Bench
from tests.driver.bench.kernels import DEBUG, KERNELS
from tests.driver.bench.progress import say
from tests.driver.bench.session import GuestTest, Result, list_tests, run_tests
from tests.proof.programs import write_programs
from tests.proof.session import LOST_KIB, play_in_guest, regression_cases

TABLE = Path(__file__).resolve().parents[2] / "docs/mutants.md"
PROGRAMS = 40
SEED = 7
NOTHING = "**nothing**"
# Tried before the model: it cannot see these, or only by luck.
FIRST = {
    "skip recheck": "test_driver_exact.py::test_reads_at_the_moment_of_the_write",
    "skip count": "test_driver_exact.py::test_reads_at_the_moment_of_the_write",
    "drop flush": "test_driver_flush.py::test_flush_and_fua_of_writes_that_waited",
    "no hold": "test_driver_drain.py::test_writes_under_way[requests]",
}
# Seen by the checkers of a kernel that is compiled here (make debug-kernel), and by nothing else.
CHECKED = ("use freed", "leak object", "lock order", "sleep atomic")
CHECKED_PROGRAMS = 3


@dataclass(frozen=True)
class Mutant:
    """A fault: its number, its name in kmod/mutant.h, and what the comment there says."""

    number: int
    name: str
    comment: str


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant; ``by`` is empty when nothing found it."""

    mutant: Mutant
    by: str
    how: str
    seconds: float


def mutants() -> list[Mutant]:
    """Those of kmod/mutant.h, in its order."""
    text = (DRIVER / "mutant.h").read_text(encoding="utf-8")
    rows = re.findall(r"^\tHCP_MUTANT_(\w+)(?: = 1)?,(?:\s*/\* (.*?) \*/)?$", text, re.MULTILINE)
    return [Mutant(number, name.lower().replace("_", " "), comment) for number, (name, comment) in enumerate(rows, 1)]


def first_line(detail: str) -> str:
    """What a failure is about: the last line of its traceback, or what the kernel said."""
    lines = [line.strip() for line in detail.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line) or "kernel BUG" in line]
    return (telling or lines or ["?"])[-1][:140]


def first_report(detail: str) -> str:
    """What a checker of the kernel has found, by its own first line; "" if none has."""
    found = re.search(r"BUG: (KASAN: .*|sleeping function .*)|WARNING: (possible .*)|(unreferenced object .*)", detail)
    return re.sub(r"0x[0-9a-f]+|\bffff[0-9a-f]+", "...", next(filter(None, found.groups())))[:140] if found else ""


def by_model(bench: Bench, kernel: str, number: int, until_failure: bool, programs: int = PROGRAMS) -> tuple[str, str]:
    """Which program found it, and how; ("", "") if none."""
    jobs = [
        *regression_cases(),
        *((f"{SEED}-{at}", program) for at, program in enumerate(write_programs(programs, SEED))),
    ]
    played = play_in_guest(bench, kernel, jobs, until=lambda outcome: until_failure and not outcome.ok)
    if played.failures:
        failure = played.failures[0]
        at = [outcome.name for outcome in played.outcomes].index(failure.name) + 1
        if failure.name == "guest":  # all programs were played: it is what checkers were asked in the end
            return "model, checkers", first_report(failure.detail)
        return f"model, program {at} ({failure.name})", first_report(failure.detail) or first_line(failure.detail)
    if played.lost_kib > LOST_KIB:
        return "model, memory", f"{played.lost_kib} KiB did not come back"
    say(f"mutant {number}: {len(jobs)} programs find nothing ({played.lost_kib} KiB missing)")
    return "", ""


def by_tests(bench: Bench, kernel: str, tests: list[GuestTest]) -> tuple[str, str]:
    """Which guest test found it, and how; ("", "") if none."""
    failed: list[Result] = []

    def report(result: Result) -> None:
        if result.outcome != "passed" and not bench.stopped:
            failed.append(result)
            bench.stop()

    run_tests(bench, kernel, tests, report)
    return (failed[0].test, first_line(failed[0].detail)) if failed else ("", "")


def judge(mutant: Mutant, kernel: str, tests: list[GuestTest]) -> Verdict:
    """What is made for it, the model, then the quick tests, until one of them fails."""
    begin = time.monotonic()
    by, how = "", ""
    if mutant.name in CHECKED:
        by, how = by_model(Bench(mutant=mutant.number), DEBUG.name, mutant.number, True, CHECKED_PROGRAMS)
        return Verdict(mutant, by, how, time.monotonic() - begin)
    if mutant.name in FIRST:
        by, how = by_tests(
            Bench(mutant=mutant.number), kernel, [test for test in tests if test.name == FIRST[mutant.name]]
        )
    if not by:
        by, how = by_model(Bench(mutant=mutant.number), kernel, mutant.number, True)
    if not by:
        by, how = by_tests(Bench(mutant=mutant.number), kernel, tests)
    return Verdict(mutant, by, how, time.monotonic() - begin)


def row(verdict: Verdict, kernel: str) -> str:
    """One line of the table."""
    what = verdict.mutant.name + (f": {verdict.mutant.comment}" if verdict.mutant.comment else "")
    how = verdict.how.replace("|", "\\|").replace("tests.proof.guest.content.MismatchError: ", "")
    return f"| {what} | {verdict.by or NOTHING} | {how} | {DEBUG.name if verdict.mutant.name in CHECKED else kernel} |"


def write_table(verdicts: list[Verdict], kernel: str, path: Path) -> None:
    """docs/mutants.md; the rows of mutants that were not tried now stay as they are."""
    rows = {line.split("|")[1].partition(":")[0].strip(): line for line in old_rows(path)}
    rows.update({verdict.mutant.name: row(verdict, kernel) for verdict in verdicts})
    known = [rows[mutant.name] for mutant in mutants() if mutant.name in rows]
    found = sum(NOTHING not in line for line in known)
    untried = ", ".join(mutant.name for mutant in mutants() if mutant.name not in rows)
    lines = [
        "# Mutants",
        "",
        "Written by `make mutants`. Each row is a driver with one fault on purpose (`kmod/mutant.h`). It is given to a test made",
        f"for it, if there is one, to the model (`tests/proof`, {PROGRAMS} programs), then to the quick guest tests, until one fails. {found} of {len(known)} were found.",
        "The last four are given to the model on the kernel of `make debug-kernel`: they show that its checkers see this driver.",
        "",
        "| fault | found by | as | kernel |",
        "|---|---|---|---|",
        *known,
        *(["", f"Not tried yet: {untried}."] if untried else []),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def old_rows(path: Path) -> list[str]:
    """Those of an earlier run."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]


def main() -> int:
    """Every mutant, or those named; exit status 1 when one was not found."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.proof.mutants", description=__doc__)
    parser.add_argument("--kernel", default="6.12", choices=[kernel.name for kernel in KERNELS])
    parser.add_argument("--only", help="names or numbers with commas between them, and not the driver without a fault")
    options = parser.parse_args()
    chosen = mutants()
    if options.only:
        words = options.only.split(",")
        chosen = [mutant for mutant in chosen if mutant.name in words or str(mutant.number) in words]
    tests = [test for test in list_tests() if "quick" in test.marks or test.name in FIRST.values()]
    unknown = set(FIRST.values()) - {test.name for test in tests}
    if unknown:
        parser.error(f"there is no test {', '.join(sorted(unknown))}")
    if not options.only:
        sound = by_model(Bench(), options.kernel, 0, False)
        if sound[0]:
            print(f"the driver without a fault fails: {sound}")
            return 1
    verdicts = []
    for mutant in chosen:
        verdicts.append(judge(mutant, options.kernel, tests))
        last = verdicts[-1]
        write_table(verdicts, options.kernel, TABLE)
        print(
            f"{mutant.number} {mutant.name}: {last.by or 'FOUND BY NOTHING'} in {last.seconds:.0f} s: {last.how}",
            flush=True,
        )
    left = [verdict.mutant.name for verdict in verdicts if not verdict.by]
    print(
        f"{len(verdicts) - len(left)} of {len(verdicts)} mutants were found"
        + (f"; not: {', '.join(left)}" if left else "")
    )
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
