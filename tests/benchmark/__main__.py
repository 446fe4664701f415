# SPDX-License-Identifier: GPL-2.0-or-later
"""``make bench``: runs the benchmark, or writes the report of an earlier run again (--report FILE)."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmark import tables
from tests.benchmark.boots import BenchmarkError, run_benchmark
from tests.benchmark.chart import chart
from tests.benchmark.document import document
from tests.benchmark.facts import TREE, facts, load
from tests.benchmark.figures import Figures, pace
from tests.benchmark.plan import BASELINE, FREEZES, SETUPS, WORKS, Plan, full_plan, quick_plan, work
from tests.benchmark.record import Record
from tests.benchmark.targets import judge
from tests.driver.bench.bench import Bench
from tests.driver.bench.guest import GuestError
from tests.driver.bench.kernels import KERNELS
from tests.driver.bench.progress import say

DOCS = TREE / "docs"
SETUP_NAMES = tuple(row.name for row in SETUPS)
WORK_NAMES = (*(row.name for row in WORKS), FREEZES)


class Progress:
    """Keeps the results, and says each sample as it comes."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def take(self, result: dict[str, Any]) -> None:
        """One result."""
        self.results.append(result)
        if result["kind"] == "sample":
            say(self._sample(result))
        elif result["kind"] == "capacity":
            say(f"unthrottled: {result['iops']:.0f} writes/s, {result['copied']:.0f} first overwrites/s")

    def _sample(self, row: dict[str, Any]) -> str:
        item = work(row["work"])
        base = Figures.of(self.results).of_work(BASELINE, item.name).get(row["round"])
        share = f"{pace(row) / pace(base):5.2f}" if base else "     "
        rate = tables.quantity(pace(row), item.unit)
        return f"  {item.title:38} {rate:>10} {share}   CPU {row['busy']:4.0%}"


def measure(bench: Bench, kernel: str, plan: Plan) -> Record:
    """A run."""
    progress = Progress()
    before = load()
    bench.prepare(kernel)
    where = facts(bench.accelerator())
    plan = run_benchmark(bench, kernel, plan, progress.take)
    return Record(where, plan, (before, load()), tuple(progress.results))


def write(record: Record, directory: Path) -> None:
    """The page and its picture."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "benchmarks.md").write_text(document(record), encoding="utf-8")
    (directory / "benchmarks.svg").write_text(chart(record.figures), encoding="utf-8")
    say(f"written: {directory / 'benchmarks.md'}")


def conclude(record: Record) -> int:
    """The tables on the terminal; 1 when a target was missed."""
    found = judge(record.figures)
    for table in (
        tables.shares(record.figures),
        tables.freezes(record.figures),
        tables.commands(record.figures),
        tables.verdicts(found),
    ):
        print(f"\n{table.text()}", flush=True)
    missed = [row for row in found if row.missed]
    print(f"\n{len(missed)} targets missed" if missed else "\nno target missed", flush=True)
    for row in missed:
        print(f"  {row.target.title}: {tables.number(row.value, 3)}, not {row.target.bound:g}", flush=True)
    return 1 if missed else 0


def _some(choices: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A type of argparse's: names with commas between them, each one of the choices."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name for name in text.split(",") if name)
        strange = [name for name in names if name not in choices]
        if strange:
            raise argparse.ArgumentTypeError(f"{', '.join(strange)} is none of {', '.join(choices)}")
        return names

    return parse


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.benchmark", description=__doc__)
    parser.add_argument("--kernel", default="6.12", choices=[kernel.name for kernel in KERNELS])
    parser.add_argument("--quick", action="store_true", help="one round of fewer set-ups; docs/ stays as it is")
    parser.add_argument("--iops", type=int, default=0, help="the throttle, instead of one the guest is found fit for")
    parser.add_argument(
        "--only", type=_some(SETUP_NAMES), default=(), metavar="SETUPS", help=f"some of {','.join(SETUP_NAMES)}"
    )
    parser.add_argument("--works", type=_some(WORK_NAMES), default=(), help=f"some of {','.join(WORK_NAMES)}")
    parser.add_argument("--report", type=Path, help="no run: the report of this earlier one, in docs/")
    return parser.parse_args()


def main() -> int:
    """0 when every target is met."""
    given = options()
    bench = Bench()
    if given.report:
        record = Record.from_json(given.report.read_text(encoding="utf-8"))
        write(record, DOCS)
        return conclude(record)
    plan = (quick_plan if given.quick else full_plan)(given.iops, given.only, given.works)
    try:
        record = measure(bench, given.kernel, plan)
    except (BenchmarkError, GuestError) as error:
        print(error, file=sys.stderr)
        return 2
    kept = bench.cache.root / "benchmarks" / time.strftime(f"{given.kernel}-%Y%m%d-%H%M%S")
    write(record, kept)
    (kept / "raw.json").write_text(record.to_json(), encoding="utf-8")
    if not (given.quick or given.only or given.works):
        write(record, DOCS)
    say(f"raw results: {kept / 'raw.json'}")
    return conclude(record)


if __name__ == "__main__":
    sys.exit(main())
