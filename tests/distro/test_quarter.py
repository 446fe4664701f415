"""The part of the matrix that make test fills: the oldest kernel, the newest, and a row of each family of packages.

Each stage is that of make matrix. The stage snapshot is the driver's quick tests, which make test runs in its guests of these
kernels anyway: here their results are only judged, and not run again. What passes is kept where make matrix keeps it, so that
``make matrix ARGS=--resume`` takes it over.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

import pytest

from installer.matrix.load import load
from tests.distro import known, stages
from tests.distro.cells import DRIVER, Cell, Outcome, Row, Stage
from tests.distro.providers.qemu import Qemu
from tests.distro.results import OUTPUT, Kept, with_package
from tests.distro.rig import Rig
from tests.distro.rows import RPM_GUEST, rows
from tests.distro.runner import Plan, run
from tests.driver.bench.bench import Bench
from tests.driver.bench.kernels import KERNELS
from tests.driver.bench.runs import Runs

OLDEST, NEWEST = KERNELS[0].name, KERNELS[-1].name
BOOTED = (Stage.DETECT, Stage.BUILD, Stage.LOAD)
PACKAGES = (Stage.RENDER, Stage.INSTALL)
REMOVED = (Stage.REBOOT, Stage.UNINSTALL)

pytestmark = pytest.mark.guest


def row_of(guest: str, packages: str = "deb") -> Row:
    """The row that boots this kernel of the bench, with these packages."""
    (row,) = [row for row in rows(load()) if (row.guest, row.packages) == (guest, packages)]
    return row


@pytest.fixture(scope="module")
def kept() -> Kept:
    return Kept.of_now(OUTPUT)


def fill(bench: Bench, kept: Kept, row: Row, wanted: Collection[Stage]) -> None:
    """These stages of a row, all of which must pass."""
    rig = Rig(bench, Qemu(bench))
    steps = {stage: functools.partial(stages.STEPS[stage], rig) for stage in wanted}
    plan = Plan(
        rows=(row,),
        wanted={row.name},
        stages=wanted,
        steps=steps,
        pending=dict.fromkeys(set(Stage) - set(wanted), "not here"),
        needs={},
        known=known.load(),
        finish=rig.end,
    )
    cells = [
        cell
        for cell in run(plan, 1, {}, lambda cell: kept.keep(with_package(bench.cache, cell, row.guest)))
        if cell.stage in wanted
    ]
    for cell in cells:
        assert cell.outcome is Outcome.PASSED, f"{cell.stage.value}: {cell.reason}\n{cell.log}"
    assert len(cells) == len(wanted)


def test_oldest(bench: Bench, kept: Kept) -> None:
    fill(bench, kept, row_of(OLDEST), BOOTED)


def test_newest(bench: Bench, kept: Kept) -> None:
    fill(bench, kept, row_of(NEWEST), (*BOOTED, *PACKAGES))


def test_rpm(bench: Bench, kept: Kept) -> None:
    fill(bench, kept, RPM_GUEST, PACKAGES)


@pytest.mark.waits
@pytest.mark.parametrize("guest", [OLDEST, NEWEST])
def test_snapshot(bench: Bench, kept: Kept, runs: Runs, guest: str) -> None:
    row, tests = row_of(guest), stages.core()
    results = [runs.result(guest, test.name) for test in tests]
    seconds = round(sum(result.seconds for result in results), 1)
    log = stages.judged(tests, results)
    cell = Cell(row.name, Stage.SNAPSHOT, Outcome.PASSED, seconds, log=f"in make test: {log}")
    kept.keep(with_package(bench.cache, cell, row.guest))


@pytest.mark.installs
@pytest.mark.parametrize("row", [row_of(OLDEST), row_of(NEWEST), RPM_GUEST], ids=lambda row: str(row.name))
def test_from_packages_to_their_removal(bench: Bench, kept: Kept, row: Row) -> None:
    """In make test-packages: each costs minutes of a core."""
    fill(bench, kept, row, [stage for stage in Stage if stage not in DRIVER])
