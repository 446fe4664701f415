"""A part of the matrix: packages from the signed repository to their removal, in the oldest kernel, in the newest, and by RPM.

What else make matrix does to a row (detect, build, load, the driver's tests) tests of make test do already. In make test-packages,
not in make test: its cost in core-seconds is not measured yet, and not every row of it was seen to pass.
"""

from __future__ import annotations

import functools

import pytest

from installer.matrix.load import load
from tests.distro import known, stages
from tests.distro.cells import DRIVER, Outcome, Stage
from tests.distro.providers.qemu import Qemu
from tests.distro.rig import Rig
from tests.distro.rows import chosen, rows
from tests.distro.runner import Plan, run
from tests.driver.bench.bench import Bench

CHAIN = tuple(stage for stage in Stage if stage not in DRIVER)


@pytest.mark.guest
@pytest.mark.installs
@pytest.mark.parametrize("name", ["debian-11/5.10", "debian-13/7.3", "rpm-guest/6.1"])
def test_from_packages_to_their_removal(bench: Bench, name: str) -> None:
    (row,) = chosen(list(rows(load())), [name])
    rig = Rig(bench, Qemu(bench))
    steps = {stage: functools.partial(stages.STEPS[stage], rig) for stage in CHAIN}
    plan = Plan((row,), {name}, CHAIN, steps, dict.fromkeys(DRIVER, "not here"), stages.NEEDS, known.load(), rig.end)
    cells = [cell for cell in run(plan, 1, {}, lambda _cell: None) if cell.stage in CHAIN]
    for cell in cells:
        assert cell.outcome is Outcome.PASSED, f"{cell.stage.value}: {cell.reason}\n{cell.log}"
    assert len(cells) == len(CHAIN)
