"""``make matrix``: every row as far as it goes here, and what came of it as JSON, JUnit and two pages."""

from __future__ import annotations

import argparse
import datetime
import functools
import sys
from dataclasses import replace
from pathlib import Path

from installer.matrix.load import load
from tests.distro import known, stages
from tests.distro.cells import BAD, Cell, Outcome, Row, Stage
from tests.distro.report.machine import as_json, as_junit
from tests.distro.report.pages import as_html, as_markdown
from tests.distro.report.table import status, summary
from tests.distro.results import Kept, source_key
from tests.distro.rows import chosen, rows
from tests.distro.runner import Plan, run
from tests.driver.bench.bench import Bench
from tests.driver.bench.kernels import by_name, locate
from tests.driver.bench.progress import say
from tests.driver.bench.runs import at_once

TREE = Path(__file__).resolve().parents[2]
OUTPUT = TREE / "dist/matrix"
PAGE = TREE / "docs/matrix.md"


def grammar() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    add = parser.add_argument
    add(
        "--row", action="append", default=[], metavar="ROW", help="debian-12, debian-12/6.1, or a glob; may be repeated"
    )
    add("--stage", action="append", choices=[stage.value for stage in stages.STEPS], help="may be repeated")
    add("--jobs", type=int, default=at_once(), metavar="N", help="rows at once (%(default)s)")
    add("--resume", action="store_true", help="keep what passed in earlier runs of the same sources")
    add("--page", action="store_true", help="write docs/matrix.md also where only a part was asked for")
    add("--list", action="store_true", help="print the rows, and do nothing")
    return parser


def listing(every: list[Row]) -> str:
    """A line for each row."""
    width = max(len(row.name) for row in every)
    return "\n".join(f"{row.name:{width}}  {row.reason or 'a guest of its packages'}" for row in every)


def main() -> int:
    """Exit status 1: a stage failed that is not known to, or nothing ran; 2: wrong usage."""
    parser = grammar()
    options = parser.parse_args()
    every = list(rows(load()))
    try:
        wanted = chosen(every, options.row)
    except LookupError as error:
        parser.error(str(error))
    if options.jobs < 1:
        parser.error("--jobs: at least 1")
    if options.list:
        print(listing(wanted))
        return 0

    bench, kept = Bench(), Kept(OUTPUT / "cells", source_key(TREE))
    guests = {row.name: row.guest for row in every}

    def keep(cell: Cell) -> None:
        kept.keep(named(cell))
        say(
            f"{cell.row}: {cell.stage.value}: {cell.outcome.value}{f': {cell.reason}' if cell.reason else ''}, {cell.seconds:.1f} s"
        )

    def named(cell: Cell) -> Cell:
        if cell.package or cell.outcome is Outcome.NOT_RUN:
            return cell
        found = locate(bench.cache, by_name(guests[cell.row]))
        return replace(cell, package=f"{found.package} {found.version}")

    plan = Plan(
        rows=every,
        wanted={row.name for row in wanted},
        stages={Stage(name) for name in options.stage} if options.stage else set(Stage),
        steps={stage: functools.partial(step, bench) for stage, step in stages.STEPS.items()},
        pending=stages.PENDING,
        needs=stages.NEEDS,
        known=known.load(),
    )
    try:
        cells = [named(cell) for cell in run(plan, options.jobs, kept.passed() if options.resume else {}, keep)]
    finally:
        bench.stop()
    write(every, cells, page=options.page or not (options.row or options.stage))
    for cell in cells:
        if cell.outcome in BAD:
            print(f"{cell.row}: {cell.stage.value}: {cell.outcome.value}: {cell.reason}")
    print(summary(cells))
    if all(cell.outcome is Outcome.NOT_RUN for cell in cells):
        print("nothing ran: make matrix ARGS=--list says which rows have a guest here")
    return status(cells)


def write(every: list[Row], cells: list[Cell], *, page: bool) -> None:
    """The four files."""
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    files = {
        OUTPUT / "matrix.json": as_json(every, cells, when),
        OUTPUT / "matrix.junit.xml": as_junit(every, cells),
        OUTPUT / "matrix.html": as_html(every, cells, when),
    }
    if page:
        files[PAGE] = as_markdown(every, cells, when)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        print(f"written: {path.relative_to(TREE)}")


if __name__ == "__main__":
    sys.exit(main())
