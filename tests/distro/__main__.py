"""``make matrix``: every row as far as it goes here, and what came of it as JSON, JUnit and two pages."""

from __future__ import annotations

import argparse
import datetime
import functools
import sys
from pathlib import Path

from installer.matrix.load import load
from installer.matrix.model import Provider as Hypervisor
from tests.distro import known, stages
from tests.distro.cells import BAD, Cell, Outcome, Row, Stage
from tests.distro.providers.qemu import Qemu
from tests.distro.providers.reached import Provider
from tests.distro.providers.vagrant import Vagrant, missing
from tests.distro.report.machine import as_json, as_junit
from tests.distro.report.pages import as_html, as_markdown
from tests.distro.report.table import status, summary
from tests.distro.results import OUTPUT, TREE, Kept, with_package
from tests.distro.rig import Rig
from tests.distro.rows import box_rows, chosen, rows
from tests.distro.runner import Plan, run
from tests.driver.bench.bench import Bench
from tests.driver.bench.progress import say
from tests.driver.bench.runs import at_once

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
    add(
        "--resume",
        action="store_true",
        help="keep the cells of earlier runs of the same sources; of those asked for, what failed runs again",
    )
    add("--provider", choices=("qemu", "vagrant"), default="qemu", help="where guests come from (%(default)s)")
    add(
        "--hypervisor",
        choices=[name.value for name in Hypervisor],
        default=Hypervisor.LIBVIRT.value,
        help="Vagrant's provider (%(default)s)",
    )
    add("--local-box", metavar="KERNEL", default="", help="build the box here, of this kernel of the bench: 6.1")
    add("--page", action="store_true", help="write docs/matrix.md also where only a part was asked for")
    add("--list", action="store_true", help="print the rows, and do nothing")
    return parser


def listing(every: list[Row]) -> str:
    """A line for each row."""
    width = max(len(row.name) for row in every)
    return "\n".join(f"{row.name:{width}}  {row.reason or 'has a guest'}" for row in every)


def main() -> int:
    """Exit status 1: a stage failed that is not known to, or nothing ran; 2: wrong usage."""
    parser = grammar()
    options = parser.parse_args()
    matrix, vagrant = load(), options.provider == "vagrant"
    hypervisor = Hypervisor(options.hypervisor)
    every = list(box_rows(matrix, hypervisor) if vagrant else rows(matrix))
    if options.local_box and not (vagrant and hypervisor is Hypervisor.LIBVIRT and options.row):
        parser.error("--local-box: with --provider vagrant, libvirt and the --row that the box is for")
    if vagrant and options.page:
        parser.error("--page: docs/matrix.md is of the provider qemu")
    try:
        wanted = chosen(every, options.row)
    except LookupError as error:
        parser.error(str(error))
    jobs = 1 if vagrant else options.jobs  # one Vagrant at a time
    if options.jobs < 1:
        parser.error("--jobs: at least 1")
    if options.list:
        print(listing(wanted))
        return 0

    if vagrant and missing():
        parser.error(missing())
    bench, output = Bench(), OUTPUT / options.provider if vagrant else OUTPUT
    kept = Kept.of_now(output)
    provider: Provider = Qemu(bench)
    if vagrant:
        boxes = {distro.key: distro.boxes[hypervisor] for distro in matrix.distros if hypervisor in distro.boxes}
        provider = Vagrant(bench, hypervisor, options.local_box, boxes)
    rig = Rig(bench, provider)
    guests = {row.name: row.guest for row in every}

    def keep(cell: Cell) -> None:
        kept.keep(named(cell))
        say(
            f"{cell.row}: {cell.stage.value}: {cell.outcome.value}{f': {cell.reason}' if cell.reason else ''}, {cell.seconds:.1f} s"
        )

    def named(cell: Cell) -> Cell:
        return with_package(bench.cache, cell, "" if vagrant else guests[cell.row])

    steps = stages.BOX_STEPS if vagrant else stages.STEPS
    plan = Plan(
        rows=every,
        wanted={row.name for row in wanted},
        stages={Stage(name) for name in options.stage} if options.stage else set(Stage),
        steps={stage: functools.partial(step, rig) for stage, step in steps.items()},
        pending=stages.BOX_PENDING if vagrant else {},
        needs=stages.NEEDS,
        known=known.load(),
        finish=rig.end,
    )
    try:
        cells = [named(cell) for cell in run(plan, jobs, kept.ran() if options.resume else {}, keep)]
    finally:
        bench.stop()
    write(every, cells, output, page=not vagrant and (options.page or not (options.row or options.stage)))
    for cell in cells:
        if cell.outcome in BAD:
            print(f"{cell.row}: {cell.stage.value}: {cell.outcome.value}: {cell.reason}")
    print(summary(cells))
    if all(cell.outcome is Outcome.NOT_RUN for cell in cells):
        print("nothing ran: make matrix ARGS=--list says which rows have a guest here")
    return status(cells)


def write(every: list[Row], cells: list[Cell], output: Path, *, page: bool) -> None:
    """The files: three, and docs/matrix.md if asked for."""
    when = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    output.mkdir(parents=True, exist_ok=True)
    files = {
        output / "matrix.json": as_json(every, cells, when),
        output / "matrix.junit.xml": as_junit(every, cells),
        output / "matrix.html": as_html(every, cells, when),
    }
    if page:
        files[PAGE] = as_markdown(every, cells, when)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        print(f"written: {path.relative_to(TREE)}")


if __name__ == "__main__":
    sys.exit(main())
