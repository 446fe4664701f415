# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hundred programs against the driver, shared out among the kernels, and every program that once found a fault."""

from __future__ import annotations

import pytest

from tests.driver.bench.bench import Bench
from tests.proof.programs import write_programs
from tests.proof.session import LOST_KIB, play_in_guest, regression_cases

pytestmark = pytest.mark.guest

SHARE = 50
SEED = 2026  # of what hypothesis writes; make proof takes another one every time


def test_programs_against_the_model(bench: Bench, kernel: str) -> None:
    """Every byte of the origin and of every hot copy, at reads that race writes and in the end; and no memory is lost."""
    number = SEED + sum(map(ord, kernel))
    jobs = [
        *regression_cases(),
        *((f"{number}-{at}", program) for at, program in enumerate(write_programs(SHARE, number))),
    ]
    played = play_in_guest(bench, kernel, jobs)
    assert not played.failures, "\n\n".join(f"{failure.name}\n{failure.detail}" for failure in played.failures[:3])
    assert len(played.outcomes) == len(jobs)
    assert played.lost_kib < LOST_KIB
