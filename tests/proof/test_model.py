# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs against the driver on the oldest and the newest kernel, and every program that once found a fault."""

from __future__ import annotations

import pytest

from tests.conftest import kernel_names
from tests.driver.bench.bench import Bench
from tests.proof.programs import write_programs
from tests.proof.session import LOST_KIB, play_in_guest, regression_cases

pytestmark = [pytest.mark.guest, pytest.mark.beside]

PROGRAMS = {"5.10": 120, "7.x": 80}  # 200, more where one CPU makes them cheap
EVERYWHERE = 50  # on each kernel when it is thorough, or when others were chosen
SEED = 2026  # of what hypothesis writes; make proof takes another one every time


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A boot costs as much as thirty programs: two of them in make test, one for each kernel when it is thorough."""
    names = kernel_names(metafunc.config)
    some = not metafunc.config.getoption("--thorough") and any(name in PROGRAMS for name in names)
    chosen = [name for name in names if name in PROGRAMS] if some else names
    metafunc.parametrize(("model_kernel", "share"), [(name, PROGRAMS.get(name, EVERYWHERE)) for name in chosen])


def test_programs_against_the_model(bench: Bench, model_kernel: str, share: int) -> None:
    """Every byte of the origin and of every hot copy, at reads that race writes and in the end; and no memory is lost."""
    number = SEED + sum(map(ord, model_kernel))
    jobs = [
        *regression_cases(),
        *((f"{number}-{at}", program) for at, program in enumerate(write_programs(share, number))),
    ]
    played = play_in_guest(bench, model_kernel, jobs)
    assert not played.failures, "\n\n".join(f"{failure.name}\n{failure.detail}" for failure in played.failures[:3])
    assert len(played.outcomes) == len(jobs)
    assert played.lost_kib < LOST_KIB
